/** `walcast forget`: removes an absent replica from a node's list. */
import { REPLICAS_PATH } from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import { FORGOTTEN } from './answerShapes.ts'
import { NODE_FLAGS, nodeOf, operator, parseAll } from './commandArguments.ts'
import { deleteJson } from './nodeClient.ts'

const HELP = `walcast forget NODE [--node URL]

Removes the replica NODE, which is away, from a node's list of replicas. If it connects again, it is
listed again.

  --node URL   the private side of the node that lists it [WALCAST_NODE, else 127.0.0.1:8470]
`

export async function runForget(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(args, { help: NODE_FLAGS.help, node: NODE_FLAGS.node })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const [replica, ...more] = positionals
  if (!replica || more.length > 0)
    throw new WalcastError('USAGE', { detail: 'forget takes the id of one replica' })
  const query = new URLSearchParams({ node: replica, by: operator() })
  await deleteJson(nodeOf(values.node), `${REPLICAS_PATH}?${query}`, process.env, FORGOTTEN)
  process.stdout.write(`forgot ${replica}\n`)
  return 0
}

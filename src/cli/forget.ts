/** `walcast forget`: removes an absent replica from a node's list. */
import { REPLICAS_PATH } from '../api/roleAnswers.ts'
import { WalcastError } from '../errors.ts'
import { FORGOTTEN } from './answerShapes.ts'
import { NODE_FLAGS, operator, parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { deleteJson } from './nodeClient.ts'

const HELP = `walcast forget NODE [--node NODE] [--db FILE]

Removes the replica NODE, which is away, from a node's list of replicas. If it connects again, it is
listed again.

  --node NODE   id, HOST:PORT or URL of the node that lists it [WALCAST_NODE]
  --db FILE     the node of FILE on this machine lists it [WALCAST_DB, else the only one there]
`

export async function runForget(args: readonly string[]): Promise<number> {
  const { help, node, db } = NODE_FLAGS
  const { values, positionals } = parseAll(args, { help, node, db })
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const [replica, ...more] = positionals
  if (!replica || more.length > 0)
    throw new WalcastError('USAGE', { detail: 'forget takes the id of one replica' })
  const query = new URLSearchParams({ node: replica, by: operator() })
  const listing = await namedNode(values, process.env)
  await deleteJson(listing, `${REPLICAS_PATH}?${query}`, process.env, FORGOTTEN)
  process.stdout.write(`forgot ${replica}\n`)
  return 0
}

/** `walcast leave`: a node ends its membership, and its process. */
import { LEAVE_PATH, type LeftAnswer } from '../api/membership.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { finishDeparture } from '../node/finishDeparture.ts'
import { LEFT } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { askJson, type Question } from './nodeClient.ts'
import type { NodeTarget } from './nodeTarget.ts'
import { jsonLine, shown } from './queryCommand.ts'

const HELP = `walcast leave [NODE] [--force] [--json]

Takes a replica out of its cluster: a member removes its keys, the node deletes the secrets and keys
in its folder, and ends. The database file stays as a plain copy. A leader refuses: walcast
switchover first.

${nodeHelp(7)}
  --force   leave though no member is reached that could remove the keys
  --json    print the answer as JSON

Was it broken off? Type it again. Over an address the command needs a token of role admin
(WALCAST_TOKEN or WALCAST_TOKEN_FILE) or the cluster secret. On the machine of the node it needs
neither.
`

export const FLAGS = { ...NODE_FLAGS, force: { type: 'boolean' } } as const
const TIMEOUT_MS = 60_000

export async function runLeave(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, force = false } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const node = await namedNode(named, process.env)
  const left = await leave(node, force)
  process.stdout.write(json ? jsonLine(left) : leftText(left))
  if (left.told === null)
    process.stderr.write(`no member knows: walcast remove ${shown(left.node)}, on a member\n`)
  return 0
}

async function leave(node: NodeTarget, force: boolean): Promise<LeftAnswer> {
  const environment = process.env
  try {
    const question: Question = {
      method: 'POST',
      node: node,
      path: LEAVE_PATH,
      environment,
      timeoutMs: TIMEOUT_MS,
      body: { force, by: operator() },
    }
    return await askJson<LeftAnswer>(question, LEFT)
  } catch (error) {
    if (node.kind !== 'socket' || !GONE.has(keyOf(error))) throw error
    const left = await finishDeparture(node.db)
    if (!left) throw error
    return { ...left, told: left.node, db: node.db }
  }
}

/** No node runs there: perhaps it has left, and was broken off. */
const GONE: ReadonlySet<unknown> = new Set(['NO_LOCAL_NODE', 'NODE_UNREACHABLE'])

function leftText({ node, cluster, db, epoch, txid }: LeftAnswer): string {
  const { message, cure } = new WalcastError('LEFT', {
    ...{ node, cluster, path: db, position: `${epoch}-${txid}` },
  })
  return `${shown(message)}\n${shown(cure)}\n`
}

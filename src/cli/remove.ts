/** `walcast remove`: takes a node out of the cluster for good. */
import { MEMBERS_PATH, type RemovedAnswer } from '../api/membership.ts'
import { WalcastError } from '../errors.ts'
import { REMOVED } from './answerShapes.ts'
import { NODE_FLAGS, operator, parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { askJson, type Question } from './nodeClient.ts'
import { jsonLine, shown } from './queryCommand.ts'
import { toldText } from './toldText.ts'

const HELP = `walcast remove NODE [--node VIA] [--force] [--json]

Takes the node with the id NODE out of the cluster: all members refuse its key for ever, and end its
connections at once. Members that are away refuse it when they are back. "walcast status" lists the
members.

  --node VIA   id, HOST:PORT or URL of the member to ask [WALCAST_NODE]
  --db FILE    the node of FILE on this machine is asked [WALCAST_DB, else the only one there]
  --force      remove it though it leads: only when that leader is lost
  --json       print the answer as JSON

A node that is there leaves by itself: walcast leave. Over an address the command needs a token of
role admin (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or the cluster secret. On the machine of a node it
needs neither.
`

const LOST = `if its host is lost, or somebody has its disk, type as well:
  walcast rotate-secret --overlap 5m   it knows the cluster secret
  walcast rotate-key                   it knows the key of encrypted settings
  walcast token list                   revoke the tokens that lay on it
`

export const FLAGS = { ...NODE_FLAGS, force: { type: 'boolean' } } as const
const TIMEOUT_MS = 60_000

export async function runRemove(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(args, FLAGS)
  const { help, json, force = false } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const [node, ...more] = positionals
  if (!node || more.length > 0)
    throw new WalcastError('USAGE', { detail: 'remove takes the id of one node' })
  const environment = process.env
  const query = new URLSearchParams({ node, by: operator(), force: String(force) })
  const question: Question = {
    method: 'DELETE',
    node: await namedNode(values, environment),
    path: `${MEMBERS_PATH}?${query}`,
    environment,
    timeoutMs: TIMEOUT_MS,
  }
  const done = await askJson<RemovedAnswer>(question, REMOVED)
  process.stdout.write(json ? jsonLine(done) : removedText(done))
  if (!json) process.stderr.write(LOST)
  return 0
}

function removedText({ removed, keys, members }: RemovedAnswer): string {
  const before = keys.length === 0 ? ' (it was removed before)' : ''
  return `removed ${shown(removed)}${before}\n${toldText(members)}`
}

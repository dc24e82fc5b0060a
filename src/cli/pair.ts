/**
 * `walcast pair`: makes a pairing code. The line to run on the other host goes to standard output,
 * and what it is good for to standard error.
 */
import { joinCommand, PAIR_PATH, type PairAnswer } from '../api/pairing.ts'
import { WalcastError } from '../errors.ts'
import { parsePairingCode } from '../security/pairingCode.ts'
import { PAIRED } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { bodyOf } from './nodeAnswer.ts'
import { askNode } from './nodeClient.ts'
import { jsonLine, shown } from './queryCommand.ts'

const HELP = `walcast pair [NODE] [--json]

Makes a one-time code and prints the command that adds a node to the cluster with it. Put the file
and the address of the new node in place of FILE and HOST:PORT, and run it on the other host.

The code is good once and for ten minutes. Keep it to yourself until it is used: whoever runs it
first becomes a node. Afterwards it is worth nothing.

${nodeHelp(9)}
  --json      print the result as JSON

Over an address the command needs a token of role admin (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or the
cluster secret. On the machine of a node it needs neither.
`
const TIMEOUT_MS = 30_000
const MINUTE_MS = 60_000

export async function runPair(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, NODE_FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const environment = process.env
  const node = await namedNode(named, environment)
  const answer = await askNode({
    node,
    environment,
    timeoutMs: TIMEOUT_MS,
    method: 'POST',
    path: PAIR_PATH,
    body: { by: operator() },
  })
  const made = bodyOf<PairAnswer>(answer, PAIRED)
  requireWhole(made, answer.url)
  if (values.json) process.stdout.write(jsonLine(made))
  else report(made)
  return 0
}

/** The code goes to a shell as it is. */
function requireWhole({ code }: PairAnswer, url: string): void {
  try {
    parsePairingCode(code)
  } catch (error) {
    throw new WalcastError('NODE_ANSWER', { url, detail: 'with no pairing code' }, error)
  }
}

function report({ code, node, address, expiresMs }: PairAnswer): void {
  const minutes = Math.round(expiresMs / MINUTE_MS)
  const use = `run this on the new host within ${minutes} minutes, once; it asks ${node}`
  process.stderr.write(`${shown(`${use} at ${address}`)}:\n`)
  process.stdout.write(`${joinCommand(code)}\n`)
}

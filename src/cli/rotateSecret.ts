/** `walcast rotate-secret`: a new cluster secret, while all nodes run. */
import {
  MAX_OVERLAP_MS,
  MIN_OVERLAP_MS,
  ROTATE_SECRET_PATH,
  type RotatedSecretAnswer,
} from '../api/membership.ts'
import { WalcastError } from '../errors.ts'
import { ROTATED_SECRET } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { parseLifetime } from './lifetime.ts'
import { namedNode } from './namedNode.ts'
import { askJson, type Question } from './nodeClient.ts'
import { jsonLine } from './queryCommand.ts'
import { toldText } from './toldText.ts'

const HELP = `walcast rotate-secret [NODE] [--overlap TIME] [--force] [--json]

Makes a new cluster secret and tells it to all members, while they run. The old ones, that of
WALCAST_SECRET among them, stay good for the overlap. A member that is away for longer has to join
again. Prints which members know the new secret, never the secret itself.

${nodeHelp(14)}
  --overlap TIME   how long the old secrets stay good, from 5m to 30d [24h]
  --force          also while the secret is being replaced already
  --json           print the answer as JSON

Over an address the command needs a token of role admin (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or the
cluster secret. On the machine of a node it needs neither.
`

export const FLAGS = {
  ...NODE_FLAGS,
  overlap: { type: 'string' },
  force: { type: 'boolean' },
} as const
const DEFAULT_OVERLAP = '24h'
const TIMEOUT_MS = 60_000

export async function runRotateSecret(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, overlap = DEFAULT_OVERLAP, force = false } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const overlapMs = parseLifetime(overlap) ?? 0
  if (overlapMs < MIN_OVERLAP_MS || overlapMs > MAX_OVERLAP_MS)
    throw new WalcastError('USAGE', { detail: '--overlap wants a time from 5m to 30d, as 24h' })
  const environment = process.env
  const question: Question = {
    method: 'POST',
    node: await namedNode(named, environment),
    path: ROTATE_SECRET_PATH,
    environment,
    timeoutMs: TIMEOUT_MS,
    body: { overlapMs, force, by: operator() },
  }
  const done = await askJson<RotatedSecretAnswer>(question, ROTATED_SECRET)
  process.stdout.write(json ? jsonLine(done) : rotatedText(done))
  return 0
}

function rotatedText({ id, older, ends, members }: RotatedSecretAnswer): string {
  return `new secret ${id}; ${older.join(', ')} good until ${ends}\n${toldText(members)}`
}

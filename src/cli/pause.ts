/** `walcast pause`: nobody changes roles while an operator works. */
import {
  MAX_PAUSE_MS,
  MAX_REASON_CHARS,
  MIN_PAUSE_MS,
  PAUSE_PATH,
  type PauseAnswer,
} from '../api/rolePause.ts'
import { WalcastError } from '../errors.ts'
import { PAUSED } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { parseLifetime } from './lifetime.ts'
import { namedNode } from './namedNode.ts'
import { askJson } from './nodeClient.ts'
import { pauseText } from './pauseText.ts'
import { jsonLine } from './queryCommand.ts'
import { toldText } from './toldText.ts'

const HELP = `walcast pause [NODE] [--for TIME] [--reason TEXT] [--json]

Pauses role changes in the whole cluster: until "walcast resume" or the end of the time, no node
takes a promotion, demotion or switchover that an operator asks for, and with --election no node is
promoted by itself: a leader that is lost meanwhile is not replaced. Nodes still give way to a newer
leader by themselves. Any node can be asked, also while there is no leader; a member that is away
hears of it when it is back. A second pause replaces the first.

${nodeHelp(12)}
  --for TIME     how long, from 1m to 24h; each node goes by its own clock [1h]
  --reason TEXT  why: shown to whoever is refused, in status and in the console
  --json         print the answer as JSON

Over an address the command needs a token of role operate (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or
the cluster secret. On the machine of a node it needs neither.
`

export const FLAGS = {
  ...NODE_FLAGS,
  for: { type: 'string' },
  reason: { type: 'string' },
} as const
const DEFAULT_LENGTH = '1h'
/** Each member that is away costs its time limit. */
const TIMEOUT_MS = 60_000

export async function runPause(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, reason = '' } = values
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  const forMs = parseLifetime(values.for ?? DEFAULT_LENGTH) ?? 0
  if (forMs < MIN_PAUSE_MS || forMs > MAX_PAUSE_MS)
    throw new WalcastError('USAGE', { detail: '--for wants a time from 1m to 24h, as 30m' })
  if (reason.length > MAX_REASON_CHARS)
    throw new WalcastError('USAGE', {
      detail: `--reason has more than ${MAX_REASON_CHARS} characters`,
    })
  const environment = process.env
  const done = await askJson<PauseAnswer>(
    {
      method: 'POST',
      node: await namedNode(named, environment),
      path: PAUSE_PATH,
      environment,
      timeoutMs: TIMEOUT_MS,
      body: { forMs, reason, by: operator() },
    },
    PAUSED,
  )
  const paused = done.paused ? `role changes are paused ${pauseText(done.paused)}\n` : ''
  process.stdout.write(json ? jsonLine(done) : `${paused}${toldText(done.members)}`)
  return 0
}

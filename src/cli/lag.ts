/** `walcast lag`: how far a replica is behind its leader. */
import type { DatabaseLag } from '../api/databaseStatus.ts'
import type { LagReport } from '../api/nodeStatus.ts'
import { STAGES } from '../replica/lag.ts'
import { withAgo } from './agoArguments.ts'
import { LAG } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, parseForNode } from './commandArguments.ts'
import { HISTORY_FLAGS, HISTORY_HELP, showLagHistory } from './lagHistory.ts'
import {
  formatBytes,
  formatMs,
  lines,
  look as lookAt,
  severalDatabases,
  shown,
} from './queryCommand.ts'
import { table } from './table.ts'
import { FULL_LOOK, type Look } from './terminalLook.ts'
import { WATCH_FLAGS, watchHelp } from './watch.ts'

const HELP = `walcast lag [NODE] [--db FILE] [--since TIME] [--json] [--watch]

Shows how far a replica is behind its leader: now, and over the last minute, stage by stage.
With --since it shows what the node remembers: percentiles, rates, WAL, held writes and pauses.

${nodeHelp(13)}
  --json          print the answer of /_walcast/lag, or of /_walcast/lag/history, unchanged
${watchHelp(13)}${HISTORY_HELP}
`

const COLUMNS = [
  '',
  ...['p50', 'p95', 'p99', 'max'].map((heading) => ({ heading, isNumber: true })),
]

export const FLAGS = { ...NODE_FLAGS, ...WATCH_FLAGS, ...HISTORY_FLAGS } as const

export async function runLag(args: readonly string[]): Promise<number> {
  const all = withAgo(args)
  const { values, named } = parseForNode(all, FLAGS)
  const asksPast = Object.keys(HISTORY_FLAGS).some((flag) => Object.hasOwn(values, flag))
  if (asksPast && !values.help) {
    await showLagHistory(values, named)
    return 0
  }
  return lookAt<LagReport>(
    { name: 'lag', path: '/_walcast/lag', help: HELP, shape: LAG, format: lagText },
    args,
  )
}

export function lagText(lag: LagReport, look: Look = FULL_LOOK): string {
  const several = severalDatabases(lag)
  if (several.length === 0) return databaseText(lag, look)
  return several
    .map(([name, each]) => `database ${shown(name)}\n${databaseText(each, look)}`)
    .join('\n')
}

function databaseText(lag: DatabaseLag, look: Look): string {
  const pairs = [
    ['role', lag.role],
    ['connected', lag.connected ? 'yes' : 'no'],
    [
      'txid',
      `${lag.txid} of ${lag.leaderTxid} (${lag.txidLag} behind, ${formatBytes(lag.bytesLag)})`,
    ],
    ['lag now', formatMs(lag.lagMs)],
    ...lag.causes.map(({ code, text }) => ['cause', `${code}: ${text}`] as const),
  ] as const
  const now = lines(pairs, look)
  if (lag.count === 0) return now
  const rows = [
    ['commit to visible', ...percentiles(lag)],
    ...STAGES.map((stage) => [`  ${stage}`, ...percentiles(lag.stages[stage])]),
  ]
  const measured = table(COLUMNS, rows, look)
  return `${now}\nlast ${lag.windowSeconds} s, ${lag.count} batches\n${measured}`
}

function percentiles(values: {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}): string[] {
  return [values.p50Ms, values.p95Ms, values.p99Ms, values.maxMs].map(formatMs)
}

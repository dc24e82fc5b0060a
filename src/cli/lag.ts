/** `walcast lag`: how far a replica is behind its leader. */
import type { DatabaseLag } from '../api/databaseStatus.ts'
import type { LagReport } from '../api/nodeStatus.ts'
import { STAGES } from '../replica/lag.ts'
import { LAG } from './answerShapes.ts'
import { nodeHelp } from './commandArguments.ts'
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
import { watchHelp } from './watch.ts'

const HELP = `walcast lag [NODE] [--db FILE] [--json] [--watch]

Shows how far a replica is behind its leader: now, and over the last minute, stage by stage.

${nodeHelp(9)}
  --json      print the answer of /_walcast/lag unchanged
${watchHelp(9)}
`

const COLUMNS = [
  '',
  ...['p50', 'p95', 'p99', 'max'].map((heading) => ({ heading, isNumber: true })),
]

export function runLag(args: readonly string[]): Promise<number> {
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

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
  look,
  severalDatabases,
  shown,
  table,
} from './queryCommand.ts'

const HELP = `walcast lag [NODE] [--db FILE] [--json]

Shows how far a replica is behind its leader: now, and over the last minute, stage by stage.

${nodeHelp(9)}
  --json      print the answer of /_walcast/lag unchanged
`

export function runLag(args: readonly string[]): Promise<number> {
  return look<LagReport>({ path: '/_walcast/lag', help: HELP, shape: LAG, format: lagText }, args)
}

export function lagText(lag: LagReport): string {
  const several = severalDatabases(lag)
  if (several.length === 0) return databaseText(lag)
  return several.map(([name, each]) => `database ${shown(name)}\n${databaseText(each)}`).join('\n')
}

function databaseText(lag: DatabaseLag): string {
  const now = lines([
    ['role', lag.role],
    ['connected', lag.connected ? 'yes' : 'no'],
    [
      'txid',
      `${lag.txid} of ${lag.leaderTxid} (${lag.txidLag} behind, ${formatBytes(lag.bytesLag)})`,
    ],
    ['lag now', formatMs(lag.lagMs)],
    ...lag.causes.map(({ code, text }) => ['cause', `${code}: ${text}`] as const),
  ])
  if (lag.count === 0) return now
  const rows = [
    ['commit to visible', ...percentiles(lag)],
    ...STAGES.map((stage) => [`  ${stage}`, ...percentiles(lag.stages[stage])]),
  ]
  const measured = table(['', 'p50', 'p95', 'p99', 'max'], rows)
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

/** What the console of a node shows of it. */
import type { ClusterAnswer, ClusterDesk } from '../api/clusterOverview.ts'
import type { ConsoleBackups, ConsoleClock } from '../api/consoleSession.ts'
import type { NodeStatus } from '../api/nodeStatus.ts'
import type { PastDesk } from '../api/past.ts'
import type { LagHistory } from '../health/lagRing/lagHistory.ts'
import type { NodeReport } from '../health/nodeReport.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'
import type { ConsolePart } from '../server/consoleEvents.ts'

/** As many of the last entries as the page shows at once. */
const AUDIT_ENTRIES = 100
/** It asks all other nodes. */
const CLUSTER_EVERY_MS = 1900

export interface ConsoleSources {
  readonly report: NodeReport
  readonly audit: Pick<AuditLog, 'recent'>
  readonly clock: Clock
  readonly cluster: ClusterDesk
  readonly past: Pick<PastDesk, 'report'>
  readonly lagHistory: Pick<LagHistory, 'newest'>
}

export function consoleParts({
  report,
  audit,
  clock,
  cluster,
  past,
  lagHistory,
}: ConsoleSources): ConsolePart[] {
  return [
    {
      event: 'clock',
      read: (): ConsoleClock => ({ at: new Date(clock.nowMs()).toISOString() }),
    },
    {
      event: 'node',
      read: () => report.status(),
      // That time passes is no news.
      changing: (status) => ({ ...Object(status), uptimeSeconds: 0 }),
    },
    { event: 'lag', read: () => report.lag() },
    { event: 'measured', read: () => lagHistory.newest() },
    {
      event: 'cluster',
      read: () => cluster.answer(),
      changing: withoutAges,
      everyMs: CLUSTER_EVERY_MS,
    },
    { event: 'backups', read: () => backupsOf(report.status()) },
    { event: 'restore', read: () => past.report() ?? null },
    { event: 'audit', read: () => audit.recent(AUDIT_ENTRIES) },
  ]
}

/** That an answer grows older is no news. */
function withoutAges(value: unknown): unknown {
  const { nodes, ...rest } = value as ClusterAnswer
  return { ...rest, nodes: nodes.map((node) => ({ ...node, ageMs: 0 })) }
}

function backupsOf({ databases }: NodeStatus): ConsoleBackups {
  return Object.fromEntries(
    Object.entries(databases).map(([name, { backup, snapshots }]) => [
      name,
      { ...(backup ? { backup } : {}), ...(snapshots ? { snapshots } : {}) },
    ]),
  )
}

/** What the console of a node shows of it. */
import type { ConsoleBackups, ConsoleClock } from '../api/consoleSession.ts'
import type { NodeStatus } from '../api/nodeStatus.ts'
import type { NodeReport } from '../health/nodeReport.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'
import type { ConsolePart } from '../server/consoleEvents.ts'

/** As many of the last entries as the page shows at once. */
const AUDIT_ENTRIES = 100

export interface ConsoleSources {
  readonly report: NodeReport
  readonly audit: Pick<AuditLog, 'recent'>
  readonly clock: Clock
}

export function consoleParts({ report, audit, clock }: ConsoleSources): ConsolePart[] {
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
    { event: 'backups', read: () => backupsOf(report.status()) },
    { event: 'audit', read: () => audit.recent(AUDIT_ENTRIES) },
  ]
}

function backupsOf({ databases }: NodeStatus): ConsoleBackups {
  return Object.fromEntries(
    Object.entries(databases).map(([name, { backup, snapshots }]) => [
      name,
      { ...(backup ? { backup } : {}), ...(snapshots ? { snapshots } : {}) },
    ]),
  )
}

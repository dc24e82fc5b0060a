/** Why there is no new dated snapshot. Pure: from its report to causes. */
import type { Cause } from '../api/cause.ts'
import type { SnapshotReport } from '../api/snapshotStatus.ts'

export function snapshotCauses(report: SnapshotReport | undefined): Cause[] {
  if (!report?.isOverdue) return []
  const { place, sinceMs, everyMs, lastError } = report
  const sinceSeconds = Math.round(sinceMs / 1000)
  const why = lastError ? ` (${lastError.code}: ${lastError.message})` : ''
  const text =
    `no dated snapshot was made in ${place} for ${sinceSeconds} s, and one is due every ` +
    `${Math.round(everyMs / 1000)} s${why}; see the log of the node, and whether the place has room`
  return [{ code: 'snapshot-overdue', text, place, sinceSeconds }]
}

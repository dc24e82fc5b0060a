/** Why the archive is not what it should be. Pure: from its report to causes. */
import type { BackupReport, PlaceReport } from '../api/backupStatus.ts'
import type { Cause } from '../api/cause.ts'

export function archiveCauses(report: BackupReport | undefined): Cause[] {
  return (report?.places ?? []).flatMap((place) => [...stalled(place), ...unproven(place)])
}

function stalled({ place, isStalled, behindMs = 0, lastError }: PlaceReport): Cause[] {
  if (!isStalled) return []
  const behindSeconds = Math.round(behindMs / 1000)
  const why = lastError ? ` (${lastError.code}: ${lastError.message})` : ''
  const text =
    `the archive in ${place} lacks commits that have waited for ${behindSeconds} s${why}; see ` +
    'the log of the node, and whether the place can be reached and has room'
  return [{ code: 'archive-stalled', text, place, behindSeconds }]
}

function unproven({ place, isProofOverdue, proven, checked, drillFailure }: PlaceReport): Cause[] {
  if (!isProofOverdue) return []
  const last = (proven ?? checked)?.provenAt
  const since = last === undefined ? 'yet' : `since ${last}`
  const why = drillFailure ? ` (${drillFailure.code}: ${drillFailure.message})` : ''
  const text =
    `no drill has proven the archive in ${place} ${since}, and two were due${why}; see walcast ` +
    'audit, and the log of the node'
  return [{ code: 'proof-overdue', text, place, ...(last === undefined ? {} : { provenAt: last }) }]
}

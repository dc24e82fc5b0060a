/** What a node answers of the drills of one place. */
import type { DrillReport, PlaceReport } from '../../api/backupStatus.ts'
import type { DrillProof } from './drillRecords.ts'
import type { Drills } from './drills.ts'

/** Adds it to what is known of the place. */
export function withDrills(report: PlaceReport, drills: Drills, nowMs: number): PlaceReport {
  const { place, isArchiving } = report
  const { proof, failure } = drills.recordOf(place) ?? {}
  const overdue = isArchiving ? drills.isOverdue(place, nowMs) : undefined
  return {
    ...report,
    ...(proof ? { [proof.kind]: reportOf(proof) } : {}),
    ...(failure
      ? {
          drillFailure: { code: failure.code, message: failure.message, at: iso(failure.failedMs) },
        }
      : {}),
    ...(overdue === undefined ? {} : { isProofOverdue: overdue }),
  }
}

function reportOf(proof: DrillProof): DrillReport {
  const { position, incarnation, untilMs, provenMs, tookMs, bytes } = proof
  return { position, incarnation, at: iso(untilMs), provenAt: iso(provenMs), tookMs, bytes }
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

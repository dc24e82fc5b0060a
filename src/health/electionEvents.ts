/** What listeners of a node's events are told of automatic failover: what rarely changes of it. */
import type { ElectionReport } from '../api/electionReport.ts'
import type { StateEvent } from './archiveEvents.ts'

export function electionEvents({
  election,
}: {
  readonly election?: ElectionReport
}): readonly StateEvent[] {
  if (!election) return []
  const { isHeld, node, epoch, isByAgreement, awayForMs, notPromoted, validForMs } = election
  const data = {
    ...{ isHeld, node, epoch, isByAgreement, notPromoted },
    isAway: awayForMs !== null,
    // Of a leader: whether it may write.
    isValid: validForMs === null ? null : validForMs > 0,
  }
  return [{ event: 'election', of: 'lease', data }]
}

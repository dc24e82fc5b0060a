/**
 * What listeners of a node's events are told of its archive and its dated snapshots: what rarely
 * changes of them, so that each event is news.
 */
import type { BackupReport, PlaceReport } from '../api/backupStatus.ts'
import type { SnapshotReport } from '../api/snapshotStatus.ts'

/** The present state of one thing, told again when `data` is another. */
export interface StateEvent {
  readonly event: string
  /** Which of those of this event. */
  readonly of: string
  readonly data: object
}

export function archiveEvents({
  backup,
  snapshots,
}: {
  readonly backup?: BackupReport
  readonly snapshots?: SnapshotReport
}): readonly StateEvent[] {
  return [
    ...(backup?.places ?? []).map(
      (place): StateEvent => ({ event: 'archive', of: place.place, data: placeState(place) }),
    ),
    ...(snapshots
      ? [{ event: 'snapshot', of: snapshots.place, data: snapshotState(snapshots) }]
      : []),
  ]
}

/** Without positions and errors of the moment: those are in the status. */
function placeState({
  place,
  isArchiving,
  isStalled,
  isProofOverdue,
  proven,
  checked,
  drillFailure,
  renewed,
}: PlaceReport): object {
  return { place, isArchiving, isStalled, isProofOverdue, proven, checked, drillFailure, renewed }
}

function snapshotState({ place, isOverdue, last, lastError }: SnapshotReport): object {
  return { place, isOverdue, last, lastError }
}

/** Brings places level at once, for who asks for it, and waits until they are. */
import type { Position } from '../../proto/position.ts'
import { formatPosition, isFurther } from '../../proto/position.ts'
import type { PlaceNow } from '../api/backupNow.ts'
import { WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { PlaceArchive } from './placeArchive.ts'
import type { PlaceProgress } from './placeProgress.ts'
import type { PlaceStatus } from './placeStatus.ts'

/** Pause between two looks at a place. */
const LOOK_EVERY_MS = 20

export interface PlacesNowOrder {
  /** What the places are to have. The node has it. */
  readonly position: Position
  readonly isSnapshotWanted: boolean
  readonly timeoutMs: number
  /** Aborted when who asked went away. */
  readonly gone: AbortSignal
}

type Progress = Pick<PlaceProgress, 'snapshots' | 'snapshot'>
type Outcome = { readonly done: PlaceNow } | { readonly failed: string }

/**
 * A place that fails meanwhile fails the request: the next try may be long in coming. Throws
 * BACKUP_BEHIND and CALLER_GONE.
 */
export async function placesNow(
  places: readonly PlaceArchive[],
  order: PlacesNowOrder,
): Promise<readonly PlaceNow[]> {
  const endMs = monotonicMs() + order.timeoutMs
  const outcomes = await Promise.all(places.map((place) => placeNow(place, order, endMs)))
  const failures = outcomes.flatMap((outcome) => ('failed' in outcome ? [outcome.failed] : []))
  if (failures.length > 0)
    throw new WalcastError('BACKUP_BEHIND', {
      position: formatPosition(order.position),
      detail: failures.join('; '),
    })
  return outcomes.flatMap((outcome) => ('done' in outcome ? [outcome.done] : []))
}

async function placeNow(
  archive: PlaceArchive,
  { position, isSnapshotWanted, gone }: PlacesNowOrder,
  endMs: number,
): Promise<Outcome> {
  const before = { ...archive.progress }
  if (isSnapshotWanted) archive.wantSnapshot(position)
  else archive.hurry()
  for (;;) {
    const { status, progress } = archive
    const { place, error } = status
    // Also of a place that was level: it may have been removed meanwhile.
    const isKnown = progress.rounds > before.rounds || progress.bytes > before.bytes
    const snapshot = isSnapshotWanted ? snapshotSince(before, progress, position) : undefined
    const isBehind = isSnapshotWanted && snapshot === undefined
    if (isKnown && has(status, position) && !isBehind)
      return { done: reportOf(status, progress.bytes - before.bytes, snapshot) }
    if (progress.failures > before.failures)
      return { failed: `${place}: ${error?.message ?? 'it failed'}` }
    if (gone.aborted) throw new WalcastError('CALLER_GONE', { wanted: place })
    if (monotonicMs() >= endMs) return { failed: `${place}: not in time` }
    await delay(LOOK_EVERY_MS)
  }
}

/** Of a later epoch a place has what went over into it. */
function has({ at, isLevel }: PlaceStatus, { epoch, txid }: Position): boolean {
  if (!at || at.txid < txid) return false
  return at.epoch === epoch || (at.epoch > epoch && isLevel === true)
}

/** Name of the last snapshot. One that was under way before may be too old. */
function snapshotSince(
  before: Progress,
  { snapshots, snapshot }: Progress,
  position: Position,
): string | undefined {
  const isNew = snapshots > before.snapshots && snapshot !== undefined
  return isNew && !isFurther(position, snapshot.at) ? snapshot.name : undefined
}

function reportOf(
  { place, at, timeMs }: PlaceStatus,
  bytes: number,
  snapshot: string | undefined,
): PlaceNow {
  return {
    place,
    position: at ? formatPosition(at) : '',
    ...(timeMs === undefined ? {} : { at: new Date(timeMs).toISOString() }),
    bytes,
    ...(snapshot === undefined ? {} : { snapshot }),
  }
}

/**
 * Which snapshots stay. A snapshot is kept where something promised has no other way, and where a
 * restore would read many changes without it. The others cost a whole database each.
 */
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { placeKey } from '../restorePlan.ts'
import { endOf, isChanges, PieceWays } from './pieceWays.ts'
import { type Promises, wantedPlaces } from './promises.ts'

/**
 * `changeFactor`: how many times its own bytes of changes a snapshot may save a restore before it
 * is kept for that alone.
 */
export function keptSnapshots(
  pieces: readonly DatedPiece[],
  promises: Promises,
  changeFactor: number,
): ReadonlySet<DatedPiece> {
  const changes = pieces.filter(isChanges)
  const begun = new Set(changes.map(({ name }) => placeKey(name.from)))
  const kept = new Set(pieces.filter((piece) => !isChanges(piece)))
  const all = new PieceWays(pieces)
  const wanted = wantedPlaces(promises).filter((place) => isReached(all, place))
  let before: DatedPiece | undefined
  for (const snapshot of [...kept]) {
    kept.delete(snapshot)
    const ways = new PieceWays([...changes, ...kept])
    const isNeeded = !wanted.every((place) => isReached(ways, place))
    const isUseful =
      before !== undefined &&
      begun.has(placeKey(endOf(snapshot))) &&
      isFar(before, snapshot, changes, changeFactor)
    if (promises.snapshots.has(snapshot) || isNeeded || isUseful) {
      kept.add(snapshot)
      before = snapshot
    }
  }
  return kept
}

export function isReached(ways: PieceWays, place: ArchivedPlace): boolean {
  return ways.leadsTo(place) || ways.holderOf(place) !== undefined
}

function isFar(
  before: DatedPiece,
  snapshot: DatedPiece,
  changes: readonly DatedPiece[],
  changeFactor: number,
): boolean {
  const bytes = new PieceWays([before, ...changes]).changeBytesTo(endOf(snapshot))
  return bytes === undefined || bytes > changeFactor * snapshot.bytes
}

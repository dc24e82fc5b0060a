/**
 * When a new snapshot is made of the last one and the changes after it. Pure. Only what the files
 * say counts, and no clock.
 */
import type { SnapshotName } from '../../../proto/archiveNames.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { DAY_MS } from '../retention/periods.ts'
import { endOf, isChanges, PieceWays, type WayPiece } from '../retention/pieceWays.ts'

export interface SnapshotBounds {
  /** Changes of as many times the bytes of the snapshot: a restore reads twice as much at 1. */
  readonly changeFactor: number
  /** Changes of fewer bytes are read in no time, whatever the snapshot has. */
  readonly leastBytes: number
  /** Age of the snapshot in ms, if a tenth of `changeFactor` has changed. */
  readonly ageMs: number
  /** Files of changes: each is opened, and over a network that is what takes time. */
  readonly files: number
}

export const SNAPSHOT_BOUNDS: SnapshotBounds = {
  changeFactor: 1,
  leastBytes: 64 * 1024 * 1024,
  ageMs: DAY_MS,
  files: 1000,
}
/** What has hardly changed needs no snapshot for its age. */
const AGED_SHARE = 0.1

export interface DueSnapshot {
  /** The last snapshot and the changes after it. */
  readonly pieces: readonly WayPiece[]
  readonly name: SnapshotName
}

/** `pieces`: in the order of their ends. */
export function dueSnapshot(
  pieces: readonly DatedPiece[],
  bounds: SnapshotBounds,
): DueSnapshot | undefined {
  const last = newestOf(pieces)
  const found = last && isChanges(last) ? lastSnapshot(pieces, last) : undefined
  if (!last?.dates || !found?.newest.dates) return undefined
  const { newest, ways } = found
  const place = endOf(last)
  const way = ways.to(place) ?? []
  const changes = way.slice(1)
  const bytes = changes.reduce((sum, each) => sum + each.bytes, 0)
  const share = bytes / Math.max(newest.bytes, 1) / bounds.changeFactor
  const ageMs = last.dates.lastMs - found.newest.dates.lastMs
  const isAged = ageMs >= bounds.ageMs && share >= AGED_SHARE
  const isDue = isAged || (share > 1 && bytes > bounds.leastBytes) || changes.length > bounds.files
  const name: SnapshotName = { kind: 'snapshot', ...place, part: 1, isLast: true }
  return isDue && changes.length > 0 ? { pieces: way, name } : undefined
}

/** Of the positions that can be reached, the last one of the highest epoch. */
function newestOf(pieces: readonly DatedPiece[]): DatedPiece | undefined {
  const ways = new PieceWays(pieces)
  return pieces
    .filter((piece) => ways.has(piece))
    .reduce<DatedPiece | undefined>(
      (newest, piece) => (newest && isNewer(newest, piece) ? newest : piece),
      undefined,
    )
}

/** What is of an epoch that is not known is no newer than anything. */
function isNewer(one: DatedPiece, other: DatedPiece): boolean {
  const epochs = [one, other].map(({ epoch = -1 }) => epoch)
  return epochs[0] === epochs[1] ? endOf(one).txid > endOf(other).txid : epochs[0] > epochs[1]
}

/** The last one from which a way leads to `last`, and the ways from it. */
function lastSnapshot(pieces: readonly DatedPiece[], last: DatedPiece) {
  for (const newest of pieces.filter((piece) => !isChanges(piece)).reverse()) {
    const ways = new PieceWays([newest, ...pieces.filter(isChanges)])
    if (ways.has(last)) return { newest, ways }
  }
  return undefined
}

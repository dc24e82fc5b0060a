/**
 * Files whose every position another file has as well: what a merge was made of, and what a crash
 * or a second process left of it.
 */
import { isThinned } from '../../../proto/archiveNames.ts'
import { type DatedPiece, UNKNOWN } from '../datedPieces.ts'
import { placeKey } from '../restorePlan.ts'
import { type ChangesPiece, isChanges, PieceWays } from './pieceWays.ts'

/**
 * The files that others replace. `verified`: keys of files that this process has read to the end;
 * no other file replaces anything.
 */
export function coveredPieces(
  pieces: readonly DatedPiece[],
  verified: ReadonlySet<string>,
): ReadonlySet<DatedPiece> {
  const ways = new PieceWays(pieces)
  const sound = new PieceWays(pieces.filter((piece) => !piece.isUnsound))
  const covers = pieces
    .filter(isWhole)
    .filter((piece) => verified.has(piece.key) && !piece.isUnsound && ways.has(piece))
  // What is reached without a broken file is not replaced by what only that one leads to.
  const isAsSound = (cover: DatedPiece, piece: DatedPiece) => sound.has(cover) || !sound.has(piece)
  const begun = byBeginning(pieces)
  const covered = pieces
    .filter(isWhole)
    .filter((piece) =>
      covers.some(
        (cover) =>
          replaces(cover, piece) && isAsSound(cover, piece) && !isJunction(cover, piece, begun),
      ),
    )
  return new Set(covered)
}

function byBeginning(pieces: readonly DatedPiece[]): ReadonlyMap<string, readonly ChangesPiece[]> {
  const begun = new Map<string, ChangesPiece[]>()
  for (const piece of pieces.filter(isChanges)) {
    const place = placeKey(piece.name.from)
    const others = begun.get(place)
    if (others) others.push(piece)
    else begun.set(place, [piece])
  }
  return begun
}

/**
 * Whether something else than the larger file goes on from the end of the smaller one: that the
 * larger one has exactly this position is not known.
 */
function isJunction(
  cover: ChangesPiece,
  { name }: ChangesPiece,
  begun: ReadonlyMap<string, readonly ChangesPiece[]>,
): boolean {
  if (cover.name.to.txid === name.to.txid) return false
  const next = begun.get(placeKey(name.to)) ?? []
  return next.some((piece) => piece !== cover && (!isWhole(piece) || !replaces(cover, piece)))
}

/**
 * Files of higher levels beside which there still is what they were made of, or something else that
 * leads from their beginning to their end. Until they are compared, they count for nothing.
 */
export function doubtedPieces(
  pieces: readonly DatedPiece[],
  verified: ReadonlySet<string>,
): ReadonlyMap<ChangesPiece, readonly ChangesPiece[]> {
  const doubted = new Map<ChangesPiece, readonly ChangesPiece[]>()
  for (const piece of pieces.filter(isChanges)) {
    if (piece.name.level === 0 || verified.has(piece.key)) continue
    const others = insideOf(piece, pieces)
    const start = { ...piece.name.from, kind: 'snapshot' as const, part: 1, isLast: true }
    const snapshot = { name: start, files: [], bytes: 0, key: '', ...UNKNOWN }
    const way = new PieceWays([snapshot, ...others], { isForked: false }).to(piece.name.to)
    if (way) doubted.set(piece, way.filter(isChanges))
  }
  return doubted
}

/** What a file may be made of: of lower levels, and between its ends. */
function insideOf(piece: ChangesPiece, pieces: readonly DatedPiece[]): ChangesPiece[] {
  const { from, to, level } = piece.name
  return pieces.filter(isChanges).filter(({ name }) => {
    const isIn = from.txid <= name.from.txid && name.to.txid <= to.txid
    return isIn && name.level < level
  })
}

function isWhole(piece: DatedPiece): piece is ChangesPiece {
  return isChanges(piece) && !isThinned(piece.name)
}

/** The history of an incarnation is one: equal txids are equal positions. */
function replaces(cover: ChangesPiece, { name }: ChangesPiece): boolean {
  const { from, to, level } = cover.name
  const isIn =
    to.incarnation === name.to.incarnation && from.txid <= name.from.txid && name.to.txid <= to.txid
  const isLarger = from.txid < name.from.txid || name.to.txid < to.txid
  const isOfIt =
    from.txid === name.from.txid
      ? from.incarnation === name.from.incarnation
      : name.from.incarnation === to.incarnation
  return isIn && isOfIt && (isLarger || level > name.level)
}

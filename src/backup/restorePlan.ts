/**
 * Which files of an archive lead to a position: a snapshot, and changes that follow each other from
 * it. Of all ways the one with the fewest bytes is taken.
 *
 * A file may begin inside another one, where a new leader branched off. The way then leaves that
 * other file there, and what is behind is not applied.
 */
import {
  type ArchivedPlace,
  type ArchiveName,
  type ArchivePart,
  formatArchiveName,
  isThinned,
} from '../../proto/archiveNames.ts'
import { OpenRuns } from './openRuns.ts'

/** A file of a store. */
export interface StoredFile {
  readonly name: ArchiveName
  readonly bytes: number
}

/** Files that belong together: all parts of a snapshot, or of a run of changes. */
export interface Piece {
  readonly name: ArchiveName
  readonly files: readonly StoredFile[]
  readonly bytes: number
}

/** A file on a way, and the last txid of it that is on the way; absent: all of it. */
export interface PlannedFile extends StoredFile {
  readonly upTo?: number
}

/** The same of a piece. */
export interface PlannedPiece extends Piece {
  readonly upTo?: number
}

export interface RestorePlan {
  readonly snapshot: readonly PlannedFile[]
  /** In the order in which they are applied. The last ones may go past the position. */
  readonly changes: readonly PlannedFile[]
  readonly bytes: number
}

/** The best way to a place that is known. */
interface Way {
  readonly bytes: number
  readonly piece: Piece
  /** Where the way leaves the piece, when that is before its end. */
  readonly upTo?: number
  /** The way to where `piece` begins; undefined when that is a snapshot. */
  readonly before: Way | undefined
}

/**
 * The way to `target`; undefined when no files lead there. Files that hold the target among others,
 * or a position at which another file begins, count when they end behind it: whether they have
 * exactly this position is for who reads them. `without`: `claimKey` of what is known to be wrong.
 */
export function planRestore(
  files: readonly StoredFile[],
  target: ArchivedPlace,
  without: ReadonlySet<string> = new Set(),
): RestorePlan | undefined {
  const pieces = piecesOf(files)
  const ways = waysOf(pieces, without)
  const [best] = pieces
    .filter(({ name }) => holds(name, target) && !without.has(claimKey(name, target.txid)))
    .flatMap((piece) => ways.get(piece) ?? [])
    .sort((a, b) => a.bytes - b.bytes)
  return best && planOf(best)
}

/** Names the claim that a piece has the position `txid`. */
export function claimKey(name: ArchiveName, txid: number): string {
  return `${pieceName(name)} ${txid}`
}

/** The name that all parts of a piece share. */
export function pieceName(name: ArchiveName): string {
  return formatArchiveName({ ...name, part: 1, isLast: true })
}

/** The pieces to which a way leads from a snapshot. `without`: as in `planRestore`. */
export function reachablePieces(
  files: readonly StoredFile[],
  without: ReadonlySet<string> = new Set(),
): Piece[] {
  const pieces = piecesOf(files)
  const ways = waysOf(pieces, without)
  return pieces.filter((piece) => ways.has(piece))
}

/** All parts of each, or nothing of it. */
export function piecesOf(files: readonly StoredFile[]): Piece[] {
  const groups = new Map<string, StoredFile[]>()
  for (const file of files) {
    const key = pieceName(file.name)
    groups.set(key, [...(groups.get(key) ?? []), file])
  }
  return [...groups.values()].flatMap((group) => {
    const parts = group.toSorted((a, b) => a.name.part - b.name.part)
    const bytes = parts.reduce((sum, file) => sum + file.bytes, 0)
    return isWhole(parts.map(({ name }) => name))
      ? [{ name: parts[0].name, files: parts, bytes }]
      : []
  })
}

function isWhole(parts: readonly ArchivePart[]): boolean {
  return parts.every(({ part, isLast }, i) => part === i + 1 && isLast === (i === parts.length - 1))
}

/**
 * The best way that ends with each piece; none where nothing leads to its beginning. A run of
 * changes ends at a higher txid than it begins at. So what leads to its beginning is known when the
 * runs are taken in the order of their beginnings.
 */
function waysOf(pieces: readonly Piece[], without: ReadonlySet<string>): ReadonlyMap<Piece, Way> {
  const ways = new Map<Piece, Way>()
  const ends = new Map<string, Way>()
  const open = new OpenRuns<Way>()
  for (const piece of pieces.toSorted((a, b) => beginningOf(a) - beginningOf(b))) {
    const way = wayBy(piece, (from) => ends.get(placeKey(from)) ?? leaving(open, from, without))
    if (!way) continue
    ways.set(piece, way)
    open.add(piece.name, way)
    const place = placeKey(endOf(piece.name))
    const known = ends.get(place)
    if (!known || way.bytes < known.bytes) ends.set(place, way)
  }
  return ways
}

function wayBy(piece: Piece, wayTo: (from: ArchivedPlace) => Way | undefined): Way | undefined {
  const { name, bytes } = piece
  if (name.kind === 'snapshot') return { bytes, piece, before: undefined }
  const before = wayTo(name.from)
  return before && { bytes: before.bytes + bytes, piece, before }
}

/** The best way to a place inside a file. */
function leaving(
  open: OpenRuns<Way>,
  place: ArchivedPlace,
  without: ReadonlySet<string>,
): Way | undefined {
  const [best] = open
    .at(place)
    .filter(({ piece }) => !without.has(claimKey(piece.name, place.txid)))
    .toSorted((a, b) => a.bytes - b.bytes)
  return best && { ...best, upTo: place.txid }
}

/** A snapshot comes before the changes that begin at it. */
function beginningOf({ name }: Piece): number {
  return name.kind === 'snapshot' ? name.txid - 0.5 : name.from.txid
}

/** What a restore on this way reads. */
export function bytesOf(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** The last position of a piece. */
export function endOf(name: ArchiveName): ArchivedPlace {
  return name.kind === 'snapshot' ? name : name.to
}

function holds(name: ArchiveName, { incarnation, txid }: ArchivedPlace): boolean {
  const end = endOf(name)
  if (end.incarnation !== incarnation) return false
  if (txid === end.txid) return true
  return name.kind === 'changes' && !isThinned(name) && name.from.txid < txid && txid < end.txid
}

function planOf(best: Way): RestorePlan {
  const changes: PlannedFile[] = []
  let way = best
  while (way.before) {
    const { upTo, piece } = way
    changes.unshift(...(upTo === undefined ? piece.files : piece.files.map(leftAt(upTo))))
    way = way.before
  }
  return { snapshot: way.piece.files, changes, bytes: best.bytes }
}

function leftAt(upTo: number): (file: StoredFile) => PlannedFile {
  return (file) => ({ ...file, upTo })
}

/** The same for equal places, and for no others. */
export function placeKey({ incarnation, txid }: ArchivedPlace): string {
  return `${incarnation} ${txid}`
}

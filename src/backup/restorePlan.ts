/**
 * Which files of an archive lead to a position: a snapshot, and changes that follow each other from
 * it. Of all ways the one with the fewest bytes is taken.
 */
import {
  type ArchivedPlace,
  type ArchiveName,
  type ArchivePart,
  formatArchiveName,
} from '../../proto/archiveNames.ts'

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

export interface RestorePlan {
  readonly snapshot: readonly StoredFile[]
  /** In the order in which they are applied. The last ones may go past the position. */
  readonly changes: readonly StoredFile[]
  readonly bytes: number
}

/** The best way to a place that is known. */
interface Way {
  readonly bytes: number
  readonly piece: Piece
  /** The way to where `piece` begins; undefined when that is a snapshot. */
  readonly before: Way | undefined
}

/**
 * The way to `target`; undefined when no files lead there. Files that hold the target among others
 * count when they end behind it: whether they have exactly this position is for who reads them.
 */
export function planRestore(
  files: readonly StoredFile[],
  target: ArchivedPlace,
): RestorePlan | undefined {
  const pieces = piecesOf(files)
  const ways = waysTo(pieces)
  const [best] = pieces
    .filter(({ name }) => holds(name, target))
    .flatMap((piece) => wayBy(piece, ways) ?? [])
    .sort((a, b) => a.bytes - b.bytes)
  return best && planOf(best)
}

/** All parts of each, or nothing of it. */
export function piecesOf(files: readonly StoredFile[]): Piece[] {
  const groups = new Map<string, StoredFile[]>()
  for (const file of files) {
    const key = formatArchiveName({ ...file.name, part: 1, isLast: true })
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
 * The best way to each place. A run of changes ends at a higher txid than it begins at. So what
 * leads to its beginning is known when the runs are taken in the order of their beginnings.
 */
function waysTo(pieces: readonly Piece[]): ReadonlyMap<string, Way> {
  const ways = new Map<string, Way>()
  for (const piece of pieces.toSorted((a, b) => beginningOf(a) - beginningOf(b))) {
    const way = wayBy(piece, ways)
    const place = keyOf(endOf(piece.name))
    const known = ways.get(place)
    if (way && (!known || way.bytes < known.bytes)) ways.set(place, way)
  }
  return ways
}

/** The way that ends with `piece`; undefined when nothing leads to its beginning. */
function wayBy(piece: Piece, ways: ReadonlyMap<string, Way>): Way | undefined {
  const { name, bytes } = piece
  if (name.kind === 'snapshot') return { bytes, piece, before: undefined }
  const before = ways.get(keyOf(name.from))
  return before && { bytes: before.bytes + bytes, piece, before }
}

/** A snapshot comes before the changes that begin at it. */
function beginningOf({ name }: Piece): number {
  return name.kind === 'snapshot' ? name.txid - 0.5 : name.from.txid
}

function endOf(name: ArchiveName): ArchivedPlace {
  return name.kind === 'snapshot' ? name : name.to
}

function holds(name: ArchiveName, { incarnation, txid }: ArchivedPlace): boolean {
  const end = endOf(name)
  if (end.incarnation !== incarnation) return false
  return name.kind === 'snapshot' ? txid === end.txid : name.from.txid < txid && txid <= end.txid
}

function planOf(best: Way): RestorePlan {
  const changes: StoredFile[] = []
  let way = best
  while (way.before) {
    changes.unshift(...way.piece.files)
    way = way.before
  }
  return { snapshot: way.piece.files, changes, bytes: best.bytes }
}

function keyOf({ incarnation, txid }: ArchivedPlace): string {
  return `${incarnation} ${txid}`
}

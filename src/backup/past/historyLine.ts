/**
 * The history that an archive tells, as a line of files from the oldest position to the newest one.
 * Names alone make it; headers are read only where histories part.
 *
 * A node that begins to lead begins an incarnation, at a position of the one before. The line goes
 * back from the newest position: what a failover left behind is not on it.
 */
import type { ArchivedPlace, ArchiveName } from '../../../proto/archiveNames.ts'
import { type Piece, piecesOf, type StoredFile } from '../restorePlan.ts'
import type { OpenFiles } from './openFiles.ts'

/** Positions with txids above `after` up to `upTo`, in the files of one piece. */
export interface LinePart {
  readonly piece: Piece
  readonly incarnation: string
  readonly after: number
  readonly upTo: number
}

/** The pieces of one incarnation by level, each level ascending by where they end. */
type Levels = ReadonlyMap<number, readonly Piece[]>

export class HistoryLine {
  readonly #incarnations: ReadonlyMap<string, Levels>
  readonly #pieces: readonly Piece[]

  constructor(stored: readonly StoredFile[]) {
    this.#pieces = piecesOf(stored)
    const byIncarnation = grouped(this.#pieces, ({ name }) => endOf(name).incarnation)
    this.#incarnations = new Map(
      [...byIncarnation].map(([incarnation, pieces]) => [incarnation, levelsOf(pieces)]),
    )
  }

  get incarnations(): string[] {
    return [...this.#incarnations.keys()]
  }

  /** Oldest first. Empty when there are no files. */
  async newest(files: OpenFiles): Promise<LinePart[]> {
    const parts: LinePart[] = []
    for (let at = await this.#newestEnd(files); at; ) {
      const part = this.#partTo(at)
      if (!part) break
      parts.push(part)
      at = this.#before(part)
    }
    return parts.reverse()
  }

  /** All positions of an incarnation, whether the newest line has them or not. Oldest first. */
  of(incarnation: string): LinePart[] {
    const parts: LinePart[] = []
    for (let txid = Number.POSITIVE_INFINITY; ; ) {
      const part = this.#partTo({ incarnation, txid })
      if (!part) return parts.reverse()
      parts.push(part)
      txid = part.after
    }
  }

  /**
   * Files that hold all changes after `before` up to `after`, as few as there are: newest first.
   * Undefined when `before` does not lead to `after` without a gap.
   */
  between(before: ArchivedPlace, after: ArchivedPlace): Piece[] | undefined {
    const pieces: Piece[] = []
    for (let at = after; ; ) {
      if (at.incarnation === before.incarnation && at.txid <= before.txid) return pieces
      const piece = this.#widest(at, before)
      if (piece?.name.kind !== 'changes') return undefined
      pieces.push(piece)
      at = piece.name.from
    }
  }

  /** The changes to `at` that begin earliest, yet not before `least` when there are such. */
  #widest({ incarnation, txid }: ArchivedPlace, least: ArchivedPlace): Piece | undefined {
    const holding: Piece[] = []
    for (const [, pieces] of this.#incarnations.get(incarnation) ?? []) {
      const piece = pieces[firstEnding(pieces, txid)]
      if (piece?.name.kind === 'changes' && piece.name.from.txid < txid) holding.push(piece)
    }
    const rank = ({ name }: Piece) => {
      const begins = beginningOf(name)
      return begins >= least.txid ? begins : Number.MAX_SAFE_INTEGER - begins
    }
    return holding.sort((a, b) => rank(a) - rank(b))[0]
  }

  /** Of the highest epoch, and of the highest txid in it. */
  async #newestEnd(files: OpenFiles): Promise<ArchivedPlace | undefined> {
    // An incarnation that another one follows is not the newest, whatever it holds beyond that.
    const followed = new Set(
      this.#pieces.flatMap(({ name }) => {
        const isFirst = name.kind === 'changes' && name.from.incarnation !== name.to.incarnation
        return isFirst ? [name.from.incarnation] : []
      }),
    )
    let newest: { readonly end: ArchivedPlace; readonly epoch: number } | undefined
    for (const [incarnation, levels] of this.#incarnations) {
      if (followed.has(incarnation)) continue
      const last = lastOf([...levels.values()].flatMap((pieces) => pieces.slice(-1)))
      if (!last) continue
      const { epoch } = (await files.get(last.files[0])).header
      const end = endOf(last.name)
      const isNewer = !newest || epoch > newest.epoch
      if (isNewer || (epoch === newest?.epoch && end.txid > newest.end.txid))
        newest = { end, epoch }
    }
    return newest?.end
  }

  /** The finest files that hold this position, or else the last one of its incarnation before. */
  #partTo({ incarnation, txid }: ArchivedPlace): LinePart | undefined {
    const earlier: Piece[] = []
    for (const [, pieces] of this.#incarnations.get(incarnation) ?? []) {
      const i = firstEnding(pieces, txid)
      const piece = pieces[i]
      if (piece && beginningOf(piece.name) < txid) return partOf(piece, txid)
      if (i > 0) earlier.push(pieces[i - 1])
    }
    const last = lastOf(earlier)
    return last && this.#partTo(endOf(last.name))
  }

  /** The position before those of `part`. */
  #before(part: LinePart): ArchivedPlace | undefined {
    const { name } = part.piece
    if (name.kind === 'changes') return name.from
    const { incarnation, txid } = name
    const isEarlier = [...(this.#incarnations.get(incarnation)?.values() ?? [])].some(
      ([first]) => endOf(first.name).txid < txid,
    )
    if (isEarlier) return { incarnation, txid: txid - 1 }
    // Where its history begins with a snapshot, the last position before it may be of another one.
    const others = this.#pieces.filter((piece) => endOf(piece.name).txid < txid)
    const last = lastOf(others)
    return last && endOf(last.name)
  }
}

export function endOf(name: ArchiveName): ArchivedPlace {
  return name.kind === 'snapshot' ? name : name.to
}

function levelsOf(pieces: readonly Piece[]): Levels {
  const levels = grouped(pieces, ({ name }) => levelOf(name))
  const ends = (piece: Piece) => endOf(piece.name).txid
  return new Map(
    [...levels]
      .sort(([a], [b]) => a - b)
      .map(([level, each]) => [level, each.toSorted((a, b) => ends(a) - ends(b))]),
  )
}

function grouped<K>(pieces: readonly Piece[], keyOf: (piece: Piece) => K): Map<K, Piece[]> {
  const groups = new Map<K, Piece[]>()
  for (const piece of pieces) {
    const group = groups.get(keyOf(piece))
    if (group) group.push(piece)
    else groups.set(keyOf(piece), [piece])
  }
  return groups
}

/** Changes come before a snapshot of the same position: they tell when it was. */
function levelOf(name: ArchiveName): number {
  return name.kind === 'snapshot' ? Number.POSITIVE_INFINITY : name.level
}

/** Place of the first piece that ends at `txid` or later. */
function firstEnding(pieces: readonly Piece[], txid: number): number {
  let [low, high] = [0, pieces.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (endOf(pieces[middle].name).txid < txid) low = middle + 1
    else high = middle
  }
  return low
}

function lastOf(pieces: readonly Piece[]): Piece | undefined {
  const ends = (piece: Piece) => endOf(piece.name).txid
  return pieces.reduce<Piece | undefined>(
    (last, piece) => (last && ends(last) >= ends(piece) ? last : piece),
    undefined,
  )
}

function partOf(piece: Piece, upTo: number): LinePart {
  const { incarnation } = endOf(piece.name)
  return { piece, incarnation, after: beginningOf(piece.name), upTo }
}

/** A snapshot holds its own position only. */
function beginningOf(name: ArchiveName): number {
  return name.kind === 'snapshot' ? name.txid - 1 : name.from.txid
}

/**
 * Ways through the files of an archive, from snapshots to positions. `planRestore` takes the one
 * with the fewest bytes; retention keeps the one with the fewest files, and of equal ones that of
 * the highest level, so that what was merged or thinned replaces what it was made of.
 */
import type { ArchivedPlace, ChangesName } from '../../../proto/archiveNames.ts'
import { isThinned } from '../../../proto/archiveNames.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { OpenRuns } from '../openRuns.ts'
import type { PlannedPiece } from '../restorePlan.ts'
import { placeKey } from '../restorePlan.ts'

export interface ChangesPiece extends DatedPiece {
  readonly name: ChangesName
}

export function isChanges(piece: DatedPiece): piece is ChangesPiece {
  return piece.name.kind === 'changes'
}

export function endOf({ name }: DatedPiece): ArchivedPlace {
  return name.kind === 'snapshot' ? name : name.to
}

interface Way {
  readonly pieces: number
  readonly levels: number
  readonly bytes: number
  readonly piece: DatedPiece
  /** Where the way leaves the piece, when that is before its end. */
  readonly upTo?: number
  readonly before: Way | undefined
}

/** A file on a way, and the last txid of it that is on the way; absent: all of it. */
export type WayPiece = DatedPiece & PlannedPiece

export interface WayOptions {
  /** Whether a way may leave a file before its end, where another one begins. */
  readonly isForked: boolean
}

export class PieceWays {
  /** By the place where each ends. */
  readonly #ways = new Map<string, Way>()
  readonly #byPiece = new Map<DatedPiece, Way>()
  readonly #changes: readonly ChangesPiece[]
  readonly #left = new Set<DatedPiece>()

  constructor(pieces: readonly DatedPiece[], { isForked }: WayOptions = { isForked: true }) {
    this.#changes = pieces
      .filter((piece) => isChanges(piece))
      .toSorted((a, b) => a.name.from.txid - b.name.from.txid)
    for (const piece of pieces)
      if (!isChanges(piece)) this.#add({ pieces: 0, levels: 0, bytes: 0, piece, before: undefined })
    const open = new OpenRuns<Way>()
    // A run ends at a higher txid than it begins at: what leads to its beginning is known by now.
    for (const piece of this.#changes) {
      const { from } = piece.name
      const before = this.#ways.get(placeKey(from)) ?? (isForked && this.#leaving(open, from))
      if (!before) continue
      const way = {
        pieces: before.pieces + 1,
        levels: before.levels + piece.name.level,
        bytes: before.bytes + piece.bytes,
        ...{ piece, before },
      }
      this.#add(way)
      open.add(piece.name, way)
    }
  }

  /** Files that a way leaves before their end: they must keep the positions inside. */
  get left(): ReadonlySet<DatedPiece> {
    return this.#left
  }

  /** Whether a way leads to the end of this file. */
  has(piece: DatedPiece): boolean {
    return this.#byPiece.has(piece)
  }

  /** The best way to the end of some file, the snapshot first. */
  to(place: ArchivedPlace): readonly WayPiece[] | undefined {
    const way = this.#ways.get(placeKey(place))
    return way && piecesOf(way)
  }

  /** The files of the best way to a file that ends with this position, or has it among others. */
  filesTo(place: ArchivedPlace): readonly DatedPiece[] | undefined {
    const holder = this.leadsTo(place) ? undefined : this.holderOf(place)
    const way = holder ? this.#byPiece.get(holder) : this.#ways.get(placeKey(place))
    const files: DatedPiece[] = []
    for (let at = way; at; at = at.before) files.push(at.piece)
    return way && files
  }

  /** Whether a file ends there, or a snapshot is there, and a way leads to it. */
  leadsTo(place: ArchivedPlace): boolean {
    return this.#ways.has(placeKey(place))
  }

  /** Bytes of the changes on the way; undefined when none leads there. */
  changeBytesTo(place: ArchivedPlace): number | undefined {
    return this.#ways.get(placeKey(place))?.bytes
  }

  /** A file that a way leads to and that has this position among others. */
  holderOf({ incarnation, txid }: ArchivedPlace): ChangesPiece | undefined {
    return this.#changes.find((piece) => {
      const { from, to } = piece.name
      const isIn = to.incarnation === incarnation && from.txid < txid && txid < to.txid
      return isIn && !isThinned(piece.name) && this.has(piece)
    })
  }

  #leaving(open: OpenRuns<Way>, place: ArchivedPlace): Way | undefined {
    const [best] = open.at(place).toSorted(byWorth)
    if (best) this.#left.add(best.piece)
    return best && { ...best, upTo: place.txid }
  }

  #add(way: Way): void {
    this.#byPiece.set(way.piece, way)
    const place = placeKey(endOf(way.piece))
    const known = this.#ways.get(place)
    if (!known || byWorth(way, known) < 0) this.#ways.set(place, way)
  }
}

function piecesOf(last: Way): WayPiece[] {
  const found: WayPiece[] = []
  for (let way: Way | undefined = last; way; way = way.before)
    found.unshift(way.upTo === undefined ? way.piece : { ...way.piece, upTo: way.upTo })
  return found
}

/** The better one first. */
function byWorth(one: Way, other: Way): number {
  return one.pieces - other.pieces || other.levels - one.levels || one.bytes - other.bytes
}

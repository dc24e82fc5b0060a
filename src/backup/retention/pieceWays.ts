/**
 * Ways through the files of an archive, from snapshots to positions. `planRestore` takes the one
 * with the fewest bytes; retention keeps the one with the fewest files, and of equal ones that of
 * the highest level, so that what was merged or thinned replaces what it was made of.
 */
import type { ArchivedPlace, ChangesName } from '../../../proto/archiveNames.ts'
import { isThinned } from '../../../proto/archiveNames.ts'
import { placeKey } from '../compaction/levels.ts'
import type { DatedPiece } from '../datedPieces.ts'

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
  readonly before: Way | undefined
}

export class PieceWays {
  readonly #ways = new Map<string, Way>()
  readonly #changes: readonly ChangesPiece[]

  constructor(pieces: readonly DatedPiece[]) {
    this.#changes = pieces
      .filter((piece) => isChanges(piece))
      .toSorted((a, b) => a.name.from.txid - b.name.from.txid)
    for (const piece of pieces)
      if (!isChanges(piece)) this.#add({ pieces: 0, levels: 0, bytes: 0, piece, before: undefined })
    // A run ends at a higher txid than it begins at: what leads to its beginning is known by now.
    for (const piece of this.#changes) {
      const before = this.#ways.get(placeKey(piece.name.from))
      if (before)
        this.#add({
          pieces: before.pieces + 1,
          levels: before.levels + piece.name.level,
          bytes: before.bytes + piece.bytes,
          ...{ piece, before },
        })
    }
  }

  /** The files of the best way to the end of some file, the snapshot first. */
  to(place: ArchivedPlace): readonly DatedPiece[] | undefined {
    const found: DatedPiece[] = []
    let way = this.#ways.get(placeKey(place))
    if (!way) return undefined
    for (; way; way = way.before) found.unshift(way.piece)
    return found
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
    return this.#changes.find(({ name }) => {
      const { from, to } = name
      const isIn = to.incarnation === incarnation && from.txid < txid && txid < to.txid
      return isIn && !isThinned(name) && this.leadsTo(from)
    })
  }

  #add(way: Way): void {
    const place = placeKey(endOf(way.piece))
    const known = this.#ways.get(place)
    if (!known || isBetter(way, known)) this.#ways.set(place, way)
  }
}

function isBetter(one: Way, other: Way): boolean {
  return (one.pieces - other.pieces || other.levels - one.levels || one.bytes - other.bytes) < 0
}

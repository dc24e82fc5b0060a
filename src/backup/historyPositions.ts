/**
 * The positions of one history, found by reading the index of few files: names have txids alone.
 */
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import type { WalcastError } from '../errors.ts'
import type { Archive } from './archive.ts'
import { isOfOneFile } from './contentFailures.ts'
import type { History, Span } from './histories.ts'
import { lastIndex } from './lastIndex.ts'
import { endOf, type Piece, pieceName } from './restorePlan.ts'

export interface ArchivedPosition extends ArchivedPlace {
  readonly epoch: number
  /** When the leader noticed the commit, ms since 1970 in its clock. */
  readonly timeMs: number
}

/** What lies on both sides of a txid. */
export interface Around {
  /** The txid itself. */
  readonly exact: ArchivedPosition | undefined
  readonly before: ArchivedPosition | undefined
  readonly after: ArchivedPosition | undefined
}

/** Pieces that cannot be read, by `pieceName`, and why. */
export type BadPieces = Map<string, WalcastError>

/** Positions of so many pieces are kept. */
const MAX_KEPT = 256

export class HistoryPositions {
  readonly #archive: Archive
  readonly #history: History
  /** In the order of their beginnings; of those that begin together, the longest first. */
  readonly #pieces: readonly Piece[]
  readonly #bad: BadPieces
  readonly #kept = new Map<string, Promise<readonly ArchivedPosition[]>>()

  /** Those that cannot be read are added to `bad`, and count as if they had no positions. */
  constructor(archive: Archive, history: History, pieces: readonly Piece[], bad: BadPieces) {
    this.#archive = archive
    this.#bad = bad
    this.#history = history
    const own = pieces.filter((piece) => spanOf(piece, history) !== undefined)
    this.#pieces = own
      .filter((piece) => piece.name.kind === 'changes' || !isCovered(piece, own))
      .toSorted((a, b) => startOf(a) - startOf(b) || endOf(b.name).txid - endOf(a.name).txid)
  }

  /** The last txid of a piece in this history: another one may have branched off inside it. */
  #end(piece: Piece): number {
    return Math.min(endOf(piece.name).txid, spanOf(piece, this.#history)?.last ?? Infinity)
  }

  async first(): Promise<ArchivedPosition | undefined> {
    return (await this.around(-1)).after
  }

  /** The position with this txid, and its neighbours. */
  async around(txid: number): Promise<Around> {
    const known = await this.#positions(this.#near(txid))
    return {
      exact: known.find((position) => position.txid === txid),
      before: known.findLast((position) => position.txid < txid),
      after: known.find((position) => position.txid > txid),
    }
  }

  /**
   * The last position that was noticed at `timeMs` or before. Incarnations are looked at from the
   * newest to the oldest, since each has the clock of its own leader.
   */
  async upTo(timeMs: number): Promise<ArchivedPosition | undefined> {
    for (const { head } of this.#history.toReversed()) {
      const own = this.#pieces.filter(({ name }) => endOf(name).incarnation === head.id)
      const index = await lastIndex(own.length, async (i) =>
        (await this.#positionsOf(own[i])).some((each) => each.timeMs <= timeMs),
      )
      if (index < 0) continue
      const found = lastUpTo(await this.#positionsOf(own[index]), timeMs)
      if (!found) continue
      // Longer files that begin before it may have later positions.
      const longer = own.slice(0, index).filter(({ name }) => endOf(name).txid > found.txid)
      return lastUpTo(await this.#positions(longer), timeMs, found)
    }
    return undefined
  }

  /**
   * Whether positions after this one were archived and cannot be read. What another incarnation
   * begins with a snapshot need not follow at once.
   */
  isCutOffAfter({ incarnation, txid }: ArchivedPlace): boolean {
    const later = this.#pieces.filter((piece) => this.#end(piece) > txid)
    const isBad = ({ name }: Piece) => this.#bad.has(pieceName(name))
    const here = later.filter((piece) => startOf(piece) <= txid)
    if (here.some((piece) => !isBad(piece))) return false
    if (here.length > 0) return true
    const [next] = later
    return next?.name.kind === 'changes' || (next && endOf(next.name).incarnation === incarnation)
  }

  /** Pieces that may have the position `txid` or one of its neighbours. */
  #near(txid: number): Piece[] {
    const straddling = this.#pieces.filter(
      (piece) => startOf(piece) < txid && txid <= this.#end(piece) + 1,
    )
    const before = this.#pieces.filter((piece) => this.#end(piece) < txid)
    const after = this.#pieces.filter((piece) => startOf(piece) >= txid)
    const highest = before.reduce((most, piece) => Math.max(most, this.#end(piece)), -1)
    const lowest = after.reduce((least, piece) => Math.min(least, startOf(piece)), Infinity)
    return [
      ...straddling,
      ...before.filter((piece) => this.#end(piece) === highest).slice(-1),
      ...after.filter((piece) => startOf(piece) === lowest),
    ]
  }

  /** Of several pieces, ascending by txid. */
  async #positions(pieces: readonly Piece[]): Promise<ArchivedPosition[]> {
    const all = await Promise.all([...new Set(pieces)].map((piece) => this.#positionsOf(piece)))
    return all.flat().toSorted((a, b) => a.txid - b.txid)
  }

  #positionsOf(piece: Piece): Promise<readonly ArchivedPosition[]> {
    const key = pieceName(piece.name)
    const kept = this.#kept.get(key)
    if (kept) return kept
    const read = this.#read(piece).catch((error) => this.#without(key, error))
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete([...this.#kept.keys()][0])
    this.#kept.set(key, read)
    return read
  }

  #without(key: string, error: unknown): readonly ArchivedPosition[] {
    if (!isOfOneFile(error)) throw error
    this.#bad.set(key, error)
    return []
  }

  async #read(piece: Piece): Promise<ArchivedPosition[]> {
    const positions: ArchivedPosition[] = []
    const span = spanOf(piece, this.#history)
    for (const { name } of piece.files)
      await this.#archive.use(name, async ({ header, points, isOpen }) => {
        const { incarnation, epoch } = header
        for (const { txid, timeMs } of isOpen ? points.slice(0, -1) : points)
          if (span && txid >= span.first && txid <= span.last)
            positions.push({ incarnation, epoch, txid, timeMs })
      })
    return positions
  }
}

function spanOf({ name }: Piece, history: History): Span | undefined {
  const { incarnation } = endOf(name)
  const span = history.find(({ head }) => head.id === incarnation)
  const start = name.kind === 'snapshot' ? name.txid - 1 : name.from.txid
  return span && start < span.last ? span : undefined
}

/** The txid after which a piece begins. */
export function startOf({ name }: Piece): number {
  return name.kind === 'snapshot' ? name.txid - 1 : name.from.txid
}

/** Whether changes have the position of a snapshot too. */
function isCovered({ name }: Piece, pieces: readonly Piece[]): boolean {
  const { incarnation, txid } = endOf(name)
  return pieces.some(
    (piece) =>
      piece.name.kind === 'changes' &&
      endOf(piece.name).incarnation === incarnation &&
      startOf(piece) < txid &&
      txid <= endOf(piece.name).txid,
  )
}

function lastUpTo(
  positions: readonly ArchivedPosition[],
  timeMs: number,
  least?: ArchivedPosition,
): ArchivedPosition | undefined {
  const last = positions.findLast((each) => each.timeMs <= timeMs)
  return !last || (least && least.txid >= last.txid) ? least : last
}

/**
 * Applies batches to the copy. A batch becomes visible only after the state checksum that it leads
 * to has been verified.
 *
 * Invariant: between two calls, `sums` and `position` are the published state of the copy, or a
 * transaction is under way (`isOpen`) whose frames lie unpublished behind it.
 */
import { payloadPage, payloadPageNumber } from '../../../proto/codec.ts'
import type { Standing } from '../../../proto/lineage.ts'
import type { Body } from '../../../proto/messages.ts'
import { WalcastError } from '../../errors.ts'
import { NO_COUNTERS } from '../../sqlite/databaseHeader.ts'
import type { PageImages } from '../../sqlite/frameBuffer.ts'
import { type PageSums, pageSum } from '../../sqlite/pageSums.ts'
import type { PositionLog } from '../../sqlite/positionLog.ts'
import type { WalPlace, WalWriter } from '../../sqlite/walWriter.ts'
import { checksumHex } from '../../xxh64.ts'

/** The fields of a batch, or of pages of a resync, that matter here. */
interface PagesMessage {
  readonly pages: number
  readonly pageSize: number
  readonly dbPages: number
  /** State checksum after the last page. */
  readonly checksum?: string
}

export class Applier {
  readonly #writer: WalWriter
  readonly #sums: PageSums
  readonly #positions: PositionLog
  readonly #pageSize: number
  #position: Standing
  #chunk = 0
  #isSyncing = false

  constructor(
    writer: WalWriter,
    sums: PageSums,
    positions: PositionLog,
    pageSize: number,
    position: Standing,
  ) {
    this.#writer = writer
    this.#sums = sums
    this.#positions = positions
    this.#pageSize = pageSize
    this.#position = position
  }

  get position(): Standing {
    return this.#position
  }

  get sums(): PageSums {
    return this.#sums
  }

  /** State checksum at `position`, as hex. */
  get checksum(): string {
    return checksumHex(this.#sums.settled.state)
  }

  /** Size of the database at `position`, in pages. */
  get pages(): number {
    return this.#sums.settled.pages
  }

  /** A part of a transaction has arrived. */
  get isOpen(): boolean {
    return this.#chunk > 0 || this.#isSyncing
  }

  /** Pages of a resync have arrived. */
  get isSyncing(): boolean {
    return this.#isSyncing
  }

  /**
   * Applies a batch or a chunk of one. Returns true when the batch is whole and visible. Throws
   * STATE_MISMATCH or a write error; then nothing of the batch is visible.
   */
  applyBatch(batch: Body<'batch'>, payload: Buffer): boolean {
    const { epoch, incarnation, txid } = this.#position
    if (
      batch.epoch !== epoch ||
      batch.fromTxid !== txid ||
      batch.chunk !== this.#chunk ||
      batch.txid <= txid
    ) {
      throw mismatch(
        `batch ${batch.fromTxid}-${batch.txid} (chunk ${batch.chunk})`,
        `${epoch}-${txid} chunk ${this.#chunk}`,
        `${batch.epoch}-${batch.fromTxid}`,
      )
    }
    return this.#guarded(() => {
      if (batch.last) {
        this.#finish({ epoch, incarnation, txid: batch.txid }, batch, payload)
        return true
      }
      this.#addPages(batch, payload)
      this.#chunk++
      return false
    })
  }

  /**
   * The present state is also one of another incarnation of the leader; the position moves there.
   */
  enter({ epoch, incarnation }: Pick<Standing, 'epoch' | 'incarnation'>): void {
    const position = { epoch, incarnation, txid: this.#position.txid }
    const { state: checksum, pages } = this.#sums.settled
    this.#record(position, checksum, pages, this.#writer.tail)
    this.#position = position
  }

  /**
   * Takes page images of a resync, which stay invisible until `finishSync`. When it throws, the
   * images that came before stay.
   */
  addPages(pages: Body<'pages'>, payload: Buffer): void {
    this.#isSyncing = true
    const [sums, frames] = [this.#sums.mark(), this.#writer.mark()]
    try {
      this.#addPages(pages, payload)
    } catch (error) {
      this.#sums.returnTo(sums)
      this.#writer.returnTo(frames)
      throw error
    }
  }

  /** Takes the last page images of a resync and makes all of them visible as one commit. */
  finishSync(synced: Body<'synced'>, payload: Buffer): void {
    this.#guarded(() => {
      const { epoch, incarnation, txid } = synced
      this.#finish({ epoch, incarnation, txid }, synced, payload)
    })
  }

  /**
   * Takes up the page images that a crash has left of a resync. The comparison with the leader
   * tells which of them count.
   */
  async takeUp(): Promise<void> {
    await this.#writer.takeUp((page, image) => this.#sums.set(page, pageSum(page, image)))
    this.#isSyncing = this.#writer.hasPending
  }

  /** Pages of a resync that are not visible yet. */
  get pendingPages(): readonly number[] {
    return this.#writer.pendingPages
  }

  /** Frames that readers may see. The frames of `pendingPages` follow them, in order. */
  get publishedFrames(): number {
    return this.#writer.mxFrame
  }

  /** Forgets a batch that came in part. Pages of a resync stay. */
  discardBatch(): void {
    if (this.#chunk > 0) this.discard()
  }

  /** Forgets everything that is not visible. */
  discard(): void {
    this.#chunk = 0
    this.#isSyncing = false
    this.#sums.revert()
    if (this.#writer.hasPending) this.#writer.discard()
  }

  #guarded<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      this.#sums.revert()
      this.#writer.discard()
      this.#chunk = 0
      this.#isSyncing = false
      throw error
    }
  }

  /** `position`: the pages end there, and get a commit mark once the state has verified. */
  #addPages(message: PagesMessage, payload: Buffer, position?: Standing): void {
    const { pages, pageSize, dbPages, checksum = '' } = message
    if (pageSize !== this.#pageSize)
      throw new WalcastError('WRONG_PAGE_SIZE', { mine: this.#pageSize, theirs: pageSize })
    for (let i = 0; i < pages; i++) {
      const page = payloadPageNumber(payload, i)
      this.#sums.set(page, pageSum(page, payloadPage(payload, i, pages, pageSize)))
    }
    if (position) this.#verify(dbPages, checksum)
    const images: PageImages = {
      count: pages,
      number: (i) => payloadPageNumber(payload, i),
      page: (i) => payloadPage(payload, i, pages, pageSize),
    }
    if (!position) return this.#writer.append(images, 0)
    // A crash from here on leaves the state before or the one after, and both are recorded.
    const { state } = this.#sums
    this.#writer.append(images, dbPages, (end) => this.#record(position, state, dbPages, end))
  }

  #verify(dbPages: number, expected: string): void {
    const before = this.#sums.settled.pages
    this.#sums.resize(dbPages)
    requireState(this.#sums, Math.min(before, dbPages) + 1, expected, 'the batch')
  }

  /** The last pages come, and all become visible as one commit. */
  #finish(position: Standing, message: PagesMessage, payload: Buffer): void {
    const { dbPages } = message
    this.#addPages(message, payload, position)
    if (this.#writer.hasPending) this.#writer.publish(dbPages)
    else this.#record(position, this.#sums.state, dbPages, this.#writer.tail)
    this.#sums.settle()
    this.#position = position
    this.#chunk = 0
    this.#isSyncing = false
  }

  /** Only a leader uses the counters of the first page. */
  #record(position: Standing, checksum: bigint, pages: number, end: WalPlace): void {
    this.#positions.append({ ...position, checksum, ...end, pages, ...NO_COUNTERS })
  }
}

/** Throws STATE_MISMATCH unless `sums` are the expected state, without a gap from `from` on. */
export function requireState(sums: PageSums, from: number, expected: string, what: string): void {
  const actual = checksumHex(sums.state)
  if (actual !== expected) throw mismatch(what, actual, expected)
  const missing = sums.firstMissing(from)
  if (missing > 0) throw mismatch(what, `without page ${missing}`, expected)
}

function mismatch(what: string, actual: string, expected: string): WalcastError {
  return new WalcastError('STATE_MISMATCH', { what, actual, expected })
}

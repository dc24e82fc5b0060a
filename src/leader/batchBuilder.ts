/**
 * Turns verified frames into batches, and keeps the state that they lead to.
 *
 * A batch is recorded before it is published: replicas never know of a position that this node does
 * not.
 */
import { WalcastError } from '../errors.ts'
import { type CapturedBatch, encodeBatch } from '../feed/batch.ts'
import type { Clock } from '../platform/clock.ts'
import { countersOf, type HeaderCounters } from '../sqlite/databaseHeader.ts'
import type { FrameMap } from '../sqlite/frameMap.ts'
import { type PageSums, pageSum } from '../sqlite/pageSums.ts'
import type { PositionRecord } from '../sqlite/positionLog.ts'
import type { WalReader, WalSegment } from '../sqlite/walReader.ts'
import { checksumHex } from '../xxh64.ts'

export interface BatchBuilderState {
  readonly db: string
  readonly epoch: number
  readonly incarnation: string
  readonly pageSize: number
  readonly reader: WalReader
  readonly sums: PageSums
  /** Frames of the reader's generation up to the reader's frame. */
  readonly frames: FrameMap
  readonly txid: number
  /** The header counters of the first page at `txid`. */
  readonly counters: HeaderCounters
}

export interface BatchBuilderHost {
  readonly clock: Clock
  record(position: PositionRecord): void
  publish(batch: CapturedBatch): void
}

export class BatchBuilder {
  readonly #state: BatchBuilderState
  readonly #host: BatchBuilderHost
  #txid: number
  #checksum: string
  /** Chunks already handed on of a transaction that is not whole yet. */
  #openChunks = 0
  /** Size of the database at `txid`. */
  #pages: number
  #counters: HeaderCounters

  constructor(state: BatchBuilderState, host: BatchBuilderHost) {
    this.#state = state
    this.#host = host
    this.#txid = state.txid
    this.#checksum = checksumHex(state.sums.state)
    this.#pages = state.sums.pages
    this.#counters = state.counters
  }

  get txid(): number {
    return this.#txid
  }

  /** State checksum at `txid`, as hex. */
  get checksum(): string {
    return this.#checksum
  }

  /** True between two chunks of one transaction: pages and sums are ahead of `txid`. */
  get isOpen(): boolean {
    return this.#openChunks > 0
  }

  /**
   * Hands on the first `count` frames as a batch, or as a chunk when `commit` < 0 or chunks went
   * before.
   */
  handOn(
    segment: WalSegment,
    count: number,
    commit: number,
    noticeMs: number,
    consume: () => void,
  ): void {
    const { sums } = this.#state
    const last = commit >= 0
    const from = { txid: this.#txid, checksum: this.#checksum }
    const transactions = this.isOpen ? 1 : last ? countCommits(segment, count) : 1
    const txid = from.txid + transactions
    const dbPages = last ? segment.commitPages[commit] : 0
    const taken = this.#takePages(segment, count, last ? dbPages : Number.POSITIVE_INFINITY)
    if (last) this.#resize(dbPages)
    const checksum = last ? checksumHex(sums.state) : ''
    sums.settle()
    consume()
    const noticedMs = this.#host.clock.nowMs()
    const { db, epoch, pageSize } = this.#state
    const message = encodeBatch(
      {
        db,
        epoch,
        fromTxid: from.txid,
        txid,
        chunk: this.#openChunks,
        last,
        pageSize,
        dbPages,
        checksum,
        noticeMs,
        noticedMs,
        sentMs: this.#host.clock.nowMs(),
      },
      segment,
      taken,
    )
    this.#openChunks = last ? 0 : this.#openChunks + 1
    if (last) this.#advance(txid, checksum)
    const pageNumbers = taken.map((i) => segment.pageNumbers[i])
    this.#host.publish({
      from,
      txid,
      checksum,
      message,
      last,
      pageNumbers,
      frames: count,
      transactions: last ? transactions : 0,
      noticeMs,
      noticedMs,
    })
  }

  /**
   * Replicas cannot be told of a page that came into being without being written; a scan can read
   * it.
   */
  #resize(dbPages: number): void {
    const { sums } = this.#state
    sums.resize(dbPages)
    const missing = sums.firstMissing(this.#pages + 1)
    if (missing > 0) throw unknownChange(`page ${missing} came into being without being written`)
    this.#pages = dbPages
  }

  /**
   * Takes the newest image of each page into the checksums and gives the indices of the frames that
   * hold them.
   */
  #takePages(segment: WalSegment, count: number, dbPages: number): number[] {
    const { frames, sums } = this.#state
    for (let i = 0; i < count; i++) frames.set(segment.pageNumbers[i], segment.firstFrame + i)
    const taken: number[] = []
    for (let i = 0; i < count; i++) {
      const page = segment.pageNumbers[i]
      if (page > dbPages || frames.get(page) !== segment.firstFrame + i) continue
      sums.set(page, pageSum(page, segment.page(i)))
      if (page === 1) this.#counters = countersOf(segment.page(i))
      taken.push(i)
    }
    return taken
  }

  #advance(txid: number, checksum: string): void {
    this.#txid = txid
    this.#checksum = checksum
    this.recordPosition()
  }

  /** Writes down where capture stands. */
  recordPosition(): void {
    const { reader, sums, epoch, incarnation } = this.#state
    const place = reader.place
    const { salt1, salt2 } = place?.header ?? { salt1: 0, salt2: 0 }
    const { s0, s1 } = place?.checksum ?? { s0: 0, s1: 0 }
    this.#host.record({
      epoch,
      txid: this.#txid,
      incarnation,
      checksum: sums.state,
      salt1,
      salt2,
      frame: reader.frame,
      s0,
      s1,
      pages: sums.pages,
      ...this.#counters,
    })
  }
}

function countCommits(segment: WalSegment, count: number): number {
  let commits = 0
  for (let i = 0; i < count; i++) if (segment.commitPages[i] !== 0) commits++
  return commits
}

export function unknownChange(detail: string): WalcastError {
  return new WalcastError('UNKNOWN_CHANGE', { detail })
}

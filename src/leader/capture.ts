/**
 * Reads what was committed since the last look and turns it into batches.
 *
 * Invariant: after `look`, `position` is the state of the database at frame `reader.frame` of the
 * reader's generation, `sums` holds that state's page checksums, and every batch up to it has been
 * handed on exactly once.
 */
import { pagesPayloadBytes } from '../../proto/codec.ts'
import { HEADER_BYTES, MAX_BODY_BYTES } from '../../proto/limits.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { type CapturedBatch, encodeBatch } from '../feed/batch.ts'
import type { Clock } from '../platform/clock.ts'
import { countersOf, type HeaderCounters } from '../sqlite/databaseHeader.ts'
import type { FrameMap } from '../sqlite/frameMap.ts'
import { type PageSums, pageSum } from '../sqlite/pageSums.ts'
import type { PositionRecord } from '../sqlite/positionLog.ts'
import type { WalIndexHeader } from '../sqlite/walIndexFormat.ts'
import type { WalIndexReader } from '../sqlite/walIndexReader.ts'
import type { WalReader, WalSegment } from '../sqlite/walReader.ts'
import { checksumHex } from '../xxh64.ts'
import { CommitCounter } from './commitCounter.ts'
import { PublishedFrames } from './publishedFrames.ts'
import type { NextChunk } from './readAhead.ts'

export interface CaptureState {
  readonly db: string
  readonly epoch: number
  readonly incarnation: string
  readonly pageSize: number
  readonly walFd: number
  readonly walIndex: WalIndexReader
  readonly reader: WalReader
  readonly sums: PageSums
  /** Frames of the reader's generation up to the reader's frame. */
  readonly frames: FrameMap
  readonly txid: number
  /** Of the first page at `txid`. */
  readonly counters: HeaderCounters
}

export interface CaptureHost {
  readonly clock: Clock
  /** Whether the read guard lets the WAL be reset: not while it sits on a mark. */
  mayReset(): boolean
  /** All frames up to `frame` of the generation with this first salt are captured. */
  onFrame(salt1: number, frame: number): void
  /** Whether more of a transaction larger than a message may be read now. */
  mayReadAhead(next: NextChunk): boolean
  /**
   * Called before the batch is handed on, so that the position is known at least as far as anybody
   * was told.
   */
  record(position: PositionRecord): void
  publish(batch: CapturedBatch): void
  /** Frames were captured that a recovery would not find: they are to be backfilled. */
  onUnverified(frames: number): void
}

export class Capture {
  readonly #state: CaptureState
  readonly #host: CaptureHost
  readonly #ahead: CommitCounter
  #txid: number
  #checksum: string
  readonly #unverified: PublishedFrames
  /** Chunks already handed on of a transaction that is not whole yet. */
  #openChunks = 0
  #publishedFrames = 0
  /**
   * When everything published was captured last, and when it was counted last, by the leader's
   * clock.
   */
  #atEndMs = 0
  #countedMs = 0
  /** Size of the database at `txid`. */
  #pages: number
  #counters: HeaderCounters

  constructor(state: CaptureState, host: CaptureHost) {
    this.#state = state
    this.#host = host
    this.#unverified = new PublishedFrames(state)
    this.#ahead = new CommitCounter(state.walFd, state.pageSize)
    this.#txid = state.txid
    this.#checksum = checksumHex(state.sums.state)
    this.#pages = state.sums.pages
    this.#counters = state.counters
    this.#publishedFrames = state.reader.frame
  }

  get txid(): number {
    return this.#txid
  }

  /** State checksum at `txid`, as hex. */
  get checksum(): string {
    return this.#checksum
  }

  get epoch(): number {
    return this.#state.epoch
  }

  get incarnation(): string {
    return this.#state.incarnation
  }

  /** Between two chunks of one transaction: pages and sums are ahead of `txid`. */
  get isOpen(): boolean {
    return this.#openChunks > 0
  }

  /** Frames in the WAL at the last look. */
  get walFrames(): number {
    return this.#publishedFrames
  }

  /** Frames that are published now and not captured. */
  get unreadFrames(): number {
    const { walIndex, reader } = this.#state
    return (walIndex.read()?.mxFrame ?? 0) - reader.frame
  }

  /** Whether everything published at the last look was captured. */
  get isAtEnd(): boolean {
    return this.#state.reader.frame >= this.#publishedFrames
  }

  /**
   * Where the database stood at `knownMs`, by the leader's clock: every commit made until then has
   * at most this txid. What is published and not captured yet is counted, or at least the next
   * commit is: the published end is a commit.
   */
  get known(): { readonly txid: number; readonly knownMs: number } {
    if (this.isAtEnd) return { txid: this.#txid, knownMs: this.#atEndMs }
    const txid = Math.max(this.#txid + 1, this.#ahead.txid)
    return { txid, knownMs: Math.max(this.#atEndMs, this.#countedMs) }
  }

  /**
   * Captures what is published now, at most `maxSegments` segments of it. `noticeMs` is when the
   * wake came. `force` does not ask whether replicas can take more of a huge transaction. Gives the
   * number of frames taken, undefined when the wal-index could not be read now. Throws
   * UNKNOWN_CHANGE when commits were lost, WAL_BROKEN when the WAL does not read as published.
   */
  look(noticeMs: number, maxSegments = 4, force = false): number | undefined {
    const lookedMs = this.#host.clock.nowMs()
    const taken = this.#lookOnce(noticeMs, maxSegments, force)
    if (taken !== undefined && this.isAtEnd) this.#atEndMs = lookedMs
    return taken
  }

  #lookOnce(noticeMs: number, maxSegments: number, force: boolean): number | undefined {
    const { walIndex, reader } = this.#state
    const header = walIndex.read()
    if (!header) return undefined
    if (!reader.isGeneration(header.salt1, header.salt2) && !this.#enterGeneration(header)) return 0
    if (header.mxFrame < reader.frame)
      throw unknownChange(`the WAL went back from frame ${reader.frame} to ${header.mxFrame}`)
    this.#publishedFrames = header.mxFrame
    const before = reader.frame
    for (let i = 0; i < maxSegments && reader.frame < header.mxFrame; i++) {
      if (this.isOpen && !force && !this.#host.mayReadAhead(this.#nextChunk)) break
      this.#takeSegment(header, noticeMs)
    }
    this.#host.onFrame(header.salt1, reader.frame)
    return reader.frame - before
  }

  /**
   * The txid of the last commit that is published now, though capture has not come so far.
   * Undefined when it cannot be told: the WAL moved meanwhile. Nothing is captured.
   */
  async countAhead(): Promise<number | undefined> {
    const { walIndex, reader } = this.#state
    const askedMs = this.#host.clock.nowMs()
    const header = walIndex.read()
    if (!header || !reader.isGeneration(header.salt1, header.salt2)) return undefined
    const txid = await this.#ahead.count({ frame: reader.frame, txid: this.#txid }, header)
    if (txid !== undefined) this.#countedMs = Math.max(this.#countedMs, askedMs)
    return txid
  }

  /** Whether a position that is not captured yet was told by `countAhead`. */
  hasCounted({ epoch, txid }: { readonly epoch: number; readonly txid: number }): boolean {
    return epoch === this.epoch && txid <= this.#ahead.txid
  }

  get #nextChunk(): NextChunk {
    const { reader, pageSize } = this.#state
    const bytes = HEADER_BYTES + MAX_BODY_BYTES + pagesPayloadBytes(reader.maxFrames, pageSize)
    return { txid: this.#txid, bytes, publishedFrames: this.#publishedFrames }
  }

  /** Begins with frame 1 of a new generation, if it has any. */
  #enterGeneration(header: WalIndexHeader): boolean {
    if (!this.#host.mayReset()) throw unknownChange('the WAL was reset under the read guard')
    if (this.isOpen) throw unknownChange('the WAL was reset within a transaction')
    this.#publishedFrames = header.mxFrame
    this.#unverified.clear()
    if (header.mxFrame === 0) {
      this.#state.frames.clear()
      return false
    }
    this.#state.reader.startGeneration(header.salt1, header.salt2)
    this.#state.frames.clear()
    return true
  }

  #takeSegment(header: WalIndexHeader, noticeMs: number): void {
    const { reader } = this.#state
    const segment = this.#readVerified(header, noticeMs)
    if (!segment) return
    this.#takeIn(segment, header, noticeMs, (count) => reader.consume(count))
    if (reader.frame === header.mxFrame) this.#checkEnd(header)
  }

  /** Undefined when everything published was taken otherwise, because it does not verify. */
  #readVerified(header: WalIndexHeader, noticeMs: number): WalSegment | undefined {
    try {
      return this.#state.reader.read(header.mxFrame)
    } catch (error) {
      if (keyOf(error) !== 'WAL_BROKEN' || !this.#unverified.mayTake(header)) throw error
      this.#takePublished(header, noticeMs, error)
      return undefined
    }
  }

  /** Everything that is published, as readers see it. Throws `broken` when that is not certain. */
  #takePublished(header: WalIndexHeader, noticeMs: number, broken: unknown): void {
    const { reader } = this.#state
    const before = reader.frame
    while (reader.frame < header.mxFrame) {
      const segment = this.#unverified.read(header)
      if (!segment) throw broken
      this.#takeIn(segment, header, noticeMs, (count) => {
        reader.consume(count)
        const { place } = reader
        // The next transaction goes on from the checksum that is published, whatever the frames
        // say.
        if (place?.frame === header.mxFrame)
          reader.resume({ ...place, checksum: header.frameChecksum })
      })
    }
    this.#host.onUnverified(header.mxFrame - before)
  }

  /** Hands on the transactions of a segment, or a chunk of one that goes on. */
  #takeIn(
    segment: WalSegment,
    header: WalIndexHeader,
    noticeMs: number,
    consume: (count: number) => void,
  ): void {
    const reachesEnd = segment.firstFrame + segment.count - 1 === header.mxFrame
    const commit = this.isOpen ? firstCommit(segment) : lastCommit(segment)
    if (commit < 0 && reachesEnd)
      throw new WalcastError('WAL_BROKEN', { detail: 'its published end is no commit' })
    const count = commit < 0 ? segment.count : commit + 1
    this.#handOn(segment, count, commit, noticeMs, () => {
      this.#unverified.onTaken(segment, count)
      consume(count)
    })
  }

  #checkEnd(header: WalIndexHeader): void {
    const sum = this.#state.reader.place?.checksum
    if (sum?.s0 !== header.frameChecksum.s0 || sum.s1 !== header.frameChecksum.s1) {
      throw new WalcastError('WAL_BROKEN', {
        detail: 'its checksum is not the one the wal-index publishes',
      })
    }
  }

  /**
   * Makes a batch, or a chunk when `commit` < 0 or chunks went before, of the first `count` frames.
   */
  #handOn(
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
   * A page that came into being without being written cannot be told to replicas; a scan can read
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

function lastCommit(segment: WalSegment): number {
  for (let i = segment.count - 1; i >= 0; i--) if (segment.commitPages[i] !== 0) return i
  return -1
}

function firstCommit(segment: WalSegment): number {
  for (let i = 0; i < segment.count; i++) if (segment.commitPages[i] !== 0) return i
  return -1
}

function countCommits(segment: WalSegment, count: number): number {
  let commits = 0
  for (let i = 0; i < count; i++) if (segment.commitPages[i] !== 0) commits++
  return commits
}

function unknownChange(detail: string): WalcastError {
  return new WalcastError('UNKNOWN_CHANGE', { detail })
}

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
import type { WalIndexHeader } from '../sqlite/walIndexFormat.ts'
import type { WalIndexReader } from '../sqlite/walIndexReader.ts'
import type { WalSegment } from '../sqlite/walReader.ts'
import {
  BatchBuilder,
  type BatchBuilderHost,
  type BatchBuilderState,
  unknownChange,
} from './batchBuilder.ts'
import { CommitCounter } from './commitCounter.ts'
import { PublishedFrames } from './publishedFrames.ts'
import type { NextChunk } from './readAhead.ts'

export interface CaptureState extends BatchBuilderState {
  readonly walFd: number
  readonly walIndex: WalIndexReader
}

export interface CaptureHost extends BatchBuilderHost {
  /** Whether the read guard lets the WAL be reset: not while it sits on a mark. */
  mayReset(): boolean
  /** All frames up to `frame` of the generation with this first salt are captured. */
  onFrame(salt1: number, frame: number): void
  /** Whether more of a transaction larger than a message may be read now. */
  mayReadAhead(next: NextChunk): boolean
  /** Capture took frames that a recovery would not find: they must be backfilled. */
  onUnverified(frames: number): void
}

export class Capture {
  readonly #state: CaptureState
  readonly #host: CaptureHost
  readonly #batches: BatchBuilder
  readonly #ahead: CommitCounter
  readonly #unverified: PublishedFrames
  #publishedFrames: number
  /**
   * When capture last had everything published, and when it last counted it, by the leader's clock.
   */
  #atEndMs = 0
  #countedMs = 0

  constructor(state: CaptureState, host: CaptureHost) {
    this.#state = state
    this.#host = host
    this.#unverified = new PublishedFrames(state)
    this.#ahead = new CommitCounter(state.walFd, state.pageSize)
    this.#batches = new BatchBuilder(state, host)
    this.#publishedFrames = state.reader.frame
  }

  get txid(): number {
    return this.#batches.txid
  }

  /** State checksum at `txid`, as hex. */
  get checksum(): string {
    return this.#batches.checksum
  }

  get epoch(): number {
    return this.#state.epoch
  }

  get incarnation(): string {
    return this.#state.incarnation
  }

  /** Writes down where capture stands. */
  recordPosition(): void {
    this.#batches.recordPosition()
  }

  /** True between two chunks of one transaction: pages and sums are ahead of `txid`. */
  get isOpen(): boolean {
    return this.#batches.isOpen
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
   * at most this txid. Published frames that are not captured yet count by their commits, or at
   * least as one commit: the published end is a commit.
   */
  get known(): { readonly txid: number; readonly knownMs: number } {
    if (this.isAtEnd) return { txid: this.#batches.txid, knownMs: this.#atEndMs }
    const txid = Math.max(this.#batches.txid + 1, this.#ahead.txid)
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
   * The txid of the last commit that is published now, captured or not. Undefined when the WAL
   * moved meanwhile. Captures nothing.
   */
  async countAhead(): Promise<number | undefined> {
    const { walIndex, reader } = this.#state
    const askedMs = this.#host.clock.nowMs()
    const header = walIndex.read()
    if (!header || !reader.isGeneration(header.salt1, header.salt2)) return undefined
    const txid = await this.#ahead.count({ frame: reader.frame, txid: this.#batches.txid }, header)
    if (txid !== undefined) this.#countedMs = Math.max(this.#countedMs, askedMs)
    return txid
  }

  /** Whether `countAhead` has told a position that is not captured yet. */
  hasCounted({ epoch, txid }: { readonly epoch: number; readonly txid: number }): boolean {
    return epoch === this.epoch && txid <= this.#ahead.txid
  }

  get #nextChunk(): NextChunk {
    const { reader, pageSize } = this.#state
    const bytes = HEADER_BYTES + MAX_BODY_BYTES + pagesPayloadBytes(reader.maxFrames, pageSize)
    return { txid: this.#batches.txid, bytes, publishedFrames: this.#publishedFrames }
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

  /**
   * Undefined when the frames do not verify and everything published was taken as readers see it.
   */
  #readVerified(header: WalIndexHeader, noticeMs: number): WalSegment | undefined {
    try {
      return this.#state.reader.read(header.mxFrame)
    } catch (error) {
      if (keyOf(error) !== 'WAL_BROKEN' || !this.#unverified.mayTake(header)) throw error
      this.#takePublished(header, noticeMs, error)
      return undefined
    }
  }

  /**
   * Takes everything that is published, as readers see it. Throws `broken` when that is not
   * certain.
   */
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
    this.#batches.handOn(segment, count, commit, noticeMs, () => {
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
}

function lastCommit(segment: WalSegment): number {
  for (let i = segment.count - 1; i >= 0; i--) if (segment.commitPages[i] !== 0) return i
  return -1
}

function firstCommit(segment: WalSegment): number {
  for (let i = 0; i < segment.count; i++) if (segment.commitPages[i] !== 0) return i
  return -1
}

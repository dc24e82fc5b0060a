/**
 * Takes frames that do not verify as readers see them. SQLite before 3.41 publishes frames without
 * salts and checksums when a transaction that had spilled was rolled back to a savepoint. Readers
 * never look at these: the wal-index says which page a frame holds. Only a recovery does, and ends
 * there.
 *
 * The chain of checksums proves two things. Without it they are proven otherwise:
 *
 * - That the frames are the published ones. The wal-index publishes their end, in this generation,
 *   before they are read and after, and no writer touches what is published. The wal-index and the
 *   frames name the same pages. The last frame ends a commit that makes the database as large as is
 *   published.
 * - That they follow what was captured. What lies before them is still what was captured. A
 *   recovery would have ended before the first frame without a checksum, and other frames may have
 *   taken the place of those that followed.
 *
 * Frames with any other fault are not taken: then a new epoch begins.
 */
import type { FrameMap } from '../sqlite/frameMap.ts'
import { type PageSums, pageSum } from '../sqlite/pageSums.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import type { WalIndexHeader } from '../sqlite/walIndexFormat.ts'
import type { WalIndexReader } from '../sqlite/walIndexReader.ts'
import type { WalPlace } from '../sqlite/walProbe.ts'
import type { WalReader, WalSegment } from '../sqlite/walReader.ts'

/** Taken in one go, before and after which the wal-index is looked at. */
const MAX_RUN_BYTES = 64 * 1024 * 1024
/** Of frames since the chain broke, which are read again before another run is taken. */
const MAX_UNPROVEN_BYTES = 32 * 1024 * 1024

export interface PublishedFramesState {
  readonly pageSize: number
  readonly walIndex: WalIndexReader
  readonly reader: WalReader
  readonly sums: PageSums
  readonly frames: FrameMap
}

export class PublishedFrames {
  readonly #state: PublishedFramesState
  /**
   * The last place in this generation up to which the chain of checksums is whole; undefined while
   * all of it is.
   */
  #proven: WalPlace | undefined
  /** Pages of the frames captured after it. */
  #unproven: number[] = []
  readonly #maxUnproven: number

  constructor(state: PublishedFramesState) {
    this.#state = state
    this.#maxUnproven = Math.floor(MAX_UNPROVEN_BYTES / frameBytes(state.pageSize))
  }

  /** Another generation begins. */
  clear(): void {
    this.#proven = undefined
    this.#unproven = []
  }

  /** Takes note of all frames that are captured, in order. */
  onTaken({ pageNumbers }: WalSegment, count: number): void {
    if (!this.#proven || this.#unproven.length > this.#maxUnproven) return
    for (let i = 0; i < count; i++) this.#unproven.push(pageNumbers[i])
  }

  /**
   * Whether the frames after the reader's, which have just failed to verify, may be taken up to the
   * end that `header` publishes.
   */
  mayTake({ mxFrame, pages }: WalIndexHeader): boolean {
    const { reader, pageSize } = this.#state
    const { place } = reader
    if (!place || (mxFrame - place.frame) * frameBytes(pageSize) > MAX_RUN_BYTES) return false
    if (!reader.hasFailedUnsigned || reader.probe.headerOf(mxFrame).readUInt32BE(4) !== pages)
      return false
    this.#proven ??= place
    return this.#isAsCaptured(this.#proven)
  }

  /**
   * The next frames of such a run; undefined when they are not certain to be the published ones.
   */
  read(header: WalIndexHeader): WalSegment | undefined {
    const { reader, walIndex } = this.#state
    const first = reader.frame + 1
    const count = Math.min(header.mxFrame - reader.frame, reader.maxFrames)
    const segment = reader.readPublished(header.mxFrame, walIndex.pageNumbers(first, count))
    return hasPublishedEnd(segment, header) && this.#isStillPublished(header) ? segment : undefined
  }

  #isStillPublished({ salt1, salt2, mxFrame, change }: WalIndexHeader): boolean {
    const now = this.#state.walIndex.read()
    if (!now || now.salt1 !== salt1 || now.salt2 !== salt2) return false
    return now.mxFrame === mxFrame ? now.change === change : now.mxFrame > mxFrame
  }

  #isAsCaptured(proven: WalPlace): boolean {
    const { reader, sums, frames, pageSize } = this.#state
    if (this.#unproven.length > this.#maxUnproven || !reader.probe.isStillAt(proven)) return false
    const image = Buffer.allocUnsafe(pageSize)
    return this.#unproven.every((page, i) => {
      const frame = proven.frame + 1 + i
      if (reader.probe.headerOf(frame).readUInt32BE(0) !== page) return false
      // What was written again later, or cut off, is no part of the state.
      if (frames.get(page) !== frame || page > sums.pages) return true
      return pageSum(page, reader.probe.imageOf(frame, image)) === sums.get(page)
    })
  }
}

/** The last frame has the checksum that is published, unless it has none. */
function hasPublishedEnd(segment: WalSegment, { mxFrame, frameChecksum }: WalIndexHeader): boolean {
  if (segment.firstFrame + segment.count - 1 < mxFrame) return true
  const { s0, s1 } = segment.checksumAfter(segment.count - 1)
  return (s0 === 0 && s1 === 0) || (s0 === frameChecksum.s0 && s1 === frameChecksum.s1)
}

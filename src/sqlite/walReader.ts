import { keyOf, WalcastError } from '../errors.ts'
import { readSync } from '../platform/files.ts'
import {
  addToChecksum,
  alignedBuffer,
  FRAME_HEADER_BYTES,
  frameBytes,
  frameOffset,
  type WalChecksum,
  type WalHeader,
  wordsOf,
} from './walFormat.ts'
import { hasSalts, isUnsigned, readWalHeader, type WalPlace, WalProbe } from './walProbe.ts'

/**
 * Verified frames, as they lie in the reader's buffer. Valid until the next read.
 * Frame `i` (from 0) of the segment is frame `firstFrame + i` of the WAL.
 */
export interface WalSegment {
  readonly firstFrame: number
  readonly count: number
  readonly pageNumbers: Uint32Array
  /** Size of the database in pages on a commit frame, else 0. */
  readonly commitPages: Uint32Array
  page(i: number): Buffer
  /** The cumulative checksum after frame `i` of the segment. */
  checksumAfter(i: number): WalChecksum
}

/**
 * Reads frames of one WAL generation in order and verifies salts and the cumulative checksum of
 * each. The caller says how far: never past the mxFrame that the wal-index publishes.
 */
export class WalReader {
  readonly #fd: number
  readonly #maxFrames: number
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #pageNumbers: Uint32Array
  readonly #commitPages: Uint32Array
  readonly #pageSize: number
  readonly #sum: WalChecksum = { s0: 0, s1: 0 }
  /** Checksums after each frame of the last segment: [s0, s1, s0, s1, ...]. */
  readonly #sums: Uint32Array
  /** Single frames of the same file, in any order. */
  readonly probe: WalProbe
  #header: WalHeader | undefined
  #frame = 0
  #segment: WalSegment | undefined
  /** The frame at which the last `read` failed. */
  #failedFrame = 0

  constructor(walFd: number, pageSize: number, maxSegmentBytes: number) {
    this.#fd = walFd
    this.probe = new WalProbe(walFd, pageSize)
    this.#pageSize = pageSize
    this.#maxFrames = Math.max(1, Math.floor(maxSegmentBytes / frameBytes(pageSize)))
    this.#bytes = alignedBuffer(this.#maxFrames * frameBytes(pageSize))
    this.#words = wordsOf(this.#bytes)
    this.#pageNumbers = new Uint32Array(this.#maxFrames)
    this.#commitPages = new Uint32Array(this.#maxFrames)
    this.#sums = new Uint32Array(2 * this.#maxFrames)
  }

  /** Frames consumed so far in this generation. */
  get frame(): number {
    return this.#frame
  }

  /** Frames of one segment at most. */
  get maxFrames(): number {
    return this.#maxFrames
  }

  /** The generation's header, or undefined before the first `startGeneration`. */
  get header(): WalHeader | undefined {
    return this.#header
  }

  get place(): WalPlace | undefined {
    return this.#header && { header: this.#header, frame: this.#frame, checksum: { ...this.#sum } }
  }

  isGeneration(salt1: number, salt2: number): boolean {
    return (
      this.#header !== undefined && this.#header.salt1 === salt1 && this.#header.salt2 === salt2
    )
  }

  /**
   * Begins at frame 1 of the generation now in the file. Throws WAL_BROKEN unless its header is
   * whole and has these salts.
   */
  startGeneration(salt1: number, salt2: number): void {
    const header = readWalHeader(this.#fd)
    if (!header) throw broken('its header is not valid')
    if (header.salt1 !== salt1 || header.salt2 !== salt2)
      throw broken('its salts are not those of the wal-index')
    if (header.pageSize !== this.#pageSize) throw broken(`its page size is ${header.pageSize}`)
    this.resume({ header, frame: 0, checksum: { s0: header.s0, s1: header.s1 } })
  }

  /** Goes on from a place reached before. */
  resume(place: WalPlace): void {
    this.#header = place.header
    this.#frame = place.frame
    this.#sum.s0 = place.checksum.s0
    this.#sum.s1 = place.checksum.s1
    this.#segment = undefined
  }

  /**
   * Whether the file holds a frame after the current one, or the header of another generation:
   * written, perhaps not yet published.
   */
  isWriteUnderWay(): boolean {
    return this.probe.isWrittenAfter(this.#frame, this.#header)
  }

  /**
   * Reads and verifies frames after the current one, up to `lastFrame` or the segment's bound.
   * Throws WAL_BROKEN.
   */
  read(lastFrame: number): WalSegment {
    const header = this.#header
    if (!header) throw broken('no generation was begun')
    const count = Math.min(lastFrame - this.#frame, this.#maxFrames)
    const size = frameBytes(this.#pageSize)
    readFully(this.#fd, this.#bytes, count * size, frameOffset(this.#frame + 1, this.#pageSize))
    const sum = { s0: this.#sum.s0, s1: this.#sum.s1 }
    for (let i = 0; i < count; i++) this.#verify(header, i, i * size, sum)
    this.#segment = this.#view(this.#frame + 1, count, size)
    return this.#segment
  }

  /**
   * Frames after the current one, up to `lastFrame` or the segment's bound, of which not all have
   * salts and checksums: `pageNumbers` says which pages they hold, as the wal-index publishes it.
   * Those that have a checksum must follow from the frame before when that has one too. `consume`
   * then goes on from the checksum that the last frame has. Throws WAL_BROKEN.
   */
  readPublished(lastFrame: number, pageNumbers: Uint32Array): WalSegment {
    const header = this.#header
    if (!header) throw broken('no generation was begun')
    const count = Math.min(lastFrame - this.#frame, this.#maxFrames, pageNumbers.length)
    if (count === 0) throw broken('the wal-index ends before its published end')
    const size = frameBytes(this.#pageSize)
    readFully(this.#fd, this.#bytes, count * size, frameOffset(this.#frame + 1, this.#pageSize))
    let before: WalChecksum | undefined = this.#isSigned(this.#frame) ? { ...this.#sum } : undefined
    for (let i = 0; i < count; i++) {
      if (this.#bytes.readUInt32BE(i * size) !== pageNumbers[i])
        throw broken(`frame ${this.#frame + 1 + i} is not of the page that the wal-index says`)
      before = this.#takeAsIs(header, i, i * size, before)
    }
    this.#segment = this.#view(this.#frame + 1, count, size)
    return this.#segment
  }

  /**
   * The frame at which the last `read` failed has neither salts nor checksum: all 16 bytes are
   * zero.
   */
  get hasFailedUnsigned(): boolean {
    return this.#failedFrame > this.#frame && isUnsigned(this.probe.headerOf(this.#failedFrame), 0)
  }

  /** The next frame, published or not; undefined when none lies there that verifies. */
  readNext(): WalSegment | undefined {
    return this.readUpTo(this.#frame + 1)
  }

  /** As `read`, published or not; undefined when one of those frames does not verify. */
  readUpTo(lastFrame: number): WalSegment | undefined {
    try {
      return this.read(lastFrame)
    } catch (error) {
      if (keyOf(error) === 'WAL_BROKEN') return undefined
      throw error
    }
  }

  /** Takes the first `count` frames of the last segment as done. */
  consume(count: number): void {
    const segment = this.#segment
    if (!segment || count < 1 || count > segment.count)
      throw broken(`cannot consume ${count} frames`)
    this.#sum.s0 = this.#sums[2 * count - 2]
    this.#sum.s1 = this.#sums[2 * count - 1]
    this.#frame += count
    this.#segment = undefined
  }

  #isSigned(frame: number): boolean {
    return frame === 0 || !isUnsigned(this.probe.headerOf(frame), 0)
  }

  /** `before`: the checksum of the frame before, undefined when that has none. Gives its own. */
  #takeAsIs(
    header: WalHeader,
    i: number,
    at: number,
    before: WalChecksum | undefined,
  ): WalChecksum | undefined {
    const bytes = this.#bytes
    this.#pageNumbers[i] = bytes.readUInt32BE(at)
    this.#commitPages[i] = bytes.readUInt32BE(at + 4)
    const sum = { s0: bytes.readUInt32BE(at + 16), s1: bytes.readUInt32BE(at + 20) }
    this.#sums[2 * i] = sum.s0
    this.#sums[2 * i + 1] = sum.s1
    if (isUnsigned(bytes, at)) return undefined
    // The sums that the frame has are those that the check must give.
    if (before) this.#verify(header, i, at, { ...before })
    else if (!hasSalts(bytes, at + 8, header))
      throw broken(`frame ${this.#frame + 1 + i} has the salts of another generation`)
    return sum
  }

  #verify(header: WalHeader, i: number, at: number, sum: WalChecksum): void {
    const bytes = this.#bytes
    this.#failedFrame = this.#frame + 1 + i
    if (!hasSalts(bytes, at + 8, header)) {
      throw broken(`frame ${this.#frame + 1 + i} has the salts of another generation`)
    }
    const swap = header.bigEndian
    addToChecksum(sum, this.#words, at >>> 2, 2, swap)
    addToChecksum(sum, this.#words, (at + FRAME_HEADER_BYTES) >>> 2, this.#pageSize >>> 2, swap)
    if (sum.s0 !== bytes.readUInt32BE(at + 16) || sum.s1 !== bytes.readUInt32BE(at + 20)) {
      throw broken(`frame ${this.#frame + 1 + i} fails its checksum`)
    }
    this.#pageNumbers[i] = bytes.readUInt32BE(at)
    this.#commitPages[i] = bytes.readUInt32BE(at + 4)
    this.#sums[2 * i] = sum.s0
    this.#sums[2 * i + 1] = sum.s1
    this.#failedFrame = 0
  }

  #view(firstFrame: number, count: number, size: number): WalSegment {
    const bytes = this.#bytes
    const sums = this.#sums
    return {
      firstFrame,
      count,
      pageNumbers: this.#pageNumbers,
      commitPages: this.#commitPages,
      page: (i) => bytes.subarray(i * size + FRAME_HEADER_BYTES, (i + 1) * size),
      checksumAfter: (i) => ({ s0: sums[2 * i], s1: sums[2 * i + 1] }),
    }
  }
}

/** Reads exactly `length` bytes at `position` or throws WAL_BROKEN. */
function readFully(fd: number, into: Buffer, length: number, position: number): void {
  let done = 0
  while (done < length) {
    const got = readSync(fd, into, done, length - done, position + done)
    if (got === 0) throw broken(`it ends at byte ${position + done}`)
    done += got
  }
}

function broken(detail: string): WalcastError {
  return new WalcastError('WAL_BROKEN', { detail })
}

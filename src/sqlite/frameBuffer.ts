/**
 * Page images made into frames of a WAL, in one buffer that is filled again for each write:
 * https://sqlite.org/fileformat2.html#the_write_ahead_log.
 */
import {
  addToChecksum,
  alignedBuffer,
  FRAME_HEADER_BYTES,
  frameBytes,
  type WalChecksum,
  wordsOf,
} from './walFormat.ts'

const BUFFER_BYTES = 1024 * 1024

/** Pages to append. `page(i)` may be a view that the next call reuses. */
export interface PageImages {
  readonly count: number
  number(i: number): number
  page(i: number): Uint8Array
}

/** What the next frame follows from. Filling the buffer moves `sum` on. */
export interface FrameChain {
  salt1: number
  salt2: number
  /** The WAL was begun on a machine of the other byte order: its checksums go on in that order. */
  swap: boolean
  readonly sum: WalChecksum
}

export class FrameBuffer {
  readonly #pageSize: number
  /** Frames that it holds at most. */
  readonly maxFrames: number
  readonly #bytes: Buffer
  readonly #words: Int32Array

  constructor(pageSize: number) {
    this.#pageSize = pageSize
    this.maxFrames = Math.max(1, Math.floor(BUFFER_BYTES / frameBytes(pageSize)))
    this.#bytes = alignedBuffer(this.maxFrames * frameBytes(pageSize))
    this.#words = wordsOf(this.#bytes)
  }

  /**
   * Frames of `count` images from `first` on, at most `maxFrames`. `commitPages` is the size of the
   * database that the last one commits, 0 when the transaction goes on. Valid until the next call.
   */
  fill(
    images: PageImages,
    first: number,
    count: number,
    commitPages: number,
    { salt1, salt2, swap, sum }: FrameChain,
  ): Buffer {
    const size = frameBytes(this.#pageSize)
    const bytes = this.#bytes
    const pageWords = this.#pageSize >>> 2
    for (let i = 0; i < count; i++) {
      const at = i * size
      bytes.writeUInt32BE(images.number(first + i), at)
      bytes.writeUInt32BE(i === count - 1 ? commitPages : 0, at + 4)
      bytes.writeUInt32BE(salt1, at + 8)
      bytes.writeUInt32BE(salt2, at + 12)
      bytes.set(images.page(first + i), at + FRAME_HEADER_BYTES)
      addToChecksum(sum, this.#words, at >>> 2, 2, swap)
      addToChecksum(sum, this.#words, (at + FRAME_HEADER_BYTES) >>> 2, pageWords, swap)
      bytes.writeUInt32BE(sum.s0, at + 16)
      bytes.writeUInt32BE(sum.s1, at + 20)
    }
    return bytes.subarray(0, count * size)
  }
}

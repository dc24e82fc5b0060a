/**
 * Looks at single frames of a WAL file, in any order and unverified: what the file has now.
 *
 * A reader that goes on from a place uses it to find out whether the file still has what led there.
 */
import { readSync } from '../platform/files.ts'
import {
  alignedBuffer,
  FRAME_HEADER_BYTES,
  frameOffset,
  parseWalHeader,
  WAL_HEADER_BYTES,
  type WalChecksum,
  type WalHeader,
} from './walFormat.ts'

/** A place in a WAL: after `frame` frames of the generation that `header` names. */
export interface WalPlace {
  readonly header: WalHeader
  readonly frame: number
  readonly checksum: Readonly<WalChecksum>
}

export class WalProbe {
  readonly #fd: number
  readonly #pageSize: number
  readonly #bytes = alignedBuffer(FRAME_HEADER_BYTES)

  constructor(walFd: number, pageSize: number) {
    this.#fd = walFd
    this.#pageSize = pageSize
  }

  /**
   * The 24 header bytes of any frame, as the file has them; zeros past its end. Valid until the
   * next call.
   */
  headerOf(frame: number): Buffer {
    this.#bytes.fill(0)
    readSync(this.#fd, this.#bytes, 0, FRAME_HEADER_BYTES, frameOffset(frame, this.#pageSize))
    return this.#bytes
  }

  /** The page image of any frame, as the file has it; zeros past its end. */
  imageOf(frame: number, into: Buffer): Buffer {
    into.fill(0)
    const from = frameOffset(frame, this.#pageSize) + FRAME_HEADER_BYTES
    readSync(this.#fd, into, 0, this.#pageSize, from)
    return into
  }

  /**
   * Whether the file holds a frame after `frame` of the generation `header`, or the header of
   * another generation. Every generation is another one when `header` is undefined.
   */
  isWrittenAfter(frame: number, header: WalHeader | undefined): boolean {
    const bytes = this.#bytes
    const from = frameOffset(frame + 1, this.#pageSize)
    const next = readSync(this.#fd, bytes, 0, FRAME_HEADER_BYTES, from)
    if (next === FRAME_HEADER_BYTES && header && hasSalts(bytes, 8, header)) return true
    const got = readSync(this.#fd, bytes, 0, FRAME_HEADER_BYTES, 0)
    return got === FRAME_HEADER_BYTES && !(header && hasSalts(bytes, 16, header))
  }

  /** Whether the file still has the frames that led to `place`: the checksum there is the same. */
  isStillAt({ header, frame, checksum }: WalPlace): boolean {
    if (frame === 0) {
      const now = readWalHeader(this.#fd)
      return (
        now !== undefined &&
        now.salt1 === header.salt1 &&
        now.salt2 === header.salt2 &&
        now.s0 === checksum.s0 &&
        now.s1 === checksum.s1
      )
    }
    const bytes = this.headerOf(frame)
    return (
      hasSalts(bytes, 8, header) &&
      bytes.readUInt32BE(16) === checksum.s0 &&
      bytes.readUInt32BE(20) === checksum.s1
    )
  }
}

/** Whether the frame at byte `at` of `bytes` has neither salts nor a checksum: 16 zero bytes. */
export function isUnsigned(bytes: Buffer, at: number): boolean {
  for (let word = at + 8; word < at + FRAME_HEADER_BYTES; word += 4)
    if (bytes.readUInt32BE(word) !== 0) return false
  return true
}

/** Whether both salts of `header` are at byte `at` of `bytes`. */
export function hasSalts(bytes: Buffer, at: number, header: WalHeader): boolean {
  return bytes.readUInt32BE(at) === header.salt1 && bytes.readUInt32BE(at + 4) === header.salt2
}

/** The header of a WAL file, or undefined when the file is shorter or the header is not valid. */
export function readWalHeader(walFd: number): WalHeader | undefined {
  const bytes = alignedBuffer(WAL_HEADER_BYTES)
  if (readSync(walFd, bytes, 0, WAL_HEADER_BYTES, 0) < WAL_HEADER_BYTES) return undefined
  return parseWalHeader(bytes)
}

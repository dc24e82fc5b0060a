/**
 * The WAL file format: https://sqlite.org/fileformat2.html#the_write_ahead_log and walformat.html.
 */

export const WAL_HEADER_BYTES = 32
export const FRAME_HEADER_BYTES = 24
const WAL_MAGIC = 0x377f0682
const WAL_VERSION = 3007000

/**
 * The page that holds byte 2^30, which SQLite never uses
 * (https://sqlite.org/fileformat2.html#the_lock_byte_page).
 */
export function lockPage(pageSize: number): number {
  return 0x40000000 / pageSize + 1
}

export function isPageSize(bytes: number): boolean {
  return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) === 0
}

/** Bytes of one frame in the WAL. */
export function frameBytes(pageSize: number): number {
  return FRAME_HEADER_BYTES + pageSize
}

/** Offset in the WAL file of frame `frame`, counted from 1. */
export function frameOffset(frame: number, pageSize: number): number {
  return WAL_HEADER_BYTES + (frame - 1) * frameBytes(pageSize)
}

/**
 * The running checksum of the WAL: two unsigned 32-bit sums (walformat.html, "Checksum Algorithm").
 */
export interface WalChecksum {
  s0: number
  s1: number
}

/**
 * Adds `words` 32-bit words, from index `at`, to `sum`. `words` is even. `swap` says that the WAL's
 * byte order is not this machine's. The view is an Int32Array because its elements stay small
 * integers in V8.
 */
export function addToChecksum(
  sum: WalChecksum,
  view: Int32Array,
  at: number,
  words: number,
  swap: boolean,
): void {
  let s0 = sum.s0 | 0
  let s1 = sum.s1 | 0
  const end = at + words
  if (swap) {
    for (let i = at; i < end; i += 2) {
      s0 = (s0 + swapWord(view[i]) + s1) | 0
      s1 = (s1 + swapWord(view[i + 1]) + s0) | 0
    }
  } else {
    for (let i = at; i < end; i += 2) {
      s0 = (s0 + view[i] + s1) | 0
      s1 = (s1 + view[i + 1] + s0) | 0
    }
  }
  sum.s0 = s0 >>> 0
  sum.s1 = s1 >>> 0
}

function swapWord(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}

export interface WalHeader {
  readonly bigEndian: boolean
  readonly pageSize: number
  readonly checkpointSequence: number
  readonly salt1: number
  readonly salt2: number
  /** The header's own checksum: the seed of the first frame's. */
  readonly s0: number
  readonly s1: number
}

/**
 * Parses the 32 header bytes; undefined when they are no valid WAL header. `bytes` is 4-byte
 * aligned.
 */
export function parseWalHeader(bytes: Buffer): WalHeader | undefined {
  if (bytes.length < WAL_HEADER_BYTES) return undefined
  const magic = bytes.readUInt32BE(0)
  if ((magic & ~1) !== WAL_MAGIC || bytes.readUInt32BE(4) !== WAL_VERSION) return undefined
  const pageSize = bytes.readUInt32BE(8)
  if (!isPageSize(pageSize)) return undefined
  const bigEndian = (magic & 1) === 1
  const sum = { s0: 0, s1: 0 }
  addToChecksum(sum, wordsOf(bytes), 0, 6, bigEndian)
  if (sum.s0 !== bytes.readUInt32BE(24) || sum.s1 !== bytes.readUInt32BE(28)) return undefined
  return {
    bigEndian,
    pageSize,
    checkpointSequence: bytes.readUInt32BE(12),
    salt1: bytes.readUInt32BE(16),
    salt2: bytes.readUInt32BE(20),
    ...sum,
  }
}

/** Writes a header in this machine's (little-endian) order into `bytes` and gives its checksum. */
export function writeWalHeader(
  bytes: Buffer,
  header: Pick<WalHeader, 'pageSize' | 'checkpointSequence' | 'salt1' | 'salt2'>,
): WalChecksum {
  bytes.writeUInt32BE(WAL_MAGIC, 0)
  bytes.writeUInt32BE(WAL_VERSION, 4)
  bytes.writeUInt32BE(header.pageSize, 8)
  bytes.writeUInt32BE(header.checkpointSequence, 12)
  bytes.writeUInt32BE(header.salt1, 16)
  bytes.writeUInt32BE(header.salt2, 20)
  const sum = { s0: 0, s1: 0 }
  addToChecksum(sum, wordsOf(bytes), 0, 6, false)
  bytes.writeUInt32BE(sum.s0, 24)
  bytes.writeUInt32BE(sum.s1, 28)
  return sum
}

/** A view of the 32-bit words of `bytes`, whose offset in memory must be a multiple of 4. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
}

/** A zeroed buffer of its own memory, so that its offset is 0 and `wordsOf` may view it. */
export function alignedBuffer(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes))
}

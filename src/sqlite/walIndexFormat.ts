/**
 * The wal-index (`-shm`): https://sqlite.org/walformat.html#the_wal_index_file_format.
 * Little-endian hosts only.
 */
import { addToChecksum, isPageSize, type WalChecksum, wordsOf } from './walFormat.ts'

/** One of the two header copies at offset 0 and 48. */
export const INDEX_HEADER_BYTES = 48
/** Both copies, the checkpoint information (96 to 119), the lock bytes (120 to 127) and 8 more. */
export const INDEX_PREFIX_BYTES = 136
export const INDEX_BLOCK_BYTES = 32768
/** Page numbers in the first block and in every later one. */
const FIRST_BLOCK_FRAMES = 4062
const BLOCK_FRAMES = 4096
/** Where the 8192 two-byte hash slots begin in a block. */
export const HASH_OFFSET = 16384
export const HASH_SLOTS = 8192
const INDEX_VERSION = 3007000

export interface WalIndexHeader {
  readonly change: number
  readonly bigEndianWal: boolean
  readonly pageSize: number
  /** Last frame that readers may see. */
  readonly mxFrame: number
  /** Size of the database in pages. */
  readonly pages: number
  readonly frameChecksum: WalChecksum
  /** The salts as the WAL header writes them (big-endian). */
  readonly salt1: number
  readonly salt2: number
}

/**
 * Parses one header copy; undefined when its checksum does not match or it was never initialised. A
 * wal-index made for an empty WAL has page size 0.
 */
export function parseIndexHeader(bytes: Buffer): WalIndexHeader | undefined {
  const sum = { s0: 0, s1: 0 }
  addToChecksum(sum, wordsOf(bytes), 0, 10, false)
  if (sum.s0 !== bytes.readUInt32LE(40) || sum.s1 !== bytes.readUInt32LE(44)) return undefined
  if (bytes.readUInt32LE(0) !== INDEX_VERSION || bytes[12] !== 1) return undefined
  const sizeField = bytes.readUInt16LE(14)
  const pageSize = (sizeField & 0xfe00) + ((sizeField & 1) << 16)
  if (pageSize !== 0 && !isPageSize(pageSize)) return undefined
  return {
    change: bytes.readUInt32LE(8),
    bigEndianWal: bytes[13] === 1,
    pageSize,
    mxFrame: bytes.readUInt32LE(16),
    pages: bytes.readUInt32LE(20),
    frameChecksum: { s0: bytes.readUInt32LE(24), s1: bytes.readUInt32LE(28) },
    salt1: bytes.readUInt32BE(32),
    salt2: bytes.readUInt32BE(36),
  }
}

/** Writes one header copy, with its checksum, into the 48 `bytes`. */
export function writeIndexHeader(bytes: Buffer, header: WalIndexHeader): void {
  const { pageSize } = header
  bytes.writeUInt32LE(INDEX_VERSION, 0)
  bytes.writeUInt32LE(0, 4)
  bytes.writeUInt32LE(header.change, 8)
  bytes[12] = 1
  bytes[13] = header.bigEndianWal ? 1 : 0
  bytes.writeUInt16LE((pageSize & 0xff00) | (pageSize >>> 16), 14)
  bytes.writeUInt32LE(header.mxFrame, 16)
  bytes.writeUInt32LE(header.pages, 20)
  bytes.writeUInt32LE(header.frameChecksum.s0, 24)
  bytes.writeUInt32LE(header.frameChecksum.s1, 28)
  bytes.writeUInt32BE(header.salt1, 32)
  bytes.writeUInt32BE(header.salt2, 36)
  const sum = { s0: 0, s1: 0 }
  addToChecksum(sum, wordsOf(bytes), 0, 10, false)
  bytes.writeUInt32LE(sum.s0, 40)
  bytes.writeUInt32LE(sum.s1, 44)
}

/** The block (from 0) that indexes `frame`. */
export function indexBlockOf(frame: number): number {
  return frame <= FIRST_BLOCK_FRAMES
    ? 0
    : 1 + Math.floor((frame - FIRST_BLOCK_FRAMES - 1) / BLOCK_FRAMES)
}

/** The last frame that comes before those of `block`. */
export function frameBeforeBlock(block: number): number {
  return block === 0 ? 0 : FIRST_BLOCK_FRAMES + (block - 1) * BLOCK_FRAMES
}

/** Where the page numbers of `block` begin inside it. */
export function pageNumbersOffset(block: number): number {
  return block === 0 ? INDEX_PREFIX_BYTES : 0
}

/** The first hash slot tried for a page. */
export function hashSlot(page: number): number {
  return (page * 383) & (HASH_SLOTS - 1)
}

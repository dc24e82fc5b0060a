/**
 * The index of an archive file: its positions, the pages of each, and its blocks. ARCHIVE.md has
 * the format.
 */
import { MAX_BLOCK_BYTES } from './archiveHeader.ts'
import { MAX_COUNTED, MAX_PAGE_NUMBER, MAX_TIME_MS } from './limits.ts'

/** A position that the file can restore, after the one before it. */
export interface ArchivePoint {
  readonly txid: number
  /** State checksum, 16 hex digits. */
  readonly checksum: string
  /** When the leader noticed it, whole ms since 1970 in its clock. */
  readonly timeMs: number
  /** Pages of the database. */
  readonly pages: number
  /** The pages that changed since the point before, in ascending order, each once. */
  readonly pageNumbers: Uint32Array
}

/** A run of pages as it is stored: compressed, and one after another in the file. */
export interface ArchiveBlock {
  readonly bytes: number
  /** XXH64 of the stored bytes. */
  readonly sum: bigint
}

export interface ArchiveIndex {
  /** Ascending by txid. */
  readonly points: readonly ArchivePoint[]
  readonly blocks: readonly ArchiveBlock[]
  /** The first point goes on with that which the file before left open. */
  readonly continues: boolean
  /** The last point is not whole: the next file goes on with it. */
  readonly isOpen: boolean
}

export const MAX_POINTS = 65_536
/** Page images in one file. */
export const MAX_IMAGES = 4 * 1024 * 1024
export const MAX_BLOCKS = 65_536

const HEAD_BYTES = 16
const POINT_BYTES = 32
const BLOCK_BYTES = 16
/** An index at all its bounds, before compression. */
export const MAX_INDEX_BYTES =
  HEAD_BYTES + MAX_POINTS * POINT_BYTES + MAX_BLOCKS * BLOCK_BYTES + 4 * MAX_IMAGES
/** What a compression may add to bytes that it cannot make shorter. */
export const MAX_GROWTH_BYTES = 4096
const CONTINUES = 1
const OPEN = 2
const CHECKSUM = /^[0-9a-f]{16}$/

export function encodeArchiveIndex({ points, blocks, continues, isOpen }: ArchiveIndex): Buffer {
  const images = imagesOf(points)
  const tables = points.length * POINT_BYTES + blocks.length * BLOCK_BYTES
  const bytes = Buffer.alloc(HEAD_BYTES + tables + 4 * images)
  bytes.writeUInt32LE(points.length, 0)
  bytes.writeUInt32LE(blocks.length, 4)
  bytes.writeUInt32LE(images, 8)
  bytes.writeUInt32LE((continues ? CONTINUES : 0) | (isOpen ? OPEN : 0), 12)
  let at = HEAD_BYTES
  for (const { txid, checksum, timeMs, pages, pageNumbers } of points) {
    bytes.writeBigUInt64LE(BigInt(txid), at)
    bytes.writeBigUInt64LE(BigInt(`0x${checksum}`), at + 8)
    bytes.writeBigUInt64LE(BigInt(timeMs), at + 16)
    bytes.writeUInt32LE(pages, at + 24)
    bytes.writeUInt32LE(pageNumbers.length, at + 28)
    at += POINT_BYTES
  }
  for (const block of blocks) {
    bytes.writeUInt32LE(block.bytes, at)
    bytes.writeBigUInt64LE(block.sum, at + 8)
    at += BLOCK_BYTES
  }
  for (const { pageNumbers } of points)
    for (const number of pageNumbers) at = bytes.writeUInt32LE(number, at)
  return bytes
}

/** Throws an Error that says what is wrong. */
export function parseArchiveIndex(bytes: Buffer): ArchiveIndex {
  if (bytes.length < HEAD_BYTES) throw broken('it is cut off')
  const [points, blocks, images, flags] = [0, 4, 8, 12].map((at) => bytes.readUInt32LE(at))
  const isBounded = points <= MAX_POINTS && blocks <= MAX_BLOCKS && images <= MAX_IMAGES
  const wanted = HEAD_BYTES + points * POINT_BYTES + blocks * BLOCK_BYTES + 4 * images
  if (!isBounded || bytes.length !== wanted) throw broken('its length is another one')
  if (flags > (CONTINUES | OPEN)) throw broken('it has unknown flags')
  const blocksAt = HEAD_BYTES + points * POINT_BYTES
  const index = {
    points: pointsIn(bytes, points, blocksAt + blocks * BLOCK_BYTES, images),
    blocks: blocksIn(bytes, blocks, blocksAt),
    continues: (flags & CONTINUES) !== 0,
    isOpen: (flags & OPEN) !== 0,
  }
  requireAscending(index.points)
  return index
}

function pointsIn(bytes: Buffer, count: number, numbersAt: number, images: number): ArchivePoint[] {
  const points: ArchivePoint[] = []
  let image = 0
  for (let at = HEAD_BYTES; points.length < count; at += POINT_BYTES) {
    const length = bytes.readUInt32LE(at + 28)
    if (length > images - image) throw broken('a position has more pages than there are')
    const pageNumbers = new Uint32Array(length)
    for (let i = 0; i < length; i++) pageNumbers[i] = bytes.readUInt32LE(numbersAt + 4 * image++)
    points.push({
      txid: wholeIn(bytes, at, MAX_COUNTED),
      checksum: bytes
        .readBigUInt64LE(at + 8)
        .toString(16)
        .padStart(16, '0'),
      timeMs: wholeIn(bytes, at + 16, MAX_TIME_MS),
      pages: bytes.readUInt32LE(at + 24),
      pageNumbers,
    })
  }
  if (image !== images) throw broken('there are more pages than its positions have')
  return points
}

function blocksIn(bytes: Buffer, count: number, from: number): ArchiveBlock[] {
  return Array.from({ length: count }, (_, i) => {
    const at = from + i * BLOCK_BYTES
    if (bytes.readUInt32LE(at + 4) !== 0) throw broken('a block has unknown flags')
    if (bytes.readUInt32LE(at) > MAX_BLOCK_BYTES + MAX_GROWTH_BYTES)
      throw broken('a block is too long')
    return { bytes: bytes.readUInt32LE(at), sum: bytes.readBigUInt64LE(at + 8) }
  })
}

function wholeIn(bytes: Buffer, at: number, most: number): number {
  const value = bytes.readBigUInt64LE(at)
  if (value > BigInt(most)) throw broken('a number in it is out of bounds')
  return Number(value)
}

function requireAscending(points: readonly ArchivePoint[]): void {
  points.forEach(({ txid, pages, pageNumbers }, i) => {
    if (i > 0 && txid <= points[i - 1].txid) throw broken('its positions are not in order')
    let before = 0
    for (const number of pageNumbers) {
      if (number <= before || number > Math.min(pages, MAX_PAGE_NUMBER))
        throw broken('its pages are not in order, or past the end of the database')
      before = number
    }
  })
}

function imagesOf(points: readonly ArchivePoint[]): number {
  let images = 0
  for (const { checksum, pageNumbers } of points) {
    if (!CHECKSUM.test(checksum)) throw new RangeError(`no checksum: ${checksum}`)
    images += pageNumbers.length
  }
  return images
}

function broken(detail: string): Error {
  return new Error(`its index is not sound: ${detail}`)
}

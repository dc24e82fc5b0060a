/**
 * The index of an archive file: its positions and the pages of each. It is encrypted with the
 * pages: state checksums tell something of them. ARCHIVE.md has the format.
 */
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

export interface ArchiveIndex {
  /** State checksum of the position before the first, 16 hex digits: zeros when there is none. */
  readonly fromChecksum: string
  /** Ascending by txid. */
  readonly points: readonly ArchivePoint[]
  /** The first point goes on with that which the file before left open. */
  readonly continues: boolean
  /** The last point is not whole: the next file goes on with it. */
  readonly isOpen: boolean
}

export const MAX_POINTS = 65_536
/** Page images in one file. */
export const MAX_IMAGES = 4 * 1024 * 1024

const HEAD_BYTES = 24
const POINT_BYTES = 32
/** An index at all its bounds, before compression. */
export const MAX_INDEX_BYTES = HEAD_BYTES + MAX_POINTS * POINT_BYTES + 4 * MAX_IMAGES
const CONTINUES = 1
const OPEN = 2
const CHECKSUM = /^[0-9a-f]{16}$/

export function encodeArchiveIndex(index: ArchiveIndex): Buffer {
  const { fromChecksum, points, continues, isOpen } = index
  const images = imagesOf(points)
  const bytes = Buffer.alloc(HEAD_BYTES + points.length * POINT_BYTES + 4 * images)
  bytes.writeUInt32LE(points.length, 0)
  bytes.writeUInt32LE(images, 4)
  bytes.writeUInt32LE((continues ? CONTINUES : 0) | (isOpen ? OPEN : 0), 8)
  bytes.writeBigUInt64LE(sumOf(fromChecksum), 16)
  let at = HEAD_BYTES
  for (const { txid, checksum, timeMs, pages, pageNumbers } of points) {
    bytes.writeBigUInt64LE(BigInt(txid), at)
    bytes.writeBigUInt64LE(sumOf(checksum), at + 8)
    bytes.writeBigUInt64LE(BigInt(timeMs), at + 16)
    bytes.writeUInt32LE(pages, at + 24)
    bytes.writeUInt32LE(pageNumbers.length, at + 28)
    at += POINT_BYTES
  }
  for (const { pageNumbers } of points)
    for (const number of pageNumbers) at = bytes.writeUInt32LE(number, at)
  return bytes
}

/** Throws an Error that says what is wrong. */
export function parseArchiveIndex(bytes: Buffer): ArchiveIndex {
  if (bytes.length < HEAD_BYTES) throw broken('it is cut off')
  const [points, images, flags, unused] = [0, 4, 8, 12].map((at) => bytes.readUInt32LE(at))
  const isBounded = points <= MAX_POINTS && images <= MAX_IMAGES
  const numbersAt = HEAD_BYTES + points * POINT_BYTES
  if (!isBounded || bytes.length !== numbersAt + 4 * images)
    throw broken('its length is another one')
  if (flags > (CONTINUES | OPEN) || unused !== 0) throw broken('it has unknown flags')
  if (flags !== 0 && points === 0) throw broken('it is a part of no position')
  const index = {
    fromChecksum: checksumIn(bytes, 16),
    points: pointsIn(bytes, points, numbersAt, images),
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
      checksum: checksumIn(bytes, at + 8),
      timeMs: wholeIn(bytes, at + 16, MAX_TIME_MS),
      pages: bytes.readUInt32LE(at + 24),
      pageNumbers,
    })
  }
  if (image !== images) throw broken('there are more pages than its positions have')
  return points
}

function checksumIn(bytes: Buffer, at: number): string {
  return bytes.readBigUInt64LE(at).toString(16).padStart(16, '0')
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
  return points.reduce((sum, { pageNumbers }) => sum + pageNumbers.length, 0)
}

function sumOf(checksum: string): bigint {
  if (!CHECKSUM.test(checksum)) throw new RangeError(`no checksum: ${checksum}`)
  return BigInt(`0x${checksum}`)
}

function broken(detail: string): Error {
  return new Error(`its index is not sound: ${detail}`)
}

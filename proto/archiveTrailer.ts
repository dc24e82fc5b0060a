/**
 * The end of an archive file, from which a reader finds the rest. A file without it was not written
 * to its end. ARCHIVE.md has the format.
 */

import { xxh64 } from '../src/xxh64.ts'
import { MAX_GROWTH_BYTES, MAX_INDEX_BYTES } from './archiveIndex.ts'

export interface ArchiveTrailer {
  /** Where the index begins: right behind the last block. */
  readonly indexAt: number
  /** Its length as it is stored, and before compression. */
  readonly indexBytes: number
  readonly indexRawBytes: number
  /** XXH64 of the stored index. */
  readonly indexSum: bigint
  /** The checksum of the header of this file. */
  readonly headerSum: bigint
}

export const ARCHIVE_TRAILER_BYTES = 48
const MAGIC = Buffer.from('\x1atsaclaw', 'latin1')

export function encodeArchiveTrailer(trailer: ArchiveTrailer): Buffer {
  const bytes = Buffer.alloc(ARCHIVE_TRAILER_BYTES)
  bytes.writeBigUInt64LE(BigInt(trailer.indexAt), 0)
  bytes.writeUInt32LE(trailer.indexBytes, 8)
  bytes.writeUInt32LE(trailer.indexRawBytes, 12)
  bytes.writeBigUInt64LE(trailer.indexSum, 16)
  bytes.writeBigUInt64LE(trailer.headerSum, 24)
  MAGIC.copy(bytes, 32)
  bytes.writeBigUInt64LE(xxh64(bytes.subarray(0, 40), 0n), 40)
  return bytes
}

/** `bytes`: the last ones of a file. Throws an Error that says what is wrong. */
export function parseArchiveTrailer(bytes: Buffer): ArchiveTrailer {
  if (bytes.length !== ARCHIVE_TRAILER_BYTES || !bytes.subarray(32, 40).equals(MAGIC))
    throw new Error('it has no end: it was not written whole, or was cut off')
  if (xxh64(bytes.subarray(0, 40), 0n) !== bytes.readBigUInt64LE(40))
    throw new Error('the checksum of its end is wrong')
  const indexAt = bytes.readBigUInt64LE(0)
  const [indexBytes, indexRawBytes] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)]
  const isBounded =
    indexAt <= BigInt(Number.MAX_SAFE_INTEGER) &&
    indexRawBytes <= MAX_INDEX_BYTES &&
    indexBytes <= indexRawBytes + MAX_GROWTH_BYTES
  if (!isBounded) throw new Error('its index is out of bounds')
  return {
    indexAt: Number(indexAt),
    indexBytes,
    indexRawBytes,
    indexSum: bytes.readBigUInt64LE(16),
    headerSum: bytes.readBigUInt64LE(24),
  }
}

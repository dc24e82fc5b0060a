/**
 * The end of an archive file, from which a reader finds the rest. A file without it was not written
 * to its end. ARCHIVE.md has the format.
 */

import { xxh64 } from '../src/xxh64.ts'
import { BLOCK_ROW_BYTES, MAX_BLOCKS, maxStoredBytes } from './archiveBlocks.ts'
import { MAX_INDEX_BYTES } from './archiveIndex.ts'

export interface ArchiveTrailer {
  /** Where the block table begins: right behind the last block. */
  readonly tableAt: number
  readonly blocks: number
  /** Length of the index, which follows the table: as it is stored, and uncompressed. */
  readonly indexBytes: number
  readonly indexRawBytes: number
  /** XXH64 of the block table and the stored index. */
  readonly tablesSum: bigint
  /** The checksum of the header of this file. */
  readonly headerSum: bigint
}

export const ARCHIVE_TRAILER_BYTES = 56
const MAGIC = Buffer.from('\x1atsaclaw', 'latin1')
const MAGIC_AT = 40
const SUM_AT = 48

export function encodeArchiveTrailer(trailer: ArchiveTrailer): Buffer {
  const bytes = Buffer.alloc(ARCHIVE_TRAILER_BYTES)
  bytes.writeBigUInt64LE(BigInt(trailer.tableAt), 0)
  bytes.writeUInt32LE(trailer.blocks, 8)
  bytes.writeUInt32LE(trailer.indexBytes, 12)
  bytes.writeUInt32LE(trailer.indexRawBytes, 16)
  bytes.writeBigUInt64LE(trailer.tablesSum, 24)
  bytes.writeBigUInt64LE(trailer.headerSum, 32)
  MAGIC.copy(bytes, MAGIC_AT)
  bytes.writeBigUInt64LE(xxh64(bytes.subarray(0, SUM_AT), 0n), SUM_AT)
  return bytes
}

/** `bytes`: the last ones of a file. Throws an Error that says what is wrong. */
export function parseArchiveTrailer(bytes: Buffer): ArchiveTrailer {
  if (bytes.length !== ARCHIVE_TRAILER_BYTES || !bytes.subarray(MAGIC_AT, SUM_AT).equals(MAGIC))
    throw new Error('it has no end: it was not written whole, or was cut off')
  if (xxh64(bytes.subarray(0, SUM_AT), 0n) !== bytes.readBigUInt64LE(SUM_AT))
    throw new Error('the checksum of its end is wrong')
  const tableAt = bytes.readBigUInt64LE(0)
  const [blocks, indexBytes, indexRawBytes] = [8, 12, 16].map((at) => bytes.readUInt32LE(at))
  const isBounded =
    tableAt <= BigInt(Number.MAX_SAFE_INTEGER) &&
    blocks <= MAX_BLOCKS &&
    indexRawBytes <= MAX_INDEX_BYTES &&
    indexBytes <= maxStoredBytes(indexRawBytes) &&
    bytes.readUInt32LE(20) === 0
  if (!isBounded) throw new Error('its index is out of bounds')
  return {
    tableAt: Number(tableAt),
    blocks,
    indexBytes,
    indexRawBytes,
    tablesSum: bytes.readBigUInt64LE(24),
    headerSum: bytes.readBigUInt64LE(32),
  }
}

/** Bytes of the block table and the index together. */
export function tablesBytes({ blocks, indexBytes }: ArchiveTrailer): number {
  return blocks * BLOCK_ROW_BYTES + indexBytes
}

/**
 * The block table of an archive file: where its blocks lie and their checksums. It is never
 * encrypted, so that damage is found without a key. ARCHIVE.md has the format.
 */
import { MAX_BLOCK_BYTES } from './archiveHeader.ts'

/** A run of pages as it is stored: one after another in the file. */
export interface ArchiveBlock {
  readonly bytes: number
  /** XXH64 of the stored bytes. */
  readonly sum: bigint
}

export const MAX_BLOCKS = 65_536
export const BLOCK_ROW_BYTES = 16

/**
 * The most bytes that a part takes as it is stored: what cannot be compressed grows a little, and
 * the tag of an encrypted part is 16 bytes.
 */
export function maxStoredBytes(rawBytes: number): number {
  return rawBytes + Math.floor(rawBytes / 1024) + 4096
}

export function encodeBlockTable(blocks: readonly ArchiveBlock[]): Buffer {
  const bytes = Buffer.alloc(blocks.length * BLOCK_ROW_BYTES)
  blocks.forEach((block, i) => {
    bytes.writeUInt32LE(block.bytes, i * BLOCK_ROW_BYTES)
    bytes.writeBigUInt64LE(block.sum, i * BLOCK_ROW_BYTES + 8)
  })
  return bytes
}

/** `bytes`: of the table and nothing else. Throws an Error that says what is wrong. */
export function parseBlockTable(bytes: Buffer): ArchiveBlock[] {
  return Array.from({ length: bytes.length / BLOCK_ROW_BYTES }, (_, i) => {
    const at = i * BLOCK_ROW_BYTES
    const length = bytes.readUInt32LE(at)
    if (bytes.readUInt32LE(at + 4) !== 0) throw new Error('a block of it has unknown flags')
    if (length > maxStoredBytes(MAX_BLOCK_BYTES)) throw new Error('a block of it is too long')
    return { bytes: length, sum: bytes.readBigUInt64LE(at + 8) }
  })
}

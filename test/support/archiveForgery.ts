/**
 * What somebody can do who changes archive files and knows the format: every checksum of the file
 * is right again afterwards. No key is used.
 */
import { encodeBlockTable } from '../../proto/archiveBlocks.ts'
import { parseArchiveHeader } from '../../proto/archiveHeader.ts'
import {
  ARCHIVE_TRAILER_BYTES,
  encodeArchiveTrailer,
  parseArchiveTrailer,
} from '../../proto/archiveTrailer.ts'
import { xxh64 } from '../../src/xxh64.ts'

/** A file taken apart. */
export interface ArchiveParts {
  readonly header: Buffer
  readonly blocks: readonly Buffer[]
  readonly index: Buffer
  readonly indexRawBytes: number
}

/** `archive`: a whole file. */
export function partsOf(archive: Buffer): ArchiveParts {
  const { bytes } = parseArchiveHeader(archive)
  const end = archive.length - ARCHIVE_TRAILER_BYTES
  const { tableAt, blocks, indexRawBytes } = parseArchiveTrailer(archive.subarray(end))
  let at = bytes
  const found = Array.from({ length: blocks }, (_, i) => {
    const from = at
    at += archive.readUInt32LE(tableAt + 16 * i)
    return archive.subarray(from, at)
  })
  return {
    header: archive.subarray(0, bytes),
    blocks: found,
    index: archive.subarray(tableAt + 16 * blocks, end),
    indexRawBytes,
  }
}

/** The parts as a file in which every checksum is right. */
export function assembled({ header, blocks, index, indexRawBytes }: ArchiveParts): Buffer {
  const head = Buffer.from(header)
  const headerSum = xxh64(head.subarray(0, -8), 0n)
  head.writeBigUInt64LE(headerSum, head.length - 8)
  const table = encodeBlockTable(
    blocks.map((block) => ({ bytes: block.length, sum: xxh64(block, 0n) })),
  )
  const tables = Buffer.concat([table, index])
  const before = Buffer.concat([head, ...blocks])
  const trailer = encodeArchiveTrailer({
    tableAt: before.length,
    blocks: blocks.length,
    indexBytes: index.length,
    indexRawBytes,
    tablesSum: xxh64(tables, 0n),
    headerSum,
  })
  return Buffer.concat([before, tables, trailer])
}

/** The same file with another JSON in its header. */
export function withJson(parts: ArchiveParts, change: (json: string) => string): ArchiveParts {
  const json = Buffer.from(change(parts.header.toString('utf8', 16, parts.header.length - 8)))
  const header = Buffer.concat([parts.header.subarray(0, 16), json, Buffer.alloc(8)])
  header.writeUInt32LE(json.length, 12)
  return { ...parts, header }
}

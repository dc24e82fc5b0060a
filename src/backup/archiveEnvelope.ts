/**
 * What can be read of an archive file without a key, whether it is encrypted or not: its header,
 * where its parts lie, and whether all of them are what was written. What the parts hold is for
 * `ArchiveFile`.
 */
import { type ArchiveBlock, BLOCK_ROW_BYTES, parseBlockTable } from '../../proto/archiveBlocks.ts'
import {
  type ClearHeader,
  NewerArchive,
  type ParsedHeader,
  parseArchiveHeader,
} from '../../proto/archiveHeader.ts'
import type { ArchiveSeal } from '../../proto/archiveSeal.ts'
import {
  ARCHIVE_TRAILER_BYTES,
  type ArchiveTrailer,
  parseArchiveTrailer,
  tablesBytes,
} from '../../proto/archiveTrailer.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { xxh64 } from '../xxh64.ts'
import { type ByteSource, readEnds } from './archiveEnds.ts'

export type { ByteSource } from './archiveEnds.ts'

/** A part as it is stored, and its length before compression. */
export interface StoredIndex {
  readonly bytes: Buffer
  readonly rawBytes: number
}

export class ArchiveEnvelope {
  readonly header: ClearHeader
  /** How the file is encrypted; undefined when it is not. */
  readonly seal: ArchiveSeal | undefined
  /** All bytes of the header. */
  readonly headerBytes: Buffer
  readonly index: StoredIndex
  readonly #source: ByteSource
  readonly #blocks: readonly ArchiveBlock[]
  /** Where each block begins, and where the last one ends. */
  readonly #blocksAt: readonly number[]

  private constructor(
    source: ByteSource,
    { header, seal, bytes }: ParsedHeader,
    headerBytes: Buffer,
    blocks: readonly ArchiveBlock[],
    index: StoredIndex,
  ) {
    this.#source = source
    this.header = header
    this.seal = seal
    this.headerBytes = headerBytes
    this.index = index
    this.#blocks = blocks
    this.#blocksAt = startsOf(
      bytes,
      blocks.map((block) => block.bytes),
    )
  }

  /** Reads header, end and tables, and compares their checksums. Throws ARCHIVE_BROKEN. */
  static async open(source: ByteSource): Promise<ArchiveEnvelope> {
    const { head, read } = await readEnds(source)
    const parsed = sound(source, () => parseArchiveHeader(head))
    const trailer = await readTrailer({ ...source, read }, parsed)
    const tables = await read(trailer.tableAt, tablesBytes(trailer))
    if (xxh64(tables, 0n) !== trailer.tablesSum) throw broken(source, 'its index was changed')
    const tableEnd = trailer.blocks * BLOCK_ROW_BYTES
    const blocks = sound(source, () => parseBlockTable(tables.subarray(0, tableEnd)))
    const envelope = new ArchiveEnvelope(
      source,
      parsed,
      Buffer.from(head.subarray(0, parsed.bytes)),
      blocks,
      { bytes: tables.subarray(tableEnd), rawBytes: trailer.indexRawBytes },
    )
    if (envelope.#blocksAt[blocks.length] !== trailer.tableAt)
      throw broken(source, 'its blocks do not end at its index')
    return envelope
  }

  /** Of the file, for people. */
  get name(): string {
    return this.#source.name
  }

  /** Number of its blocks. */
  get blocks(): number {
    return this.#blocks.length
  }

  /** Short ids of the recipients; none when the file is not encrypted. */
  get recipients(): readonly string[] {
    return this.seal?.keys.map(({ recipient }) => recipient) ?? []
  }

  /** A block as it is stored. Throws ARCHIVE_BROKEN. */
  async block(number: number): Promise<Buffer> {
    const { bytes, sum } = this.#blocks[number]
    const stored = await this.#source.read(this.#blocksAt[number], bytes)
    if (xxh64(stored, 0n) !== sum) throw broken(this.#source, `block ${number} was changed`)
    return stored
  }

  /** Reads every block, and so has read the whole file. Throws ARCHIVE_BROKEN. */
  async checkBlocks(): Promise<void> {
    for (let number = 0; number < this.blocks; number++) await this.block(number)
  }
}

async function readTrailer(
  source: ByteSource,
  { sum, bytes: headerBytes }: ParsedHeader,
): Promise<ArchiveTrailer> {
  const at = Math.max(0, source.bytes - ARCHIVE_TRAILER_BYTES)
  const bytes = await source.read(at, source.bytes - at)
  const trailer = sound(source, () => parseArchiveTrailer(bytes))
  if (trailer.headerSum !== sum) throw broken(source, 'its end is that of another file')
  if (trailer.tableAt < headerBytes || trailer.tableAt + tablesBytes(trailer) !== at)
    throw broken(source, 'its index is not before its end')
  return trailer
}

/** Where each of some lengths begins when they follow each other, and where the last one ends. */
export function startsOf(from: number, lengths: readonly number[]): number[] {
  const starts = [from]
  for (const length of lengths) starts.push(starts[starts.length - 1] + length)
  return starts
}

/** Gives what `parse` gives. Throws ARCHIVE_BROKEN for what it throws. */
export function sound<T>(source: { readonly name: string }, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw broken(source, messageOf(error), error)
  }
}

export function broken(
  { name }: { readonly name: string },
  detail: string,
  cause?: unknown,
): WalcastError {
  const key = cause instanceof NewerArchive ? 'ARCHIVE_NEWER' : 'ARCHIVE_BROKEN'
  return new WalcastError(key, { name, detail }, cause)
}

/**
 * Writes one archive file from its beginning to its end, in pieces that may go over a network: no
 * piece is written twice or out of order. Memory is bound by one block and the page numbers.
 */
import { type ArchiveBlock, encodeBlockTable, MAX_BLOCKS } from '../../proto/archiveBlocks.ts'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import {
  type ArchivePoint,
  encodeArchiveIndex,
  MAX_IMAGES,
  MAX_POINTS,
} from '../../proto/archiveIndex.ts'
import { encodeArchiveTrailer } from '../../proto/archiveTrailer.ts'
import type { BackupRecipient } from '../security/backupKeys.ts'
import { xxh64 } from '../xxh64.ts'
import { CODECS, type Effort } from './codecs.ts'
import { beginParts, type PartCipher } from './partCipher.ts'
import type { RecentKeys } from './recentKeys.ts'

export interface PageImage {
  readonly number: number
  readonly bytes: Uint8Array
}

export type PointOf = Omit<ArchivePoint, 'pageNumbers'>

/** How the file is tied to the one before and the one after it. */
export interface FileLinks {
  readonly continues: boolean
  readonly isOpen: boolean
}

const WHOLE: FileLinks = { continues: false, isOpen: false }
/** The state before a snapshot, and that of a position of which a file has only a part: none. */
export const NO_STATE = '0000000000000000'

export class ArchiveFileWriter {
  readonly #header: ArchiveHeader
  readonly #cipher: PartCipher
  readonly #write: (bytes: Buffer) => Promise<void>
  readonly #effort: Effort
  readonly #points: ArchivePoint[] = []
  readonly #blocks: ArchiveBlock[] = []
  readonly #block: Buffer
  #blockImages = 0
  #images = 0
  #bytes = 0
  #headerSum = 0n

  private constructor(
    header: ArchiveHeader,
    cipher: PartCipher,
    write: (bytes: Buffer) => Promise<void>,
    effort: Effort,
  ) {
    this.#header = header
    this.#cipher = cipher
    this.#write = write
    this.#effort = effort
    this.#block = Buffer.alloc(header.blockPages * header.pageSize)
  }

  /**
   * Writes the header. `write` takes the pieces in order, each once the one before is taken. With
   * `recipients`, 1 to MAX_RECIPIENTS, the file is encrypted: only they read it, and this process
   * while `keys` hold its key.
   */
  static async begin(
    header: ArchiveHeader,
    write: (bytes: Buffer) => Promise<void>,
    recipients?: readonly BackupRecipient[],
    keys?: RecentKeys,
    effort: Effort = 'some',
  ): Promise<ArchiveFileWriter> {
    const { bytes, cipher } = beginParts(header, recipients, keys)
    const writer = new ArchiveFileWriter(header, cipher, write, effort)
    writer.#headerSum = bytes.readBigUInt64LE(bytes.length - 8)
    await writer.#emit(bytes)
    return writer
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether `images` more pages, and one position, fit into this file. */
  hasRoom(images: number): boolean {
    const most = Math.min(MAX_IMAGES, MAX_BLOCKS * this.#header.blockPages)
    return this.#images + images <= most && this.#points.length < MAX_POINTS
  }

  /** `images`: the pages that changed, in ascending order, each once. */
  async add(point: PointOf, images: Iterable<PageImage> | AsyncIterable<PageImage>): Promise<void> {
    const numbers: number[] = []
    for await (const { number, bytes } of images) {
      numbers.push(number)
      this.#block.set(bytes, this.#blockImages * this.#header.pageSize)
      this.#images++
      if (++this.#blockImages === this.#header.blockPages) await this.#endBlock()
    }
    this.#points.push({ ...point, pageNumbers: Uint32Array.from(numbers) })
  }

  /** Writes the index and the end. */
  async end({ continues, isOpen }: FileLinks = WHOLE): Promise<void> {
    if (this.#blockImages > 0) await this.#endBlock()
    const raw = encodeArchiveIndex({
      fromChecksum: this.#header.fromChecksum || NO_STATE,
      points: this.#points,
      continues,
      isOpen,
    })
    const table = encodeBlockTable(this.#blocks)
    const index = this.#cipher.seal('index', await this.#compress(raw))
    const tables = Buffer.concat([table, index])
    const trailer = encodeArchiveTrailer({
      tableAt: this.#bytes,
      blocks: this.#blocks.length,
      indexBytes: index.length,
      indexRawBytes: raw.length,
      tablesSum: xxh64(tables, 0n),
      headerSum: this.#headerSum,
    })
    await this.#emit(tables)
    await this.#emit(trailer)
  }

  async #endBlock(): Promise<void> {
    const raw = this.#block.subarray(0, this.#blockImages * this.#header.pageSize)
    const packed = await this.#compress(raw)
    const stored = this.#cipher.seal(this.#blocks.length, packed)
    this.#blocks.push({ bytes: stored.length, sum: xxh64(stored, 0n) })
    this.#blockImages = 0
    await this.#emit(stored)
  }

  #compress(raw: Buffer): Promise<Buffer> {
    return CODECS[this.#header.codec].compress(raw, this.#effort)
  }

  async #emit(bytes: Buffer): Promise<void> {
    await this.#write(bytes)
    this.#bytes += bytes.length
  }
}

/**
 * Reads one archive file: its positions from its end, and any page of it without the rest. Nothing
 * is given that its checksums do not vouch for.
 */
import {
  type ArchiveHeader,
  MAX_ARCHIVE_HEADER_BYTES,
  parseArchiveHeader,
} from '../../proto/archiveHeader.ts'
import {
  type ArchiveIndex,
  type ArchivePoint,
  parseArchiveIndex,
} from '../../proto/archiveIndex.ts'
import {
  ARCHIVE_TRAILER_BYTES,
  type ArchiveTrailer,
  parseArchiveTrailer,
} from '../../proto/archiveTrailer.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { xxh64 } from '../xxh64.ts'
import type { PageImage } from './archiveFileWriter.ts'
import { CODECS } from './codecs.ts'

/** Where the bytes of a file come from. */
export interface ByteSource {
  /** Of the file, for people. */
  readonly name: string
  /** Length of the file. */
  readonly bytes: number
  /** Rejects when it gives fewer. */
  read(at: number, bytes: number): Promise<Buffer>
}

/** Fixed part, JSON and checksum. */
const MAX_HEAD_BYTES = MAX_ARCHIVE_HEADER_BYTES + 24

export class ArchiveFile {
  readonly header: ArchiveHeader
  readonly #source: ByteSource
  readonly #index: ArchiveIndex
  /** Where each block begins. */
  readonly #blocksAt: readonly number[]
  /** Number of the first image of each point, and the number of all. */
  readonly #imagesAt: readonly number[]

  private constructor(
    source: ByteSource,
    header: ArchiveHeader,
    index: ArchiveIndex,
    blocksAt: readonly number[],
  ) {
    this.#source = source
    this.header = header
    this.#index = index
    this.#blocksAt = blocksAt
    this.#imagesAt = startsOf(
      0,
      index.points.map(({ pageNumbers }) => pageNumbers.length),
    )
  }

  /** Throws ARCHIVE_BROKEN, and what the source throws. */
  static async open(source: ByteSource): Promise<ArchiveFile> {
    const head = await source.read(0, Math.min(MAX_HEAD_BYTES, source.bytes))
    const { header, bytes, sum } = sound(source, () => parseArchiveHeader(head))
    const trailer = await readTrailer(source, sum)
    const index = await readIndex(source, header, trailer)
    const blocksAt = startsOf(
      bytes,
      index.blocks.map((block) => block.bytes),
    )
    sound(source, () => requireWhole(header, index, blocksAt, trailer))
    return new ArchiveFile(source, header, index, blocksAt)
  }

  get points(): readonly ArchivePoint[] {
    return this.#index.points
  }

  get continues(): boolean {
    return this.#index.continues
  }

  get isOpen(): boolean {
    return this.#index.isOpen
  }

  /** The pages of the points from `first` to `last` (by their place), in the order of the file. */
  async *images(first: number, last: number): AsyncGenerator<PageImage> {
    const { pageSize, blockPages } = this.header
    let block: { readonly number: number; readonly raw: Buffer } | undefined
    for (let point = first; point <= last; point++) {
      const { pageNumbers } = this.points[point]
      for (let i = 0; i < pageNumbers.length; i++) {
        const image = this.#imagesAt[point] + i
        const number = Math.floor(image / blockPages)
        if (block?.number !== number) block = { number, raw: await this.#readBlock(number) }
        const at = (image % blockPages) * pageSize
        yield { number: pageNumbers[i], bytes: block.raw.subarray(at, at + pageSize) }
      }
    }
  }

  /** The image of a page in the point at this place; undefined when it did not change there. */
  async page(point: number, number: number): Promise<Buffer | undefined> {
    const { pageSize, blockPages } = this.header
    const i = placeOf(this.points[point].pageNumbers, number)
    if (i === undefined) return undefined
    const image = this.#imagesAt[point] + i
    const raw = await this.#readBlock(Math.floor(image / blockPages))
    const at = (image % blockPages) * pageSize
    return raw.subarray(at, at + pageSize)
  }

  /** The pages of a block, one after another. Throws ARCHIVE_BROKEN. */
  block(number: number): Promise<Buffer> {
    return this.#readBlock(number)
  }

  async #readBlock(number: number): Promise<Buffer> {
    const { codec, blockPages, pageSize } = this.header
    const { bytes, sum } = this.#index.blocks[number]
    const stored = await this.#source.read(this.#blocksAt[number], bytes)
    if (xxh64(stored, 0n) !== sum) throw broken(this.#source, `block ${number} was changed`)
    const images = this.#imagesAt[this.#imagesAt.length - 1]
    const wanted = Math.min(blockPages, images - number * blockPages) * pageSize
    return unpack(this.#source, codec, stored, wanted, `block ${number}`)
  }
}

async function readTrailer(source: ByteSource, headerSum: bigint): Promise<ArchiveTrailer> {
  const at = Math.max(0, source.bytes - ARCHIVE_TRAILER_BYTES)
  const bytes = await source.read(at, source.bytes - at)
  const trailer = sound(source, () => parseArchiveTrailer(bytes))
  const { indexAt, indexBytes } = trailer
  if (trailer.headerSum !== headerSum) throw broken(source, 'its end is that of another file')
  if (indexAt + indexBytes !== at) throw broken(source, 'its index is not before its end')
  return trailer
}

async function readIndex(
  source: ByteSource,
  { codec }: ArchiveHeader,
  { indexAt, indexBytes, indexRawBytes, indexSum }: ArchiveTrailer,
): Promise<ArchiveIndex> {
  const stored = await source.read(indexAt, indexBytes)
  if (xxh64(stored, 0n) !== indexSum) throw broken(source, 'its index was changed')
  const raw = await unpack(source, codec, stored, indexRawBytes, 'its index')
  return sound(source, () => parseArchiveIndex(raw))
}

async function unpack(
  source: ByteSource,
  codec: ArchiveHeader['codec'],
  stored: Buffer,
  bytes: number,
  what: string,
): Promise<Buffer> {
  const raw = await CODECS[codec].decompress(stored, Math.max(1, bytes)).catch((error) => {
    throw broken(source, `${what} cannot be unpacked: ${messageOf(error)}`, error)
  })
  if (raw.length !== bytes) throw broken(source, `${what} has another length`)
  return raw
}

/** The blocks hold all images, and fill the file up to its index. */
function requireWhole(
  { blockPages }: ArchiveHeader,
  { points, blocks }: ArchiveIndex,
  blocksAt: readonly number[],
  { indexAt }: Pick<ArchiveTrailer, 'indexAt'>,
): void {
  const images = points.reduce((sum, { pageNumbers }) => sum + pageNumbers.length, 0)
  if (blocks.length !== Math.ceil(images / blockPages))
    throw new Error('it has another number of blocks than its pages fill')
  if (blocksAt[blocks.length] !== indexAt) throw new Error('its blocks do not end at its index')
}

/** Where each of some lengths begins when they follow each other, and where the last one ends. */
function startsOf(from: number, lengths: readonly number[]): number[] {
  const starts = [from]
  for (const length of lengths) starts.push(starts[starts.length - 1] + length)
  return starts
}

/** Place of a number among ascending ones. */
function placeOf(numbers: Uint32Array, number: number): number | undefined {
  let [low, high] = [0, numbers.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numbers[middle] < number) low = middle + 1
    else high = middle
  }
  return numbers[low] === number ? low : undefined
}

function sound<T>(source: ByteSource, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw broken(source, messageOf(error), error)
  }
}

function broken({ name }: ByteSource, detail: string, cause?: unknown): WalcastError {
  return new WalcastError('ARCHIVE_BROKEN', { name, detail }, cause)
}

/**
 * Reads one archive file: its positions from its end, and any page of it without the rest. Nothing
 * is given that its checksums do not vouch for.
 */
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import {
  type ArchiveIndex,
  type ArchivePoint,
  parseArchiveIndex,
} from '../../proto/archiveIndex.ts'
import { messageOf } from '../errors.ts'
import type { BackupIdentity } from '../security/backupKeys.ts'
import type { SealedPart } from '../security/sealedFile.ts'
import { ArchiveEnvelope, type ByteSource, broken, sound, startsOf } from './archiveEnvelope.ts'
import type { PageImage } from './archiveFileWriter.ts'
import { CODECS } from './codecs.ts'
import { type PartCipher, unlockParts } from './partCipher.ts'
import type { RecentKeys } from './recentKeys.ts'

export type { ByteSource } from './archiveEnvelope.ts'

/** Blocks that are read and unpacked while the one before is used; each by one thread. */
const BLOCKS_AHEAD = 3

/** Which images of some points are read. */
export interface ImageChoice {
  /** So many of the first point are left out. */
  readonly skip?: number
  /** Images for which it gives false are left out. */
  readonly wants?: (point: number, page: number) => boolean
}

/** Images of one point that lie behind each other in one block. */
export interface ImageRun {
  /** Place of the point. */
  readonly point: number
  readonly numbers: Uint32Array
  readonly bytes: Buffer
}

export class ArchiveFile {
  readonly header: ArchiveHeader
  readonly #envelope: ArchiveEnvelope
  readonly #cipher: PartCipher
  readonly #index: ArchiveIndex
  /** Number of the first image of each point, and of the one behind them. */
  readonly #imagesAt: readonly number[]
  /** Of all points that are in the file. */
  readonly #images: number
  /** The last block of which images were given: the next point often begins within it. */
  #kept: { readonly number: number; readonly raw: Buffer } | undefined

  private constructor(
    envelope: ArchiveEnvelope,
    cipher: PartCipher,
    index: ArchiveIndex,
    images?: number,
  ) {
    const fromChecksum = envelope.header.kind === 'snapshot' ? '' : index.fromChecksum
    this.header = { ...envelope.header, fromChecksum }
    this.#envelope = envelope
    this.#cipher = cipher
    this.#index = index
    this.#imagesAt = startsOf(
      0,
      index.points.map(({ pageNumbers }) => pageNumbers.length),
    )
    this.#images = images ?? this.#imagesAt[this.#imagesAt.length - 1]
  }

  /**
   * `identities` open an encrypted file, and `keys` one that this process wrote. Throws
   * ARCHIVE_LOCKED when none does, ARCHIVE_BROKEN, ARCHIVE_NEWER, and what the source throws.
   */
  static async open(
    source: ByteSource,
    identities: readonly BackupIdentity[] = [],
    keys?: RecentKeys,
  ): Promise<ArchiveFile> {
    const envelope = await ArchiveEnvelope.open(source)
    const cipher = unlockParts(envelope, identities, keys)
    const { bytes, rawBytes } = envelope.index
    const raw = await unpack(envelope, cipher, 'index', bytes, rawBytes)
    const index = sound(envelope, () => parseArchiveIndex(raw))
    sound(envelope, () => requireWhole(envelope, index))
    return new ArchiveFile(envelope, cipher, index)
  }

  get isEncrypted(): boolean {
    return this.#envelope.seal !== undefined
  }

  /** The same file as if it ended at the txid `last`: another history goes on from there. */
  upTo(last: number): ArchiveFile {
    const points = this.points.filter(({ txid }) => txid <= last)
    const isOpen = this.isOpen && points.length === this.points.length
    const index = { ...this.#index, points, isOpen }
    return new ArchiveFile(this.#envelope, this.#cipher, index, this.#images)
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

  /**
   * The pages of the points from `first` to `last` (by their place), in the order of the file. A
   * block without a page that is chosen is not read; the next ones are read ahead.
   */
  async *images(first: number, last: number, choice: ImageChoice = {}): AsyncGenerator<PageImage> {
    const { pageSize } = this.header
    for await (const { point, numbers, bytes } of this.runs(first, last, choice))
      for (const [i, number] of numbers.entries()) {
        if (choice.wants && !choice.wants(point, number)) continue
        yield { number, bytes: bytes.subarray(i * pageSize, (i + 1) * pageSize) }
      }
  }

  /** The same in runs: the images of one point that lie in one block, with those not chosen. */
  async *runs(
    first: number,
    last: number,
    { skip = 0, wants }: ImageChoice = {},
  ): AsyncGenerator<ImageRun> {
    const { pageSize, blockPages } = this.header
    const lastBlock = Math.floor((this.#imagesAt[last + 1] - 1) / blockPages)
    const blocks = new BlockReader((number) => this.#blockOnce(number), wants ? 0 : lastBlock)
    try {
      for (let point = first; point <= last; point++) {
        const { pageNumbers } = this.points[point]
        for (let i = point === first ? skip : 0; i < pageNumbers.length; ) {
          const image = this.#imagesAt[point] + i
          const within = image % blockPages
          const numbers = pageNumbers.subarray(i, i + blockPages - within)
          i += numbers.length
          if (wants && !numbers.some((page) => wants(point, page))) continue
          const raw = await blocks.read(Math.floor(image / blockPages))
          const bytes = raw.subarray(within * pageSize, (within + numbers.length) * pageSize)
          yield { point, numbers, bytes }
        }
      }
    } finally {
      await blocks.end()
    }
  }

  /** The image of a page in the point at this place; undefined when it did not change there. */
  async page(point: number, number: number): Promise<Buffer | undefined> {
    const { pageSize, blockPages } = this.header
    const i = placeOf(this.points[point].pageNumbers, number)
    if (i === undefined) return undefined
    const image = this.#imagesAt[point] + i
    const raw = await this.block(Math.floor(image / blockPages))
    const at = (image % blockPages) * pageSize
    return raw.subarray(at, at + pageSize)
  }

  async #blockOnce(number: number): Promise<Buffer> {
    const kept = this.#kept
    if (kept?.number === number) return kept.raw
    const raw = await this.block(number)
    this.#kept = { number, raw }
    return raw
  }

  /** The pages of a block, one after another. Throws ARCHIVE_BROKEN. */
  async block(number: number): Promise<Buffer> {
    const { blockPages, pageSize } = this.header
    const stored = await this.#envelope.block(number)
    const wanted = Math.min(blockPages, this.#images - number * blockPages) * pageSize
    return unpack(this.#envelope, this.#cipher, number, stored, wanted)
  }
}

/** Keeps the last block that was read, and reads some ahead, up to `lastAhead`. */
class BlockReader {
  readonly #read: (number: number) => Promise<Buffer>
  readonly #lastAhead: number
  readonly #ahead = new Map<number, Promise<Buffer>>()
  #number = -1
  #raw: Buffer = Buffer.alloc(0)

  constructor(read: (number: number) => Promise<Buffer>, lastAhead: number) {
    this.#read = read
    this.#lastAhead = lastAhead
  }

  async read(number: number): Promise<Buffer> {
    if (number === this.#number) return this.#raw
    const wanted = this.#begun(number)
    for (let next = number + 1; next <= Math.min(this.#lastAhead, number + BLOCKS_AHEAD); next++)
      this.#begun(next)
    this.#ahead.delete(number)
    this.#raw = await wanted
    this.#number = number
    return this.#raw
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.#ahead.values())
  }

  #begun(number: number): Promise<Buffer> {
    const reading = this.#ahead.get(number) ?? this.#read(number)
    // Whoever wants it hears of it.
    reading.catch(() => {})
    this.#ahead.set(number, reading)
    return reading
  }
}

async function unpack(
  envelope: ArchiveEnvelope,
  cipher: PartCipher,
  part: SealedPart,
  stored: Buffer,
  bytes: number,
): Promise<Buffer> {
  const what = part === 'index' ? 'its index' : `block ${part}`
  const packed = cipher.open(part, stored)
  if (!packed) throw broken(envelope, `${what} is not what was encrypted there`)
  const { decompress } = CODECS[envelope.header.codec]
  const raw = await decompress(packed, Math.max(1, bytes)).catch((error) => {
    throw broken(envelope, `${what} cannot be unpacked: ${messageOf(error)}`, error)
  })
  if (raw.length !== bytes) throw broken(envelope, `${what} has another length`)
  return raw
}

/** The blocks hold all images, and a snapshot is one position. */
function requireWhole({ header, blocks }: ArchiveEnvelope, { points }: ArchiveIndex): void {
  const images = points.reduce((sum, { pageNumbers }) => sum + pageNumbers.length, 0)
  if (blocks !== Math.ceil(images / header.blockPages))
    throw new Error('it has another number of blocks than its pages fill')
  if (header.kind === 'snapshot' && points.length !== 1)
    throw new Error('it is a snapshot, and not of one position')
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

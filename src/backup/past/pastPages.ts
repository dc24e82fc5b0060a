/**
 * The pages of a database as it stood at a position, read from an archive when they are asked for.
 * Only the indexes of the files that lead to the position are read beforehand.
 *
 * Every block is verified by its own checksum, and every file begins in the state in which the one
 * before it ended. What only all pages together prove, the state checksum, is compared by `prove`.
 *
 * Memory: 8 bytes for each page of the database, 4 for each image in the files, and the cache.
 */
import type { ArchivePoint } from '../../../proto/archiveIndex.ts'
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import { pageSum } from '../../sqlite/pageSums.ts'
import { lockPage } from '../../sqlite/walFormat.ts'
import { checksumHex } from '../../xxh64.ts'
import type { ArchiveFile } from '../archiveFile.ts'
import type { PlannedFile } from '../restorePlan.ts'
import { BlockCache } from './blockCache.ts'
import { FileChain, isWhole } from './fileChain.ts'
import { ImageMap } from './imageMap.ts'
import type { OpenFiles } from './openFiles.ts'

/** A position that was captured. */
export interface PastPosition extends ArchivedPlace {
  readonly epoch: number
  /** State checksum, 16 hex digits. */
  readonly checksum: string
  /** When the leader noticed it, ms since 1970 in its clock. */
  readonly timeMs: number
  /** Pages of the database. */
  readonly pages: number
}

/** Files whose indexes are read at the same time: a store may be far away. */
const OPENED_AT_ONCE = 8

export class PastPages {
  readonly #opened: ArchiveFile[] = []
  readonly #map = new ImageMap()
  readonly #chain = new FileChain()
  readonly #cache = new BlockCache()
  #position: PastPosition | undefined
  #pageSize = 0
  /** Of the last file: points are taken in order. */
  #nextImage = 0

  /** The state at `target`, to which `way` leads. Throws ARCHIVE_GAP, ARCHIVE_BROKEN and more. */
  static async at(
    files: OpenFiles,
    way: readonly PlannedFile[],
    target: ArchivedPlace,
  ): Promise<PastPages> {
    const pages = new PastPages()
    for (let i = 0; i < way.length; i += OPENED_AT_ONCE)
      for (const file of await openAll(files, way.slice(i, i + OPENED_AT_ONCE)))
        pages.#take(file, target)
    pages.#requireAt(target)
    return pages
  }

  get position(): PastPosition {
    if (!this.#position) throw new RangeError('no position')
    return this.#position
  }

  get pageSize(): number {
    return this.#pageSize
  }

  get pages(): number {
    return this.position.pages
  }

  /** The image of a page; zeros for the lock page. Throws ARCHIVE_MISMATCH or ARCHIVE_BROKEN. */
  read = async (page: number): Promise<Buffer> => this.readRun(page, 1)

  /** Images from `page` on that lie behind each other in one block: from one to `most`. */
  async readRun(page: number, most: number): Promise<Buffer> {
    const place = this.#map.get(page)
    if (!place) {
      if (page === lockPage(this.#pageSize)) return Buffer.alloc(this.#pageSize)
      const { txid } = this.position
      throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail: `page ${page} is missing` })
    }
    const { file, image } = place
    const { blockPages } = this.#opened[file].header
    const first = image % blockPages
    const block = await this.#cache.get(file, this.#opened[file], Math.floor(image / blockPages))
    let count = 1
    while (count < Math.min(most, blockPages - first)) {
      const next = this.#map.get(page + count)
      if (next?.file !== file || next.image !== image + count) break
      count++
    }
    return block.subarray(first * this.#pageSize, (first + count) * this.#pageSize)
  }

  /** Reads all pages. Throws ARCHIVE_MISMATCH when they are not the state that was archived. */
  async prove(): Promise<void> {
    const { txid, checksum, pages } = this.position
    let state = 0n
    for (let page = 1; page <= pages; ) {
      const run = await this.readRun(page, pages + 1 - page)
      for (let at = 0; at < run.length; at += this.#pageSize, page++)
        if (page !== lockPage(this.#pageSize))
          state ^= pageSum(page, run.subarray(at, at + this.#pageSize))
    }
    const found = checksumHex(state)
    if (found === checksum) return
    const detail = `the pages give ${found}, and ${checksum} was archived`
    throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
  }

  /**
   * Goes on to what the point at this place of a file changed. Points come in order, and files too;
   * the first one may begin earlier than this position. Throws ARCHIVE_GAP.
   */
  advance(file: ArchiveFile, place: number): void {
    if (this.#opened[this.#opened.length - 1] !== file) {
      this.#chain.join(file)
      this.#begin(file)
      for (let i = 0; i < place; i++) this.#nextImage += file.points[i].pageNumbers.length
    }
    this.#takePoint(file, place)
  }

  #take(file: ArchiveFile, target: ArchivedPlace): void {
    this.#chain.follow(file)
    this.#begin(file)
    const isLast = file.header.incarnation === target.incarnation
    for (const [place, { txid }] of file.points.entries()) {
      if (isLast && txid > target.txid) return
      this.#takePoint(file, place)
    }
  }

  #begin(file: ArchiveFile): void {
    this.#opened.push(file)
    this.#nextImage = 0
    this.#pageSize ||= file.header.pageSize
    if (file.header.pageSize !== this.#pageSize)
      throw new WalcastError('ARCHIVE_GAP', {
        name: `the file after ${file.header.fromTxid}`,
        detail: 'its pages have another size',
      })
  }

  #takePoint(file: ArchiveFile, place: number): void {
    const point = file.points[place]
    const from = this.#opened.length - 1
    if (isWhole(file, place)) this.#map.resize(point.pages)
    for (const number of point.pageNumbers) this.#map.set(number, from, this.#nextImage++)
    if (!isWhole(file, place)) return
    this.#position = positionOf(file, point)
    this.#chain.reach(this.#position)
  }

  #requireAt({ incarnation, txid }: ArchivedPlace): void {
    const at = this.#position
    if (at?.incarnation === incarnation && at.txid === txid) return
    const detail = at ? `the files end at txid ${at.txid}` : 'no file has it'
    throw new WalcastError('ARCHIVE_GAP', { name: `txid ${txid}`, detail })
  }
}

export function positionOf(
  { header: { incarnation, epoch } }: ArchiveFile,
  { txid, checksum, timeMs, pages }: ArchivePoint,
): PastPosition {
  return { incarnation, epoch, txid, checksum, timeMs, pages }
}

function openAll(files: OpenFiles, named: readonly PlannedFile[]): Promise<ArchiveFile[]> {
  return Promise.all(named.map((file) => files.get(file)))
}

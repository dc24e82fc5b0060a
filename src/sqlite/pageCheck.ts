/** Compares what the disk has of a page with the page's checksum in memory. */
import { systemCode } from '../errors.ts'
import type { DatabaseFiles } from './databaseFiles.ts'
import type { FrameMap } from './frameMap.ts'
import { readFrameImage } from './pageScan.ts'
import { type PageSums, pageSum } from './pageSums.ts'
import { WalIndexReader } from './walIndexReader.ts'

/**
 * A database whose page checksums are kept in memory. The parts belong together; all are replaced
 * at once.
 */
export interface CheckedPages {
  readonly files: DatabaseFiles
  readonly sums: PageSums
  readonly frames: FrameMap
}

export class PageCheck {
  readonly #pages: CheckedPages
  readonly #walIndex: WalIndexReader
  readonly #image: Buffer

  constructor(pages: CheckedPages) {
    this.#pages = pages
    this.#walIndex = new WalIndexReader(pages.files.shm.fd)
    this.#image = Buffer.allocUnsafeSlow(pages.files.pageSize)
  }

  isOf(pages: CheckedPages): boolean {
    const mine = this.#pages
    return pages.sums === mine.sums && pages.frames === mine.frames && pages.files === mine.files
  }

  /**
   * Undefined when page `page` is right, else the checksum of what is there instead. `inFile` is
   * what the file has, undefined when that cannot be read. The newest image is in the WAL when the
   * frame map says so. Once it was backfilled readers may take it from the file, which must have it
   * too. While the map is stale for a moment, the file alone counts.
   */
  wrongSum(page: number, inFile: Buffer | undefined): bigint | undefined {
    const { sums, frames } = this.#pages
    const expected = sums.get(page)
    const frame = frames.get(page)
    const isInWal = frame > 0 && this.#frameSum(page, frame) === expected
    if (isInWal && frame > this.#walIndex.backfilledFrames()) return undefined
    // Anything but what is expected, for a page that has no bytes to count.
    const found = inFile === undefined ? expected ^ 1n : pageSum(page, inFile)
    return found === expected ? undefined : found
  }

  #frameSum(page: number, frame: number): bigint | undefined {
    const { walFd, pageSize } = this.#pages.files
    try {
      readFrameImage(walFd, frame, pageSize, this.#image)
    } catch (error) {
      if (systemCode(error) === 'EIO') return undefined
      throw error
    }
    return pageSum(page, this.#image)
  }
}

/**
 * The pages of a database on their way into an archive, in a file of the node that lasts as long as
 * the way does: nothing of it need survive a crash.
 */
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { closeSync, constants, openSync, rmSync } from '../platform/files.ts'
import { PageSums, pageSum } from '../sqlite/pageSums.ts'
import { checksumHex } from '../xxh64.ts'
import type { PageImage } from './archiveFileWriter.ts'

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
const ANEW = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
const OWN = 0o600

export class PageFile {
  readonly #path: string
  readonly #fd: number
  readonly #pageSize: number
  readonly #ops: FileOps
  readonly #sums: PageSums

  /** What an earlier process left at `path` is removed. */
  constructor(path: string, pageSize: number, ops: FileOps) {
    rmSync(path, { force: true })
    this.#path = path
    this.#pageSize = pageSize
    this.#ops = ops
    this.#sums = new PageSums(pageSize)
    this.#fd = openSync(path, ANEW, OWN)
  }

  /** Of images of one page the last one counts. Throws DISK_FULL or WRITE_FAILED. */
  async put(images: Iterable<PageImage>): Promise<void> {
    for (const { number, bytes } of images) {
      this.#sums.set(number, pageSum(number, bytes))
      const at = (number - 1) * this.#pageSize
      await this.#ops.writeAside('snapshot.write', this.#fd, bytes, at, this.#path)
    }
    this.#sums.settle()
  }

  /** The first `pages` pages are the whole database in this state. Throws ARCHIVE_MISMATCH. */
  prove(txid: number, pages: number, checksum: string): void {
    this.#sums.resize(pages)
    const missing = this.#sums.firstMissing(1)
    const state = checksumHex(this.#sums.state)
    if (missing === 0 && state === checksum) return
    const detail =
      missing > 0 ? `page ${missing} is missing` : `the pages give ${state} in place of ${checksum}`
    throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
  }

  close(): void {
    closeSync(this.#fd)
  }

  remove(): void {
    rmSync(this.#path, { force: true })
  }
}

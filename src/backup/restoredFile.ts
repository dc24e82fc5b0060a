/**
 * The database file that a restore makes. It is written beside the place where it belongs, its
 * state checksum is compared at every position on the way, and it gets its name once it is whole,
 * verified and durable. It never replaces a file.
 */
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { closeSync, constants, ftruncateSync, openSync, rmSync } from '../platform/files.ts'
import { PageSums, pageSum } from '../sqlite/pageSums.ts'
import { checksumHex } from '../xxh64.ts'
import type { PageImage, PointOf } from './archiveFileWriter.ts'

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
const ANEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
const OWN = 0o600

export class RestoredFile {
  readonly #path: string
  readonly #fd: number
  readonly #ops: FileOps
  readonly #pageSize: number
  readonly #sums: PageSums
  /** All pages up to this one are there. */
  #complete = 0
  #isClosed = false

  private constructor(path: string, fd: number, pageSize: number, ops: FileOps) {
    this.#path = path
    this.#fd = fd
    this.#pageSize = pageSize
    this.#ops = ops
    this.#sums = new PageSums(pageSize)
  }

  /** A file that a restore before has left there is begun anew. */
  static begin(path: string, pageSize: number, ops: FileOps): RestoredFile {
    rmSync(sideOf(path), { force: true })
    return new RestoredFile(path, openSync(sideOf(path), ANEW, OWN), pageSize, ops)
  }

  /** State checksum so far, 16 hex digits. */
  get checksum(): string {
    return checksumHex(this.#sums.state)
  }

  /**
   * The state at the next position. `isWhole`: these are its last images, and not those of a part
   * that others follow. Of images of one page the later one counts. Those past the size of the last
   * part are dropped: a part may be read while the database changes. Throws ARCHIVE_MISMATCH,
   * DISK_FULL or WRITE_FAILED.
   */
  async apply(point: PointOf, images: AsyncIterable<PageImage>, isWhole: boolean): Promise<void> {
    if (isWhole) this.#resize(point.pages)
    for await (const { number, bytes } of images) {
      this.#sums.set(number, pageSum(number, bytes))
      const position = (number - 1) * this.#pageSize
      await this.#ops.writeAside('restore.write', this.#fd, bytes, position, sideOf(this.#path))
    }
    if (isWhole) this.#requireState(point)
  }

  /**
   * Cuts the file to its pages, and makes it durable. Throws DISK_FULL or WRITE_FAILED.
   */
  async finish(): Promise<void> {
    ftruncateSync(this.#fd, this.#sums.pages * this.#pageSize)
    await this.#ops.syncAside('restore.sync', [this.#fd], sideOf(this.#path))
    this.#close()
  }

  /** Gives it its name. Throws DISK_FULL or WRITE_FAILED, also when a file has that name. */
  publish(): void {
    this.#ops.publish(sideOf(this.#path), this.#path)
  }

  #resize(pages: number): void {
    this.#sums.resize(pages)
    this.#complete = Math.min(this.#complete, pages)
  }

  #requireState({ txid, checksum, pages }: PointOf): void {
    const missing = this.#sums.firstMissing(this.#complete + 1)
    if (missing > 0) throw mismatch(txid, `page ${missing} is missing`)
    if (this.checksum !== checksum)
      throw mismatch(txid, `the pages give ${this.checksum}, and ${checksum} was archived`)
    this.#complete = pages
    // What follows starts from here; the undo log of what came before is of no use.
    this.#sums.settle()
  }

  /** Removes the file that is being made. */
  abandon(): void {
    this.#close()
    rmSync(sideOf(this.#path), { force: true })
  }

  /** SQLite never opens the file under this name, so its descriptor may be closed. */
  #close(): void {
    if (!this.#isClosed) closeSync(this.#fd)
    this.#isClosed = true
  }
}

function sideOf(path: string): string {
  return `${path}-restoring`
}

function mismatch(txid: number, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
}

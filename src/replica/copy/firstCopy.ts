/**
 * A first copy. Its pages go into a side file, which gets the database's name once all of it has
 * verified. After an interruption the next attempt goes on with the side file: page checksums tell
 * which pages are there.
 */
import { payloadPage, payloadPageNumber } from '../../../proto/codec.ts'
import type { Body } from '../../../proto/messages.ts'
import { WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncAside,
  ftruncateSync,
  lstatSync,
  unlinkSync,
} from '../../platform/files.ts'
import { openPlain, strangeFile } from '../../platform/plainFiles.ts'
import { FrameMap } from '../../sqlite/frameMap.ts'
import { scanPages } from '../../sqlite/pageScan.ts'
import { type PageSums, pageSum } from '../../sqlite/pageSums.ts'
import { requireState } from './applier.ts'

interface PagesMessage {
  readonly pages: number
  readonly pageSize: number
}

/** Mode of the side file until it is whole. */
const PRIVATE = 0o600

export class FirstCopy {
  readonly #path: string
  readonly #fd: number
  readonly #ops: FileOps
  readonly #pageSize: number
  readonly sums: PageSums
  #writing: Promise<void> = Promise.resolve()
  #isBroken = false
  #isClosed = false

  private constructor(path: string, fd: number, ops: FileOps, pageSize: number, sums: PageSums) {
    this.#path = path
    this.#fd = fd
    this.#ops = ops
    this.#pageSize = pageSize
    this.sums = sums
  }

  /**
   * SQLite never opens the side file under this name, so its descriptor may be closed before the
   * file is published. Throws STRANGE_FILE.
   */
  static async open(path: string, pageSize: number, ops: FileOps): Promise<FirstCopy> {
    const fd = openSideFile(path)
    const pages = Math.floor(fstatSync(fd).size / pageSize)
    const { sums } = await scanPages({
      databaseFd: fd,
      walFd: fd,
      pageSize,
      pages,
      frames: new FrameMap(),
    })
    return new FirstCopy(path, fd, ops, pageSize, sums)
  }

  get pageSize(): number {
    return this.#pageSize
  }

  /** A write failed, so the checksums no longer describe the file. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /**
   * Takes page images and writes them while the next ones arrive. Throws DISK_FULL or WRITE_FAILED
   * for the images before.
   */
  async addPages(message: PagesMessage, payload: Buffer): Promise<void> {
    const { pages, pageSize } = message
    if (pageSize !== this.#pageSize)
      throw new WalcastError('WRONG_PAGE_SIZE', { mine: this.#pageSize, theirs: pageSize })
    for (let i = 0; i < pages; i++) {
      const page = payloadPageNumber(payload, i)
      this.sums.set(page, pageSum(page, payloadPage(payload, i, pages, pageSize)))
    }
    this.sums.settle()
    await this.#writing
    this.#requireOpen()
    this.#writing = this.#write(message, payload)
    this.#writing.catch(() => {
      this.#isBroken = true
    })
  }

  /** Writes each run of neighbouring pages with one call. */
  async #write({ pages, pageSize }: PagesMessage, payload: Buffer): Promise<void> {
    for (let i = 0; i < pages; ) {
      const first = payloadPageNumber(payload, i)
      let end = i + 1
      while (end < pages && payloadPageNumber(payload, end) === first + (end - i)) end++
      const images = payload.subarray(4 * pages + i * pageSize, 4 * pages + end * pageSize)
      await this.#ops.writeAside('copy.write', this.#fd, images, (first - 1) * pageSize, this.#path)
      i = end
    }
  }

  /**
   * Takes the last pages, verifies the whole, sets `mode` and calls `publish`. Throws
   * STATE_MISMATCH, and keeps the side file then.
   */
  async finish(
    synced: Body<'synced'>,
    payload: Buffer,
    mode: number,
    publish: (from: string, checksum: bigint) => void,
  ): Promise<void> {
    await this.addPages(synced, payload)
    await this.#writing
    this.sums.resize(synced.dbPages)
    this.sums.settle()
    requireState(this.sums, 1, synced.checksum, 'the first copy')
    ftruncateSync(this.#fd, synced.dbPages * this.#pageSize)
    // Explicitly: the umask could forbid a mode that the operator has chosen.
    fchmodSync(this.#fd, mode)
    await fsyncAside(this.#fd)
    this.#requireOpen()
    await this.close()
    publish(this.#path, this.sums.state)
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new WalcastError('STOPPING')
  }

  /** Ends this attempt; the side file stays for the next. */
  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#fd)
  }

  /** Removes the side file, so that the next copy begins with nothing. */
  async abandon(): Promise<void> {
    await this.close()
    unlinkSync(this.#path)
  }
}

/**
 * Opens the side file of an interrupted copy, or a new one. Refuses a file of another user, who
 * would keep access to the copy.
 */
function openSideFile(path: string): number {
  if (!lstatSync(path, { throwIfNoEntry: false }))
    return openPlain(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, PRIVATE)
  const fd = openPlain(path, constants.O_RDWR)
  try {
    const { uid } = fstatSync(fd)
    if (uid !== process.geteuid?.()) throw strangeFile(path, `a file of user ${uid}`)
    fchmodSync(fd, PRIVATE)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

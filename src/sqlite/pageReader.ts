/**
 * Reads pages of a database as it stands at one position: its file, overlaid with the newest frames
 * of its WAL.
 */
import { systemCode } from '../errors.ts'
import type { CheckedPages } from './pageCheck.ts'
import { readZeroFilled } from './pageScan.ts'
import { FRAME_HEADER_BYTES, frameOffset } from './walFormat.ts'

/**
 * The caller makes sure that nothing moves beneath: no writer, and no checkpoint that empties the
 * WAL. Memory: one page. A page that the disk cannot read (EIO) reads as zeros: its checksum tells.
 * Throws whatever else read(2) does.
 */
export class PageReader {
  readonly #source: Pick<CheckedPages, 'files' | 'frames'>
  readonly #image: Buffer

  constructor(source: Pick<CheckedPages, 'files' | 'frames'>) {
    this.#source = source
    this.#image = Buffer.allocUnsafeSlow(source.files.pageSize)
  }

  /** The image of a page, valid until the next call; zeros past the end of the file. */
  readonly read = async (page: number): Promise<Buffer> => {
    await this.#readRun(page, 1, this.#image)
    return this.#image
  }

  /** The image that frame `frame` of the WAL holds, valid until the next call. */
  async readFrame(frame: number): Promise<Buffer> {
    await this.#readFrame(frame, this.#image)
    return this.#image
  }

  /**
   * Reads the images of `pages`, which ascend, one behind the other into `into`: neighbours at
   * once.
   */
  async readAll(pages: readonly number[], into: Buffer): Promise<void> {
    const { frames, files } = this.#source
    const isInFile = (at: number) => frames.get(pages[at]) === 0
    for (let at = 0; at < pages.length; ) {
      let end = at + 1
      if (isInFile(at))
        while (end < pages.length && pages[end] === pages[at] + (end - at) && isInFile(end)) end++
      await this.#readRun(pages[at], end - at, into.subarray(at * files.pageSize))
      at = end
    }
  }

  async #readRun(first: number, count: number, into: Buffer): Promise<void> {
    const { files, frames } = this.#source
    const frame = frames.get(first)
    if (frame > 0) return this.#readFrame(frame, into)
    const { pageSize, database } = files
    const isRead = await readable(database.fd, into, count * pageSize, (first - 1) * pageSize)
    // Most of them may still be readable.
    for (let i = 0; !isRead && count > 1 && i < count; i++)
      await this.#readRun(first + i, 1, into.subarray(i * pageSize))
  }

  async #readFrame(frame: number, into: Buffer): Promise<void> {
    const { pageSize, walFd } = this.#source.files
    await readable(walFd, into, pageSize, frameOffset(frame, pageSize) + FRAME_HEADER_BYTES)
  }
}

/** Gives false, and zeros, where the disk cannot read. */
async function readable(
  fd: number,
  into: Buffer,
  bytes: number,
  position: number,
): Promise<boolean> {
  try {
    await readZeroFilled(fd, into, bytes, position)
    return true
  } catch (error) {
    if (systemCode(error) !== 'EIO') throw error
    into.fill(0, 0, bytes)
    return false
  }
}

/**
 * The checksums of what a database holds at one moment: its file, overlaid with the frames of its
 * WAL.
 */
import { fstatSync, readAside, readSync } from '../platform/files.ts'
import type { FrameMap } from './frameMap.ts'
import { PageSums, pageSum } from './pageSums.ts'
import { FRAME_HEADER_BYTES, frameOffset, lockPage } from './walFormat.ts'

const CHUNK_BYTES = 1024 * 1024

export interface PageSource {
  readonly databaseFd: number
  readonly walFd: number
  readonly pageSize: number
  /** Size of the database in pages. */
  readonly pages: number
  readonly frames: FrameMap
}

/**
 * Reads `length` bytes at `position` into `into`; what lies past the end of the file reads as
 * zeros.
 */
export async function readZeroFilled(
  fd: number,
  into: Buffer,
  length: number,
  position: number,
): Promise<void> {
  let done = 0
  while (done < length) {
    const { bytesRead } = await readAside(fd, into, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  into.fill(0, done, length)
}

/** Reads the image that frame `frame` of the WAL holds. A frame past the end reads as zeros. */
export function readFrameImage(walFd: number, frame: number, pageSize: number, into: Buffer): void {
  const got = readSync(walFd, into, 0, pageSize, frameOffset(frame, pageSize) + FRAME_HEADER_BYTES)
  if (got < pageSize) into.fill(0, got, pageSize)
}

/** Neighbouring pages of a file. */
export interface FileChunk {
  readonly first: number
  readonly last: number
  /**
   * Their images as the file has them, zeros past its end; valid until the next chunk is asked for.
   */
  readonly bytes: Buffer
}

/** The file in pieces of 1 MiB; each is read while the one before is looked at. */
export async function* chunksOf({
  databaseFd,
  pageSize,
  pages,
}: Pick<PageSource, 'databaseFd' | 'pageSize' | 'pages'>): AsyncGenerator<FileChunk> {
  const buffers = [Buffer.allocUnsafeSlow(CHUNK_BYTES), Buffer.allocUnsafeSlow(CHUNK_BYTES)]
  const perChunk = CHUNK_BYTES / pageSize
  const read = async (first: number): Promise<FileChunk | undefined> => {
    if (first > pages) return undefined
    const last = Math.min(pages, first + perChunk - 1)
    const bytes = buffers[((first - 1) / perChunk) % 2]
    await readZeroFilled(databaseFd, bytes, (last - first + 1) * pageSize, (first - 1) * pageSize)
    return { first, last, bytes }
  }
  let reading = read(1)
  for (let chunk = await reading; chunk; chunk = await reading) {
    reading = read(chunk.last + 1)
    // A caller that stops early does not wait for it.
    reading.catch(() => {})
    yield chunk
  }
}

export interface ScannedPages {
  readonly sums: PageSums
  /**
   * State checksum of the file alone, without the WAL; undefined when the WAL has made the database
   * smaller than its file.
   */
  readonly fileState: bigint | undefined
}

/**
 * Reads all pages once, in order, 1 MiB at a time. The caller makes sure that nothing moves
 * beneath, or checks afterwards.
 */
export async function scanPages(source: PageSource): Promise<ScannedPages> {
  const { pageSize, pages, frames } = source
  const filePages = Math.ceil(fstatSync(source.databaseFd).size / pageSize)
  const sums = new PageSums(pageSize, pages)
  const skipped = lockPage(pageSize)
  const image = Buffer.allocUnsafeSlow(pageSize)
  let fileState = 0n
  for await (const { first, last, bytes } of chunksOf(source)) {
    for (let page = first; page <= last; page++) {
      if (page === skipped) continue
      const frame = frames.get(page)
      const at = (page - first) * pageSize
      const fileSum = page <= filePages ? pageSum(page, bytes.subarray(at, at + pageSize)) : 0n
      if (frame > 0) readFrameImage(source.walFd, frame, pageSize, image)
      fileState ^= fileSum
      sums.set(
        page,
        frame > 0 || page > filePages
          ? pageSum(page, frame > 0 ? image : bytes.subarray(at, at + pageSize))
          : fileSum,
      )
    }
    sums.settle()
  }
  sums.resize(pages)
  sums.settle()
  return { sums, fileState: filePages <= pages ? fileState : undefined }
}

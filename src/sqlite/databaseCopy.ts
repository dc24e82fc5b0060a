/** Copies a database as it stands at one position: its file, overlaid with the newest frames of its WAL. */
import { fsync } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../fileOps.ts'
import type { CheckedPages } from './pageCheck.ts'
import { chunksOf, type FileChunk, readFrameImage } from './pageScan.ts'
import { pageSum } from './pageSums.ts'
import { lockPage } from './walFormat.ts'

const fsyncAsync = promisify(fsync)

/** A database and which of its pages are newer in the WAL. */
export interface CopiedDatabase extends Pick<CheckedPages, 'files' | 'frames'> {
  /** Size in pages. */
  readonly pages: number
}

/**
 * Writes the database into the new file `to`, makes it durable and gives the state checksum of what was written. The caller
 * sees to it that nothing moves beneath: no writer, and no checkpoint that empties the WAL. Memory: 2 MiB. Throws DISK_FULL,
 * WRITE_FAILED, or STOPPING when `signal` ends it.
 */
export async function copyDatabase(
  from: CopiedDatabase,
  to: string,
  ops: FileOps,
  signal: AbortSignal,
): Promise<bigint> {
  const { pageSize, database } = from.files
  let state = 0n
  const file = await open(to, 'wx', 0o600)
  try {
    for await (const chunk of chunksOf({ databaseFd: database.fd, pageSize, pages: from.pages })) {
      if (signal.aborted) throw new WalcastError('STOPPING')
      state ^= overlay(chunk, from)
      const images = chunk.bytes.subarray(0, (chunk.last - chunk.first + 1) * pageSize)
      await ops.writeAside('kept.write', file.fd, images, (chunk.first - 1) * pageSize, to)
    }
    await fsyncAsync(file.fd)
    return state
  } finally {
    await file.close()
  }
}

/** Puts the newest images into `chunk`. Gives the XOR of their page checksums. */
function overlay({ first, last, bytes }: FileChunk, { files, frames }: CopiedDatabase): bigint {
  const { pageSize, walFd } = files
  const skipped = lockPage(pageSize)
  let state = 0n
  for (let page = first; page <= last; page++) {
    const image = bytes.subarray((page - first) * pageSize, (page - first + 1) * pageSize)
    const frame = frames.get(page)
    if (frame > 0) readFrameImage(walFd, frame, pageSize, image)
    if (page !== skipped) state ^= pageSum(page, image)
  }
  return state
}

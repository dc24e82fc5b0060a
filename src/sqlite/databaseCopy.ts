/** Copies a database as it stands at one position: its file, overlaid with the newest frames of its WAL. */
import { fsync } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { FileOps } from '../fileOps.ts'
import type { DatabaseFiles } from './databaseFiles.ts'
import type { FrameMap } from './frameMap.ts'
import { readFrameImage, readZeroFilled } from './pageScan.ts'

const fsyncAsync = promisify(fsync)
const CHUNK_BYTES = 1024 * 1024

/**
 * Writes `pages` pages into the new file `to` and makes them durable. The caller sees to it that nothing moves beneath: no
 * writer, and no checkpoint that empties the WAL. Memory: 1 MiB. Throws DISK_FULL or WRITE_FAILED.
 */
export async function copyDatabase(
  from: { readonly files: DatabaseFiles; readonly frames: FrameMap },
  pages: number,
  to: string,
  ops: FileOps,
): Promise<void> {
  const { pageSize, database, walFd } = from.files
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const perChunk = CHUNK_BYTES / pageSize
  const file = await open(to, 'wx', 0o600)
  try {
    for (let first = 1; first <= pages; first += perChunk) {
      const count = Math.min(perChunk, pages - first + 1)
      const images = chunk.subarray(0, count * pageSize)
      await readZeroFilled(database.fd, images, images.length, (first - 1) * pageSize)
      for (let i = 0; i < count; i++) {
        const frame = from.frames.get(first + i)
        if (frame > 0)
          readFrameImage(walFd, frame, pageSize, images.subarray(i * pageSize, (i + 1) * pageSize))
      }
      await ops.writeAside('kept.write', file.fd, images, (first - 1) * pageSize, to)
    }
    await fsyncAsync(file.fd)
  } finally {
    await file.close()
  }
}

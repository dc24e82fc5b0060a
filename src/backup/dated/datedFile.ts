/** A taken snapshot as an ordinary SQLite database under gzip. */
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { WalcastError } from '../../errors.ts'
import { closeSync, constants, openSync, readAside } from '../../platform/files.ts'
import type { TakenSnapshot } from '../snapshotTaker.ts'
import type { Append } from '../stores/store.ts'

const READ_BYTES = 1024 * 1024
/** Of one write to the place. */
const CHUNK_BYTES = 256 * 1024
/**
 * Of a database of short texts: 80 MB a second, where level 6 takes three times as long and saves
 * an eighth of the bytes.
 */
const LEVEL = 1

/** Compressed in the background, and no faster than `append` takes it. */
export async function writeDated(taken: TakenSnapshot, append: Append): Promise<void> {
  const gzip = createGzip({ level: LEVEL, chunkSize: CHUNK_BYTES })
  await pipeline(bytesOf(taken), gzip, async (compressed: AsyncIterable<Buffer>) => {
    for await (const bytes of compressed) await append(bytes)
  })
}

async function* bytesOf({ path, pages, pageSize }: TakenSnapshot): AsyncGenerator<Buffer> {
  const fd = openSync(path, constants.O_RDONLY)
  const end = pages * pageSize
  try {
    for (let at = 0; at < end; ) {
      const bytes = Buffer.alloc(Math.min(READ_BYTES, end - at))
      const { bytesRead } = await readAside(fd, bytes, 0, bytes.length, at)
      if (bytesRead === 0)
        throw new WalcastError('WRITE_FAILED', {
          path,
          detail: 'the copy of the database was cut off',
        })
      at += bytesRead
      yield bytes.subarray(0, bytesRead)
    }
  } finally {
    closeSync(fd)
  }
}

/** A bundle made of two states of a database, as a resync from one to the other makes it. */
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { systemFileOps } from '../../src/fileOps.ts'
import { writeImages } from '../../src/replica/keptImages.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { FRAME_HEADER_BYTES, frameOffset, lockPage } from '../../src/sqlite/walFormat.ts'

export interface BundleOptions {
  /** Pages to take as overwritten though they are the same. */
  readonly more?: readonly number[]
  /** Changes the old state after its page checksums were taken. */
  readonly rot?: (image: Buffer) => void
}

export interface MadeBundle {
  readonly folder: string
  readonly pageSize: number
  readonly isComplete: boolean
  /** Pages that differ or are cut off. */
  readonly overwritten: readonly number[]
}

/** `before` and `after` are paths of databases without a WAL; every other page that differs has come before the last message. */
export async function makeBundle(
  folder: string,
  before: string,
  after: string,
  options: BundleOptions = {},
): Promise<MadeBundle> {
  mkdirSync(folder)
  const old = pagesOf(before)
  const now = pagesOf(after)
  const { pageSize } = old
  const differing = Array.from({ length: now.count }, (_, i) => i + 1).filter(
    (page) =>
      page !== lockPage(pageSize) &&
      (page > old.count || options.more?.includes(page) || !old.page(page).equals(now.page(page))),
  )
  const pending = differing.filter((_, i) => i % 2 === 0)
  const last = differing.filter((_, i) => i % 2 === 1)
  const sums = new PageSums(pageSize)
  for (let page = 1; page <= old.count; page++) sums.set(page, pageSum(page, old.page(page)))
  sums.settle()
  for (const page of pending) sums.set(page, pageSum(page, now.page(page)))
  const state = `${folder}.state`
  copyFileSync(before, state)
  if (options.rot) {
    const bytes = readFileSync(state)
    options.rot(bytes)
    writeFileSync(state, bytes)
  }
  const databaseFd = openSync(state, 'r')
  const walFd = openSync(`${folder}.wal`, 'w+')
  pending.forEach((page, i) => {
    writeSync(walFd, now.page(page), 0, pageSize, frameOffset(i + 1, pageSize) + FRAME_HEADER_BYTES)
  })
  try {
    const isComplete = await writeImages(folder, {
      copy: {
        pageSize,
        pages: {
          files: {
            path: before,
            walPath: '',
            pageSize,
            database: { path: before, fd: databaseFd, dev: 0n, ino: 0n },
            shm: { path: '', fd: -1, dev: 0n, ino: 0n },
            walFd,
          },
          frames: new FrameMap(),
        },
        applier: { pages: old.count, sums, pendingPages: pending, publishedFrames: 0 },
      },
      last: { pages: last.length, dbPages: now.count, payload: payloadOf(last, now.page) },
      ops: systemFileOps,
      signal: new AbortController().signal,
    })
    const cut = Array.from({ length: Math.max(0, old.count - now.count) }, (_, i) => now.count + i + 1)
    const overwritten = [...differing.filter((page) => page <= old.count), ...cut]
    return { folder, pageSize, isComplete, overwritten }
  } finally {
    closeSync(databaseFd)
    closeSync(walFd)
  }
}

function pagesOf(path: string) {
  const bytes = readFileSync(path)
  const size = bytes.readUInt16BE(16)
  const pageSize = size === 1 ? 65536 : size
  return {
    pageSize,
    count: bytes.length / pageSize,
    page: (page: number) => bytes.subarray((page - 1) * pageSize, page * pageSize),
  }
}

function payloadOf(pages: readonly number[], image: (page: number) => Buffer): Buffer {
  const numbers = Buffer.alloc(4 * pages.length)
  pages.forEach((page, i) => {
    numbers.writeUInt32LE(page, 4 * i)
  })
  return Buffer.concat([numbers, ...pages.map(image)])
}

/** A bundle of kept rows, made from two states of a database as a resync makes it. */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import type { DivergedCopy } from '../../src/replica/diverged/divergence.ts'
import { writeImages } from '../../src/replica/diverged/keptImages.ts'
import type { LastPages } from '../../src/replica/diverged/overwriting.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { FRAME_HEADER_BYTES, frameOffset, lockPage } from '../../src/sqlite/walFormat.ts'
import { checksumHex } from '../../src/xxh64.ts'

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

/** A copy in the state `before` to which a resync has brought what differs of `after`. */
export interface Resynced {
  readonly copy: DivergedCopy
  readonly last: LastPages
  readonly overwritten: readonly number[]
  close(): void
}

export async function makeBundle(
  folder: string,
  before: string,
  after: string,
  options: BundleOptions = {},
): Promise<MadeBundle> {
  mkdirSync(folder)
  const { copy, last, overwritten, close } = resyncOf(before, after, folder, options)
  try {
    const signal = new AbortController().signal
    const isComplete = await writeImages(folder, { copy, last, ops: systemFileOps, signal })
    return { folder, pageSize: copy.pageSize, isComplete, overwritten }
  } finally {
    close()
  }
}

/**
 * `before` and `after` are paths of databases without a WAL; every other page that differs has come
 * before the last message.
 */
export function resyncOf(
  before: string,
  after: string,
  stem: string,
  options: BundleOptions = {},
): Resynced {
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
  const state = `${stem}.state`
  copyFileSync(before, state)
  if (options.rot) {
    const bytes = readFileSync(state)
    options.rot(bytes)
    writeFileSync(state, bytes)
  }
  const databaseFd = openSync(state, 'r')
  const walFd = openSync(`${stem}.wal`, 'w+')
  pending.forEach((page, i) => {
    writeSync(walFd, now.page(page), 0, pageSize, frameOffset(i + 1, pageSize) + FRAME_HEADER_BYTES)
  })
  const files = {
    path: before,
    walPath: '',
    pageSize,
    database: { path: before, fd: databaseFd, dev: 0n, ino: 0n },
    shm: { path: '', fd: -1, dev: 0n, ino: 0n },
    walFd,
  }
  const cut = Array.from(
    { length: Math.max(0, old.count - now.count) },
    (_, i) => now.count + i + 1,
  )
  return {
    copy: {
      pageSize,
      pages: { files, frames: new FrameMap() },
      applier: {
        pages: old.count,
        sums,
        pendingPages: pending,
        publishedFrames: 0,
        position: { epoch: 1, incarnation: '0123456789abcdef', txid: 7 },
        checksum: checksumHex(sums.settled.state),
      },
    },
    last: { pages: last.length, dbPages: now.count, payload: payloadOf(last, now.page) },
    overwritten: [...differing.filter((page) => page <= old.count), ...cut],
    close() {
      closeSync(databaseFd)
      closeSync(walFd)
    },
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

/** What a database holds at start: every page's checksum, and where its WAL ends. */
import { setTimeout as delay } from 'node:timers/promises'
import { keyOf, WalcastError } from '../errors.ts'
import { type DatabaseFiles, databaseBytes } from './databaseFiles.ts'
import { FrameMap } from './frameMap.ts'
import { scanPages } from './pageScan.ts'
import type { PageSums } from './pageSums.ts'
import type { WalIndexHeader } from './walIndexFormat.ts'
import { WalIndexReader } from './walIndexReader.ts'
import { WalReader } from './walReader.ts'

/** What the database holds now. */
export interface ScannedDatabase {
  readonly walIndex: WalIndexReader
  readonly reader: WalReader
  readonly frames: FrameMap
  readonly sums: PageSums
  readonly header: WalIndexHeader
  /** Last frame of every transaction in this WAL generation. */
  readonly commits: readonly number[]
  /** The WAL's cumulative checksum after a commit frame. */
  readonly checksums: ReadonlyMap<number, { readonly s0: number; readonly s1: number }>
}

const SCAN_ATTEMPTS = 8

/** Scans under the read guard, which must have begun before. Throws WAL_INDEX_UNREADABLE or UNKNOWN_CHANGE when it never holds still. */
export async function scanDatabase(files: DatabaseFiles, segmentBytes: number): Promise<ScannedDatabase> {
  for (let attempt = 0; attempt < SCAN_ATTEMPTS; attempt++) {
    const scanned = await scanOnce(files, segmentBytes)
    const now = scanned?.walIndex.read()
    if (scanned && now?.salt1 === scanned.header.salt1 && now.salt2 === scanned.header.salt2) return scanned
    await delay(20)
  }
  throw new WalcastError('UNKNOWN_CHANGE', {
    detail: 'the WAL was reset again and again during the first scan',
  })
}

async function scanOnce(files: DatabaseFiles, segmentBytes: number): Promise<ScannedDatabase | undefined> {
  const { pageSize } = files
  const walIndex = new WalIndexReader(files.shm.fd)
  const header = walIndex.read()
  if (!header) return undefined
  const reader = new WalReader(files.walFd, pageSize, segmentBytes)
  const frames = new FrameMap()
  const commits: number[] = []
  const checksums = new Map<number, { s0: number; s1: number }>()
  if (header.mxFrame > 0) {
    try {
      reader.startGeneration(header.salt1, header.salt2)
      readToEnd(reader, header.mxFrame, frames, commits, checksums)
    } catch (error) {
      if (keyOf(error) === 'WAL_BROKEN') return undefined
      throw error
    }
  }
  const pages = header.pages || Math.ceil(databaseBytes(files.database) / pageSize)
  const sums = await scanPages({ databaseFd: files.database.fd, walFd: files.walFd, pageSize, pages, frames })
  return { walIndex, reader, frames, sums, header, commits, checksums }
}

function readToEnd(
  reader: WalReader,
  mxFrame: number,
  frames: FrameMap,
  commits: number[],
  checksums: Map<number, { s0: number; s1: number }>,
): void {
  while (reader.frame < mxFrame) {
    const segment = reader.read(mxFrame)
    for (let i = 0; i < segment.count; i++) {
      const frame = segment.firstFrame + i
      frames.set(segment.pageNumbers[i], frame)
      if (segment.commitPages[i] === 0) continue
      commits.push(frame)
      checksums.set(frame, segment.checksumAfter(i))
    }
    reader.consume(segment.count)
  }
}

/** What a database holds at start: every page's checksum, and where its WAL ends. */
import { keyOf, WalcastError } from '../errors.ts'
import { readSync } from '../platform/files.ts'
import { delay, nextTurn } from '../platform/time.ts'
import { type DatabaseFiles, databaseBytes } from './databaseFiles.ts'
import { countersOf, type HeaderCounters } from './databaseHeader.ts'
import { FrameMap } from './frameMap.ts'
import { type ScannedPages, scanPages } from './pageScan.ts'
import type { PageSums } from './pageSums.ts'
import { FRAME_HEADER_BYTES, frameOffset } from './walFormat.ts'
import type { WalIndexHeader } from './walIndexFormat.ts'
import { WalIndexReader } from './walIndexReader.ts'
import { readWalHeader } from './walProbe.ts'
import { WalReader } from './walReader.ts'

/** What the database holds now. */
export interface ScannedDatabase {
  readonly walIndex: WalIndexReader
  readonly reader: WalReader
  readonly frames: FrameMap
  readonly sums: PageSums
  readonly header: WalIndexHeader
  /**
   * State checksum of the database as it was before the first frame of this WAL generation;
   * undefined when it can no longer be told.
   */
  readonly baseState: bigint | undefined
  readonly counters: HeaderCounters
  /** Last frame of every transaction in this WAL generation. */
  readonly commits: readonly number[]
  /** The WAL's cumulative checksum after a commit frame. */
  readonly checksums: ReadonlyMap<number, { readonly s0: number; readonly s1: number }>
}

const SCAN_ATTEMPTS = 8
/** Where the counters end within the first page. */
const COUNTERS_END = 44

/**
 * Scans under a read guard or the copy's lock, which must have begun before. Throws WAL_BROKEN when
 * published frames do not verify, UNKNOWN_CHANGE when the WAL never holds still.
 */
export async function scanDatabase(
  files: DatabaseFiles,
  segmentBytes: number,
): Promise<ScannedDatabase> {
  let broken: unknown
  for (let attempt = 0; attempt < SCAN_ATTEMPTS; attempt++) {
    try {
      const scanned = await scanOnce(files, segmentBytes)
      if (scanned && isSameGeneration(scanned)) return scanned
    } catch (error) {
      if (keyOf(error) !== 'WAL_BROKEN') throw error
      broken = error
    }
    await delay(20)
  }
  throw (
    broken ??
    new WalcastError('UNKNOWN_CHANGE', {
      detail: 'the WAL was reset again and again during the scan',
    })
  )
}

function isSameGeneration(scanned: ScannedDatabase): boolean {
  const now = scanned.walIndex.read()
  return now?.salt1 === scanned.header.salt1 && now.salt2 === scanned.header.salt2
}

async function scanOnce(
  files: DatabaseFiles,
  segmentBytes: number,
): Promise<ScannedDatabase | undefined> {
  const { pageSize } = files
  const walIndex = new WalIndexReader(files.shm.fd)
  const header = walIndex.read()
  if (!header) return undefined
  const reader = new WalReader(files.walFd, pageSize, segmentBytes)
  const frames = new FrameMap()
  const commits: number[] = []
  const checksums = new Map<number, { s0: number; s1: number }>()
  if (header.mxFrame > 0) {
    reader.startGeneration(header.salt1, header.salt2)
    await readToEnd(reader, header.mxFrame, frames, commits, checksums)
  }
  const { sums, fileState } = await scanSums(files, header, frames)
  const baseState = walIndex.isUntouchedByCheckpoints() ? fileState : undefined
  const counters = readCounters(files, frames)
  return { walIndex, reader, frames, sums, header, baseState, counters, commits, checksums }
}

/**
 * Scans a database whose WAL is backfilled up to its published end, without reading a frame: for a
 * WAL whose frames do not verify. Nothing may be backfilled meanwhile (a guard on READ_LOCK(0), or
 * the copy's lock).
 */
export async function scanBackfilled(
  files: DatabaseFiles,
  header: WalIndexHeader,
  segmentBytes: number,
): Promise<ScannedDatabase> {
  const walIndex = new WalIndexReader(files.shm.fd)
  const reader = new WalReader(files.walFd, files.pageSize, segmentBytes)
  const walHeader = readWalHeader(files.walFd)
  // A writer may have started the WAL over since: then all of the new one follows the file.
  if (walHeader?.salt1 === header.salt1 && walHeader.salt2 === header.salt2)
    reader.resume({ header: walHeader, frame: header.mxFrame, checksum: header.frameChecksum })
  const frames = new FrameMap()
  const { sums } = await scanSums(files, header, frames)
  const counters = readCounters(files, frames)
  return {
    walIndex,
    reader,
    frames,
    sums,
    header,
    baseState: undefined,
    counters,
    commits: [],
    checksums: new Map(),
  }
}

/** The counters of the database as it stands with these frames; zeros when it is empty. */
export function readCounters(
  { database, walFd, pageSize }: Pick<DatabaseFiles, 'database' | 'walFd' | 'pageSize'>,
  frames: FrameMap,
): HeaderCounters {
  const start = Buffer.alloc(COUNTERS_END)
  const frame = frames.get(1)
  if (frame > 0)
    readSync(walFd, start, 0, COUNTERS_END, frameOffset(frame, pageSize) + FRAME_HEADER_BYTES)
  else readSync(database.fd, start, 0, COUNTERS_END, 0)
  return countersOf(start)
}

function scanSums(
  files: DatabaseFiles,
  header: WalIndexHeader,
  frames: FrameMap,
): Promise<ScannedPages> {
  const { pageSize } = files
  const pages = header.pages || Math.ceil(databaseBytes(files.database) / pageSize)
  return scanPages({ databaseFd: files.database.fd, walFd: files.walFd, pageSize, pages, frames })
}

async function readToEnd(
  reader: WalReader,
  mxFrame: number,
  frames: FrameMap,
  commits: number[],
  checksums: Map<number, { s0: number; s1: number }>,
): Promise<void> {
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
    await nextTurn()
  }
}

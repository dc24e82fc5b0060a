/**
 * Makes the batches of an earlier run again, from the WAL: a replica that was level goes on without
 * a resync.
 */

import { encodeBatch, segmentBytes } from '../feed/batch.ts'
import type { DatabaseFiles } from '../sqlite/databaseFiles.ts'
import type { ScannedDatabase } from '../sqlite/databaseScan.ts'
import type { WalPlace } from '../sqlite/walProbe.ts'
import { WalReader } from '../sqlite/walReader.ts'
import { checksumHex } from '../xxh64.ts'
import type { StartPoint } from './startPoint.ts'

export interface RebuiltMessage {
  readonly from: { readonly txid: number; readonly checksum: string }
  readonly txid: number
  readonly message: Buffer
  readonly last: boolean
}

/**
 * Makes again, from the WAL, the batches between the verified records and from the newest one to
 * the present end, so that a replica that was level when the leader stopped goes on without a
 * resync. Oldest first, of the last `limitBytes`.
 */
export function* rebuildBatches(
  files: DatabaseFiles,
  scanned: ScannedDatabase,
  start: StartPoint,
  options: {
    readonly db: string
    readonly batchBytes: number
    readonly limitBytes: number
    readonly nowMs: number
  },
): Generator<RebuiltMessage> {
  const header = scanned.reader.header
  if (!header) return
  const { pageSize } = files
  const end = { txid: start.txid, frame: scanned.reader.frame, checksum: scanned.sums.state }
  const points = [...start.verified, end].filter(
    (point, i, all) => i === 0 || point.frame > all[i - 1].frame,
  )
  const firstFrame = end.frame - Math.floor(options.limitBytes / pageSize)
  const reader = new WalReader(files.walFd, pageSize, segmentBytes(pageSize, options.batchBytes))
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [points[i - 1], points[i]]
    if (from.frame < firstFrame) continue
    const sum = from.frame === 0 ? header : scanned.checksums.get(from.frame)
    if (!sum) continue
    reader.resume({
      header,
      frame: from.frame,
      checksum: { s0: sum.s0, s1: sum.s1 },
    } satisfies WalPlace)
    yield* encodeRange(reader, from, to, { ...options, epoch: start.epoch, pageSize })
  }
}

interface Point {
  readonly txid: number
  readonly frame: number
  readonly checksum: bigint
}

function* encodeRange(
  reader: WalReader,
  from: Point,
  to: Point,
  options: {
    readonly db: string
    readonly epoch: number
    readonly pageSize: number
    readonly nowMs: number
  },
): Generator<RebuiltMessage> {
  const { db, epoch, pageSize, nowMs } = options
  for (let chunk = 0; reader.frame < to.frame; chunk++) {
    const segment = reader.read(to.frame)
    const last = segment.firstFrame + segment.count - 1 === to.frame
    const dbPages = last ? segment.commitPages[segment.count - 1] : 0
    const checksum = last ? checksumHex(to.checksum) : ''
    const newest = new Map<number, number>()
    for (let i = 0; i < segment.count; i++) newest.set(segment.pageNumbers[i], i)
    const taken = [...newest]
      .filter(([page]) => !last || page <= dbPages)
      .map(([, i]) => i)
      .sort((a, b) => a - b)
    const times = { noticeMs: nowMs, noticedMs: nowMs, sentMs: nowMs }
    const message = encodeBatch(
      {
        db,
        epoch,
        fromTxid: from.txid,
        txid: to.txid,
        chunk,
        last,
        pageSize,
        dbPages,
        checksum,
        ...times,
      },
      segment,
      taken,
    )
    reader.consume(segment.count)
    yield {
      from: { txid: from.txid, checksum: checksumHex(from.checksum) },
      txid: to.txid,
      message,
      last,
    }
  }
}

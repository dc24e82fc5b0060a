/**
 * Where a leader goes on. It keeps epoch and txid only when the database is provably the one it left:
 * the stored position verifies against the WAL, or nothing of the content changed. Everything else begins a new epoch.
 */
import type { EpochBegin, Lineage } from '../../proto/lineage.ts'
import type { DatabaseFiles } from '../sqlite/databaseFiles.ts'
import type { ScannedDatabase } from '../sqlite/databaseScan.ts'
import type { PositionRecord } from '../sqlite/positionLog.ts'
import { type WalPlace, WalReader } from '../sqlite/walReader.ts'
import { checksumHex } from '../xxh64.ts'
import { encodeBatch, segmentBytes } from './batch.ts'

export interface StartPoint {
  readonly epoch: number
  readonly txid: number
  /** Why a new epoch begins, undefined when the old one goes on. */
  readonly newEpoch: string | undefined
  /** How the new epoch follows from an older one, where that is known. */
  readonly begin: EpochBegin | undefined
  /** Records of this WAL generation that verify, oldest first: the batches between them can be made again. */
  readonly verified: readonly PositionRecord[]
}

/** What is known from before. */
export interface Remembered {
  readonly records: readonly PositionRecord[]
  /** The newest record is the newest there ever was. */
  readonly trusted: boolean
  /** The epoch of the node file. */
  readonly epoch: number
  /** No txid above this was ever given out. */
  readonly txidCeiling: number
  readonly lineage: Lineage
  /** Id of this node. */
  readonly node: string
}

/** Decides epoch and txid for the state found. Pure. */
export function chooseStart(
  found: Pick<ScannedDatabase, 'header' | 'commits' | 'checksums' | 'sums' | 'baseState'>,
  before: Remembered,
): StartPoint {
  const records = inEpoch(before)
  const last = records.at(-1)
  const begin = (txid: number, reason: string, after?: number): StartPoint => {
    const epoch = Math.max(before.epoch, last?.epoch ?? 0) + 1
    const follows =
      after === undefined
        ? undefined
        : { epoch, txid: after, after: epoch - 1, leader: before.node, exact: false }
    return { epoch, txid, newEpoch: reason, begin: follows, verified: [] }
  }
  if (!last) return begin(before.txidCeiling + 1, before.epoch === 0 ? 'first start' : 'no stored position')
  if (last.epoch !== before.epoch)
    return begin(Math.max(last.txid, before.txidCeiling) + 1, 'the stored position is of another epoch')
  if (!before.trusted) return begin(before.txidCeiling + 1, 'the machine went down without a clean stop')
  const verified = records.filter((record) => record.epoch === last.epoch && isInWal(found, record))
  if (verified.at(-1) === last) {
    const txid = last.txid + found.commits.filter((frame) => frame > last.frame).length
    return { epoch: last.epoch, txid, newEpoch: undefined, begin: undefined, verified }
  }
  if (last.checksum === found.sums.state && last.pages === found.sums.pages) {
    return { epoch: last.epoch, txid: last.txid, newEpoch: undefined, begin: undefined, verified: [] }
  }
  if (last.checksum === found.baseState) {
    // The WAL was started over, and every commit since lies in it.
    const base = { ...last, frame: 0 }
    return {
      epoch: last.epoch,
      txid: last.txid + found.commits.length,
      newEpoch: undefined,
      begin: undefined,
      verified: [base],
    }
  }
  return begin(last.txid + 1, 'the database was written while no leader ran', last.txid)
}

/** A node that crashed right after it was promoted has recorded its place in the epoch before only. */
function inEpoch({ records, epoch, lineage }: Remembered): readonly PositionRecord[] {
  const last = records.at(-1)
  const began = lineage.find((begin) => begin.epoch === epoch && begin.exact)
  if (!last || !began || began.after !== last.epoch || began.txid !== last.txid) return records
  return [...records.slice(0, -1), { ...last, epoch }]
}

function isInWal(found: Pick<ScannedDatabase, 'header' | 'checksums'>, record: PositionRecord): boolean {
  const { header, checksums } = found
  if (record.frame === 0 || record.salt1 !== header.salt1 || record.salt2 !== header.salt2) return false
  const sum = checksums.get(record.frame)
  return sum !== undefined && sum.s0 === record.s0 && sum.s1 === record.s1
}

export interface RebuiltMessage {
  readonly from: { readonly txid: number; readonly checksum: string }
  readonly txid: number
  readonly message: Buffer
  readonly last: boolean
}

/**
 * Makes again, from the WAL, the batches between the verified records and from the newest one to the present end,
 * so that a replica that was level when the leader stopped goes on without a resync. Oldest first, of the last `limitBytes`.
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
  const points = [...start.verified, end].filter((point, i, all) => i === 0 || point.frame > all[i - 1].frame)
  const firstFrame = end.frame - Math.floor(options.limitBytes / pageSize)
  const reader = new WalReader(files.walFd, pageSize, segmentBytes(pageSize, options.batchBytes))
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [points[i - 1], points[i]]
    if (from.frame < firstFrame) continue
    const sum = from.frame === 0 ? header : scanned.checksums.get(from.frame)
    if (!sum) continue
    reader.resume({ header, frame: from.frame, checksum: { s0: sum.s0, s1: sum.s1 } } satisfies WalPlace)
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
  options: { readonly db: string; readonly epoch: number; readonly pageSize: number; readonly nowMs: number },
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
      { db, epoch, fromTxid: from.txid, txid: to.txid, chunk, last, pageSize, dbPages, checksum, ...times },
      segment,
      taken,
    )
    reader.consume(segment.count)
    yield { from: { txid: from.txid, checksum: checksumHex(from.checksum) }, txid: to.txid, message, last }
  }
}

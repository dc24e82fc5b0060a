/**
 * What a leader settles before it captures anything: that no other node leads, and where its
 * database stands.
 */
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import { segmentBytes } from '../feed/batch.ts'
import type { SeenHistory } from '../feed/seenHistory.ts'
import type { DatabaseFiles } from '../sqlite/databaseFiles.ts'
import { readCounters, type ScannedDatabase, scanDatabase } from '../sqlite/databaseScan.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { mayBeOpenElsewhere } from '../sqlite/lockTable.ts'
import type { PositionLog } from '../sqlite/positionLog.ts'
import type { ReadGuard } from '../sqlite/readGuard.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import { readWalHeader } from '../sqlite/walProbe.ts'
import { WalReader } from '../sqlite/walReader.ts'
import { scanPastBrokenWal } from './brokenWal.ts'
import { newIncarnation } from './incarnation.ts'
import type { LeaderOptions, LeadershipBegun } from './leaderOptions.ts'
import { chooseStart, type StartPoint } from './startPoint.ts'
import type { WriteFence } from './writeFence.ts'

/** Txids given out before the node file is written again. */
export const TXID_RESERVE = 1_000_000

/** How long a starting leader insists on the fence while it asks the other nodes. */
const START_FENCE_MS = 500

/**
 * Asks the other nodes whether one of them leads. Gives what they have seen of this node's own
 * history. Throws HIGHER_EPOCH.
 *
 * The fence keeps writers out meanwhile, but not an application that is at work. That has written
 * until now, and each of its transactions that has read and is about to write would fail. In a
 * container the node may not see the application.
 */
export async function askBeforeLeading(
  fence: WriteFence,
  files: DatabaseFiles,
  { mayLead, log }: Pick<LeaderOptions, 'mayLead' | 'log'>,
): Promise<readonly SeenHistory[]> {
  if (!mayLead) return []
  if (mayBeOpenElsewhere(files.database, process.pid)) return mayLead()
  await fence.take(START_FENCE_MS).catch((error) => {
    if (keyOf(error) !== 'FENCE_FAILED') throw error
    log.warn('cannot fence writers out while asking whether another node leads; asking anyway')
  })
  try {
    return await mayLead()
  } finally {
    await fence.release()
  }
}

export interface StartupParts {
  readonly options: Pick<LeaderOptions, 'identity' | 'log' | 'batchBytes'>
  readonly thread: SqliteThread
  readonly files: DatabaseFiles
  readonly positions: PositionLog
  readonly guard: ReadGuard
  readonly fence: Pick<WriteFence, 'isTaken'>
}

/** What decides a start, beside what the scan finds. */
export interface StartupCause {
  /** Why a new epoch begins whatever is found; undefined at the start of a node. */
  readonly forced: string | undefined
  readonly seen: readonly SeenHistory[]
}

export interface FoundStart {
  readonly scanned: ScannedDatabase
  readonly start: StartPoint
  /** The WAL did not verify and was backfilled: it must start over. */
  readonly isBackfilled: boolean
}

/**
 * Scans the database and decides epoch and txid. They are durable when it resolves, together with
 * the incarnation that begins: nothing of it is sent before that.
 */
export async function findStart(
  parts: StartupParts,
  { forced, seen }: StartupCause,
): Promise<FoundStart> {
  const { identity, log } = parts.options
  const { scanned, mended } = await scan(parts)
  const start = choose(parts, scanned, forced ?? mended, seen)
  const { epoch, txid, newEpoch, isPutBack, begun } = start
  if (isPutBack)
    log.error(
      { epoch, txid, reason: newEpoch },
      'this database was put back to an earlier state; beginning an epoch above what other nodes ' +
        'have seen; replicas keep aside what is missing here',
    )
  else if (newEpoch) log.info({ epoch, txid, reason: newEpoch }, 'beginning a new epoch')
  const term = Math.max(identity.term(), start.term)
  const last = parts.positions.known.at(-1)
  const stored = last?.incarnation ?? ''
  const from = { incarnation: stored, txid: last?.txid ?? 0 }
  const putBack = isPutBack && newEpoch ? { reason: newEpoch, from } : undefined
  await writeDown(parts, start, {
    epoch,
    term,
    txid,
    txidCeiling: txid + TXID_RESERVE,
    begun,
    stored,
    putBack,
  })
  return { scanned, start, isBackfilled: mended !== undefined }
}

/**
 * A full disk must not keep a leader from serving a database that is as it left it. Should it crash
 * before the disk takes the new incarnation, it will find that others have what it does not know,
 * and begin an epoch above that.
 */
async function writeDown(
  { options: { identity, log } }: StartupParts,
  { newEpoch }: StartPoint,
  begun: LeadershipBegun,
): Promise<void> {
  await identity.save(begun).catch(async (error) => {
    if (newEpoch !== undefined) throw error
    log.warn(
      { error: messageOf(error) },
      'cannot write the node file for this start; retrying until the disk takes it',
    )
    await identity.insist(begun).catch(() => {})
  })
}

async function scan({ options, thread, files, guard, fence }: StartupParts): Promise<{
  readonly scanned: ScannedDatabase
  /** Why the WAL could not be believed; undefined when it verified. */
  readonly mended: string | undefined
}> {
  const bytes = segmentBytes(files.pageSize, options.batchBytes)
  try {
    return { scanned: await scanDatabase(files, bytes), mended: undefined }
  } catch (error) {
    if (keyOf(error) !== 'WAL_BROKEN') throw error
    options.log.warn(
      { error: messageOf(error) },
      'published frames of the WAL do not verify; backfilling them as readers see them',
    )
    const scanned = await scanPastBrokenWal(thread, files, guard, fence, bytes)
    return { scanned, mended: messageOf(error) }
  }
}

function choose(
  { options, positions }: StartupParts,
  scanned: ScannedDatabase,
  forced: string | undefined,
  seen: readonly SeenHistory[],
): StartPoint {
  const { identity } = options
  const { known: records, trusted } = positions
  const before = {
    records,
    trusted,
    epoch: identity.epoch(),
    incarnation: identity.incarnation(),
    raised: identity.raised(),
    txidCeiling: identity.txidCeiling(),
    lineage: identity.lineage(),
    node: identity.node,
    seen,
  }
  const start = chooseStart(scanned, before, newIncarnation())
  if (!forced || start.newEpoch) return start
  const [epoch, txid] = [start.epoch + 1, start.txid + 1]
  return {
    ...start,
    epoch,
    txid,
    newEpoch: forced,
    begun: { ...start.begun, epoch, exact: false },
    verified: [],
  }
}

export type LedDatabase = Pick<
  ScannedDatabase,
  'walIndex' | 'reader' | 'sums' | 'frames' | 'counters'
>
/**
 * Takes up a database that this process has followed until now: reads its WAL on from the published
 * end. Throws WAL_INDEX_UNREADABLE.
 */
export function ledFrom(
  { files, walIndex, sums, frames }: HeldDatabase,
  segmentBytes: number,
): LedDatabase {
  // Under the write lock nothing else writes the header: one look finds it whole.
  const published = walIndex.read()
  if (!published) throw new WalcastError('WAL_INDEX_UNREADABLE', { path: files.path })
  const reader = new WalReader(files.walFd, files.pageSize, segmentBytes)
  const header = readWalHeader(files.walFd)
  const { mxFrame: frame, frameChecksum: checksum } = published
  if (header && frame > 0) reader.resume({ header, frame, checksum: { ...checksum } })
  return { walIndex, reader, sums, frames, counters: readCounters(files, frames) }
}

/** What a leader settles before it captures anything: that no other node leads, and where its database stands. */
import { keyOf, messageOf } from '../errors.ts'
import type { DatabaseFiles } from '../sqlite/databaseFiles.ts'
import { type ScannedDatabase, scanDatabase } from '../sqlite/databaseScan.ts'
import type { PositionLog } from '../sqlite/positionLog.ts'
import type { ReadGuard } from '../sqlite/readGuard.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import { segmentBytes } from './batch.ts'
import { scanPastBrokenWal } from './brokenWal.ts'
import type { Fence } from './fence.ts'
import type { LeaderOptions } from './leaderOptions.ts'
import { chooseStart, type StartPoint } from './startPoint.ts'

/** Txids given out before the node file is written again. */
export const TXID_RESERVE = 1_000_000

/** How long a starting leader insists on the fence while it asks the other nodes. */
const START_FENCE_MS = 500

/** Nobody writes while it is found out whether another node leads. Throws HIGHER_EPOCH. */
export async function askBeforeLeading(
  fence: Fence,
  { mayLead, log }: Pick<LeaderOptions, 'mayLead' | 'log'>,
): Promise<void> {
  if (!mayLead) return
  await fence.take(START_FENCE_MS).catch((error) => {
    if (keyOf(error) !== 'FENCE_FAILED') throw error
    log.warn('the database is being written while this node asks the others whether one of them leads')
  })
  try {
    await mayLead()
  } finally {
    await fence.release()
  }
}

export interface BeginningParts {
  readonly options: Pick<LeaderOptions, 'identity' | 'log' | 'batchBytes'>
  readonly thread: SqliteThread
  readonly files: DatabaseFiles
  readonly positions: PositionLog
  readonly guard: ReadGuard
  readonly fence: Pick<Fence, 'isTaken'>
}

/**
 * Scans the database and decides epoch and txid, which are durable when it resolves: nothing of an epoch is sent before that.
 * `forced` begins a new epoch whatever is found.
 */
export async function findStart(
  parts: BeginningParts,
  forced: string | undefined,
): Promise<{ readonly scanned: ScannedDatabase; readonly start: StartPoint }> {
  const { identity, log } = parts.options
  const { scanned, mended } = await scan(parts)
  const start = choose(parts, scanned, forced ?? mended)
  if (start.newEpoch)
    log.info({ epoch: start.epoch, txid: start.txid, reason: start.newEpoch }, 'a new epoch begins')
  if (start.newEpoch || identity.txidCeiling() < start.txid + TXID_RESERVE / 2)
    await identity.save(start.epoch, start.txid + TXID_RESERVE, start.begin)
  return { scanned, start }
}

async function scan({ options, thread, files, guard, fence }: BeginningParts): Promise<{
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
      'published frames do not verify; backfilling them as readers see them',
    )
    const scanned = await scanPastBrokenWal(thread, files, guard, fence, bytes)
    return { scanned, mended: messageOf(error) }
  }
}

function choose(
  { options, positions }: BeginningParts,
  scanned: ScannedDatabase,
  forced: string | undefined,
): StartPoint {
  const { identity } = options
  const epoch = identity.epoch()
  const { known: records, trusted } = positions
  const [txidCeiling, lineage] = [identity.txidCeiling(), identity.lineage()]
  const start = chooseStart(scanned, { records, trusted, epoch, txidCeiling, lineage, node: identity.node })
  if (!forced || start.newEpoch) return start
  return { epoch: epoch + 1, txid: start.txid + 1, newEpoch: forced, begin: undefined, verified: [] }
}

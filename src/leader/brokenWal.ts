/**
 * Goes on when published frames do not verify and capture cannot take them as readers see them
 * (publishedFrames.ts). That happens when a leader starts, and whenever the frames may not continue
 * the captured ones. Readers find such frames through the wal-index; only a recovery
 * would lose them. So the leader backfills them under the write fence. Then the file alone is the
 * state.
 */
import { WalcastError } from '../errors.ts'
import type { DatabaseFiles } from '../sqlite/databaseFiles.ts'
import { type ScannedDatabase, scanBackfilled } from '../sqlite/databaseScan.ts'
import type { ReadGuard } from '../sqlite/readGuard.ts'
import {
  checkpoint,
  checkpointCounts,
  close,
  exec,
  insist,
  isComplete,
  open,
  type SqliteThread,
  stepError,
} from '../sqlite/sqliteThread.ts'
import { WalIndexReader } from '../sqlite/walIndexReader.ts'
import type { WriteFence } from './writeFence.ts'

const FENCE = 'mend-fence'
const CHECKPOINT = 'mend-checkpoint'
const ATTEMPTS = 50
const FENCE_MS = 2000
const CHECKPOINT_MS = 200

/**
 * `fence` is the leader's own and may be taken already. Throws WAL_BROKEN when a reader that
 * lingers keeps the backfill from finishing.
 */
export async function scanPastBrokenWal(
  thread: SqliteThread,
  files: DatabaseFiles,
  guard: ReadGuard,
  fence: Pick<WriteFence, 'isTaken'>,
  segmentBytes: number,
): Promise<ScannedDatabase> {
  await thread.run(open(FENCE, files.path, 0), open(CHECKPOINT, files.path, 0))
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const header = await backfill(thread, files, guard, fence)
      // Under the leader's own fence nothing is written, whatever the guard stands on.
      if (header && (fence.isTaken || guard.slot === 0))
        return await scanBackfilled(files, header, segmentBytes)
    }
    throw new WalcastError('WAL_BROKEN', {
      detail: 'published frames do not verify, and a reader keeps them from being backfilled',
    })
  } finally {
    await thread.attempt(close(FENCE), close(CHECKPOINT))
  }
}

/**
 * The published header whose frames are all in the file now; undefined when not all could be
 * backfilled.
 */
async function backfill(
  thread: SqliteThread,
  files: DatabaseFiles,
  guard: ReadGuard,
  fence: Pick<WriteFence, 'isTaken'>,
) {
  if (fence.isTaken) return backfillFenced(files, guard)
  const step = insist(FENCE, 'BEGIN IMMEDIATE', FENCE_MS)
  const [taken] = await thread.attempt(step)
  if (!taken.ok) {
    // The leader has taken the fence meanwhile.
    if (fence.isTaken) return undefined
    throw stepError(step, taken)
  }
  const header = await backfillFenced(files, guard)
  await thread.attempt(exec(FENCE, 'COMMIT'))
  guard.lookUp()
  return header
}

async function backfillFenced(files: DatabaseFiles, guard: ReadGuard) {
  const header = new WalIndexReader(files.shm.fd).read()
  const [passive] = await guard.moveFenced([checkpoint(CHECKPOINT, 'PASSIVE', CHECKPOINT_MS)])
  const counts = checkpointCounts(passive)
  return isComplete(counts) && counts.walFrames === header?.mxFrame ? header : undefined
}

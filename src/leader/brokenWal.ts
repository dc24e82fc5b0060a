/**
 * A way on when published frames do not verify. SQLite before 3.41 can publish frames without salts and checksums (a
 * rollback to a savepoint after a spill); readers find them through the wal-index, only a recovery would lose them. So
 * they are backfilled, as every reader sees them, under the write fence; then the file alone is the state.
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
} from '../sqlite/sqliteThread.ts'
import { WalIndexReader } from '../sqlite/walIndexReader.ts'

const FENCE = 'mend-fence'
const CHECKPOINT = 'mend-checkpoint'
const ATTEMPTS = 50
const FENCE_MS = 2000
const CHECKPOINT_MS = 200

/** Throws WAL_BROKEN when a reader that lingers keeps the backfill from finishing. */
export async function scanPastBrokenWal(
  thread: SqliteThread,
  files: DatabaseFiles,
  guard: ReadGuard,
  segmentBytes: number,
): Promise<ScannedDatabase> {
  await thread.run(open(FENCE, files.path, 0), open(CHECKPOINT, files.path, 0))
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const header = await backfillFenced(thread, files, guard)
      if (header && guard.slot === 0) return await scanBackfilled(files, header, segmentBytes)
    }
    throw new WalcastError('WAL_BROKEN', {
      detail: 'published frames do not verify, and a reader keeps them from being backfilled',
    })
  } finally {
    await thread.attempt(close(FENCE), close(CHECKPOINT))
  }
}

/** The published header whose frames are all in the file now; undefined when not all could be backfilled. */
async function backfillFenced(thread: SqliteThread, files: DatabaseFiles, guard: ReadGuard) {
  await thread.run(insist(FENCE, 'BEGIN IMMEDIATE', FENCE_MS))
  const header = new WalIndexReader(files.shm.fd).read()
  const [passive] = await guard.moveFenced([checkpoint(CHECKPOINT, 'PASSIVE', CHECKPOINT_MS)])
  await thread.attempt(exec(FENCE, 'COMMIT'))
  guard.lookUp()
  const counts = checkpointCounts(passive)
  return isComplete(counts) && counts.walFrames === header?.mxFrame ? header : undefined
}

/** Finishes a departure that was broken off, while no node runs in the folder. */
import { type FileOps, systemFileOps } from '../platform/fileOps.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { SqliteThread } from '../sqlite/sqliteThread.ts'
import { finishLeaving, type Left, readLeft } from './departure.ts'
import { LOCK_CONNECTION, takeNodeLock } from './nodeFolder.ts'

/**
 * What the node of this database file says of its departure; undefined unless it has left. Throws
 * ALREADY_RUNNING or WRITE_FAILED.
 */
export async function finishDeparture(
  db: string,
  ops: FileOps = systemFileOps,
): Promise<Left | undefined> {
  const path = resolveDatabase(db)
  const folder = `${path}-walcast`
  if (!readLeft(folder)) return undefined
  const thread = new SqliteThread()
  try {
    await takeNodeLock(thread, path, folder)
    return finishLeaving(folder, ops)
  } finally {
    await thread.stop([LOCK_CONNECTION])
  }
}

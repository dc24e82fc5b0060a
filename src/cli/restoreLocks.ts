/** What keeps other processes from the place of a restore: a second restore, and a node. */
import { WalcastError } from '../errors.ts'
import { existsSync, rmSync } from '../platform/files.ts'
import { exec, open, SqliteThread, type StepResult } from '../sqlite/sqliteThread.ts'

const CONNECTION = 'restore-lock'

/**
 * Locks the place until the function that it gives is called, or the process ends. Throws
 * RESTORE_IN_USE, ALREADY_RUNNING or WRITE_FAILED.
 */
export async function lockPlace(path: string): Promise<() => Promise<void>> {
  const thread = new SqliteThread()
  const connections = [CONNECTION]
  try {
    await lockRestore(thread, path)
    const folder = `${path}-walcast`
    if (existsSync(folder)) {
      const { LOCK_CONNECTION, takeNodeLock } = await import('../node/nodeFolder.ts')
      connections.push(LOCK_CONNECTION)
      await takeNodeLock(thread, path, folder)
    }
  } catch (error) {
    await thread.stop(connections)
    throw error
  }
  return unlocking(thread, path, connections)
}

/** The same while a node runs at the database: only a second restore is kept out. */
export async function lockBeside(path: string): Promise<() => Promise<void>> {
  const thread = new SqliteThread()
  try {
    await lockRestore(thread, path)
  } catch (error) {
    await thread.stop([CONNECTION])
    throw error
  }
  return unlocking(thread, path, [CONNECTION])
}

function unlocking(
  thread: SqliteThread,
  path: string,
  connections: readonly string[],
): () => Promise<void> {
  return async () => {
    rmSync(lockOf(path), { force: true })
    await thread.stop(connections)
  }
}

/** Two restores to one place would write into one file. */
async function lockRestore(thread: SqliteThread, path: string): Promise<void> {
  const results = await thread.attempt(
    open(CONNECTION, lockOf(path), 0, true),
    exec(CONNECTION, 'BEGIN EXCLUSIVE'),
  )
  const failed = results.find((result): result is Extract<StepResult, { ok: false }> => !result.ok)
  if (!failed) return
  if (failed.code.startsWith('SQLITE_BUSY'))
    throw new WalcastError('RESTORE_IN_USE', { path, detail: 'another restore to it is under way' })
  throw new WalcastError('WRITE_FAILED', { path: lockOf(path), detail: failed.detail })
}

function lockOf(path: string): string {
  return `${path}-restoring.lock`
}

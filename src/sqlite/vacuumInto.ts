import { WalcastError, writeError } from '../errors.ts'
import { closeSync, openSync } from '../platform/files.ts'
import { exec, type SqliteThread, stepError } from './sqliteThread.ts'
import { quoteText } from './sqlText.ts'

/**
 * Writes what `connection` sees into a new database at `to`, which only its owner may read
 * (https://sqlite.org/lang_vacuum.html). Throws DISK_FULL, WRITE_FAILED, SQLITE_BUSY or
 * SQLITE_FAILED.
 */
export async function vacuumInto(
  thread: SqliteThread,
  connection: string,
  to: string,
): Promise<void> {
  makePrivate(to)
  const step = exec(connection, `VACUUM INTO ${quoteText(to)}`)
  const [written] = await thread.attempt(step)
  if (written.ok) return
  if (written.code === 'SQLITE_FULL') throw new WalcastError('DISK_FULL', { path: to })
  throw stepError(step, written)
}

/** VACUUM INTO takes an empty file. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    throw writeError(path, error)
  }
}

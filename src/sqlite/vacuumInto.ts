import { WalcastError } from '../errors.ts'
import { exec, type SqliteThread, stepError } from './sqliteThread.ts'
import { quoteText } from './sqlText.ts'

/** Writes what `connection` sees into a database of its own at `to` (https://sqlite.org/lang_vacuum.html). Throws DISK_FULL, SQLITE_BUSY or SQLITE_FAILED. */
export async function vacuumInto(thread: SqliteThread, connection: string, to: string): Promise<void> {
  const step = exec(connection, `VACUUM INTO ${quoteText(to)}`)
  const [written] = await thread.attempt(step)
  if (written.ok) return
  if (written.code === 'SQLITE_FULL') throw new WalcastError('DISK_FULL', { path: to })
  throw stepError(step, written)
}

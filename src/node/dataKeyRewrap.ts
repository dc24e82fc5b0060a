/**
 * Wraps the data keys of settings by the newest key-encryption key, in the database of a leader. It
 * writes as any program does, and waits for other writers without holding up the thread.
 */
import Database from 'better-sqlite3'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { keyringBeside } from '../security/keyring.ts'
import { settings } from '../settings/settings.ts'

/** How long it tries to get SQLite's write lock. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 20

/**
 * Returns how many it wrapped. Throws WRITE_FAILED, and what `Settings.rotate` throws: nothing has
 * changed then.
 */
export async function rewrapDataKeys(path: string): Promise<number> {
  const endMs = monotonicMs() + PATIENCE_MS
  const db = new Database(path, { fileMustExist: true, timeout: 0 })
  try {
    db.pragma('wal_autocheckpoint = 0')
    const store = settings(db, keyringBeside(path))
    for (;;)
      try {
        return store.rotate().dataKeys
      } catch (error) {
        if (error instanceof WalcastError) throw error
        const isBusy = /^SQLITE_(BUSY|LOCKED)/.test(systemCode(error))
        if (!isBusy || monotonicMs() >= endMs)
          throw new WalcastError('WRITE_FAILED', { path, detail: messageOf(error) }, error)
        await delay(PAUSE_MS)
      }
  } finally {
    db.close()
  }
}

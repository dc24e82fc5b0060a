/**
 * Tries to write without ever waiting, until it succeeded `times` times or its patience is over: it
 * finds every gap of the lock. With `hold` it reports its first success, and commits when told to
 * go on.
 */
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { PATIENCE_MS, span } from '../until.ts'
import { optionsOf, say, stopSign } from './options.ts'

const { path, times, hold } = optionsOf<{
  path: string
  times: number
  hold?: boolean
}>()
const db = new Database(path, { timeout: 0 })
db.pragma('wal_autocheckpoint = 0')
const write = db.prepare('UPDATE accounts SET balance = balance + 1 WHERE id = 1')
const time = span(PATIENCE_MS)
let got = 0
let tries = 0

while (got < times && time.left) {
  tries++
  try {
    if (hold) db.exec('BEGIN IMMEDIATE')
    write.run()
    got++
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY'))
      throw error
  }
  if (db.inTransaction) await commitWhenTold()
}
db.close()
say({ got, tries })
process.exit(0)

async function commitWhenTold(): Promise<void> {
  const sign = stopSign()
  say({ holds: true })
  while (!sign.stopped) await delay(5)
  db.exec('COMMIT')
}

/** Tries to write, without ever waiting, until it got in `times` times or the time is over: it finds every gap of the lock. */
import Database from 'better-sqlite3'
import { span } from '../until.ts'
import { optionsOf, say } from './options.ts'

const { path, times, seconds } = optionsOf<{ path: string; times: number; seconds: number }>()
const db = new Database(path, { timeout: 0 })
db.pragma('wal_autocheckpoint = 0')
const write = db.prepare('UPDATE accounts SET balance = balance + 1 WHERE id = 1')
const time = span(seconds * 1000)
let got = 0
let tries = 0

while (got < times && time.left) {
  tries++
  try {
    write.run()
    got++
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error
  }
}
db.close()
say({ got, tries })

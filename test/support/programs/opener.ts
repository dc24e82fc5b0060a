/** The same as py/opener.py, with better-sqlite3. */
import { setImmediate as immediate } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { become } from './become.ts'
import { optionsOf, say, stopSign } from './options.ts'

const { path, sql, uid, gid } = optionsOf<{ path: string; sql: string; uid: number; gid: number }>()
become(uid, gid)
const sign = stopSign()
const errors: Record<string, number> = {}
let opened = 0
let lasting = 0
let failedMs: number | undefined
let saidMs = 0
while (!sign.stopped) {
  try {
    const db = new Database(path, { timeout: 5000 })
    try {
      db.prepare(sql).all()
    } finally {
      db.close()
    }
    opened++
    failedMs = undefined
  } catch (error) {
    const nowMs = performance.now()
    const name = error instanceof Database.SqliteError ? error.code : String(error)
    if (failedMs === undefined) errors[name] = (errors[name] ?? 0) + 1
    else if (nowMs - failedMs > 5000) lasting++
    if (failedMs === undefined || nowMs - failedMs > 5000) failedMs = nowMs
  }
  if (performance.now() - saidMs > 50) {
    saidMs = performance.now()
    say({ opened })
    await immediate()
  }
}
say({ done: { opened, errors, lasting } })
process.exit(0)

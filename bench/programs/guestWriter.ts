/**
 * Writes as most frameworks do: a transaction reads before it writes (BEGIN; SELECT; INSERT;
 * COMMIT). SQLite calls no busy handler when such a transaction becomes a writer, so whoever holds
 * the write lock at that moment has it refused. A refused one is not tried again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { Flags, readyThenGo, report, sleepUntil } from './program.ts'

const flags = new Flags(['db', 'rate', 'value-bytes', 'seconds', 'busy-ms', 'autocheckpoint'])
const ratePerSecond = flags.number('rate')
const db = new Database(flags.text('db'), { timeout: flags.number('busy-ms') })
db.pragma('synchronous = NORMAL')
db.pragma(`wal_autocheckpoint = ${flags.number('autocheckpoint')}`)
const begin = db.prepare('BEGIN')
const look = db.prepare('SELECT max(id) FROM t')
const insert = db.prepare('INSERT INTO t(v) VALUES (?)')
const commit = db.prepare('COMMIT')
const value = Buffer.alloc(flags.number('value-bytes'), 7)

let commits = 0
let refused = 0
let longestMs = 0

function transact(): void {
  const begunMs = performance.now()
  begin.run()
  try {
    look.get()
    insert.run(value)
    commit.run()
    commits++
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY'))
      throw error
    refused++
    if (db.inTransaction) db.exec('ROLLBACK')
  }
  longestMs = Math.max(longestMs, performance.now() - begunMs)
}

/** As many as possible; without a rate it would never let its own timers run. */
const AT_ONCE = 100

await readyThenGo()
const startNs = process.hrtime.bigint()
const endNs = startNs + BigInt(Math.round(flags.number('seconds') * 1e9))
for (let i = 0; process.hrtime.bigint() < endNs; i++) {
  if (ratePerSecond > 0) {
    sleepUntil(startNs + BigInt(Math.round((i * 1e9) / ratePerSecond)))
    transact()
  } else {
    for (let j = 0; j < AT_ONCE; j++) transact()
    await delay(0)
  }
}
report({ commits, refused, longestMs, elapsedMs: Number(process.hrtime.bigint() - startNs) / 1e6 })
db.close()

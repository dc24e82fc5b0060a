/**
 * Makes orders that fill `--mb`, says ready, and commits `--count` changes of them as fast as it
 * can. Reports what went into the WAL.
 */
import Database from 'better-sqlite3'
import { OrderTraffic } from '../orderTraffic.ts'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['db', 'mb', 'count'])
const db = new Database(flags.text('db'), { timeout: 5000 })
db.pragma('journal_mode = WAL')
db.pragma('synchronous = NORMAL')
const traffic = new OrderTraffic(db, flags.number('mb'))
db.pragma('wal_checkpoint(TRUNCATE)')

await readyThenGo()
const count = flags.number('count')
const fromMs = performance.now()
for (let i = 1; i <= count; i++) traffic.commit(i)
report({ commits: count, elapsedMs: performance.now() - fromMs })
db.close()

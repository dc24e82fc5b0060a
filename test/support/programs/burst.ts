/**
 * An application that commits a number of times, checkpoints as SQLite does by default, and ends.
 */
import Database from 'better-sqlite3'
import { randomOf } from '../until.ts'
import { optionsOf } from './options.ts'

/** One of so many commits rewrites a large row. */
const REWRITES_EVERY = 150

const { path, commits, seed } = optionsOf<{ path: string; commits: number; seed: number }>()
const random = randomOf(seed)
const db = new Database(path, { timeout: 30_000 })
db.pragma('synchronous = NORMAL')
const accounts = Number(db.prepare('SELECT count(*) FROM accounts').pluck().get())
const rows = Number(db.prepare('SELECT max(id) FROM mixed').pluck().get())
const any = (count: number) => 1 + Math.floor(random() * count)
const take = db.prepare('UPDATE accounts SET balance = balance - ? WHERE id = ?')
const give = db.prepare('UPDATE accounts SET balance = balance + ? WHERE id = ?')
const log = db.prepare("INSERT INTO log (who, body) VALUES ('burst', ?)")
const rewrite = db.prepare('UPDATE mixed SET body = randomblob(2000) WHERE id = ?')

const commit = db.transaction((i: number) => {
  const amount = any(50)
  take.run(amount, any(accounts))
  give.run(amount, any(accounts))
  log.run(Buffer.alloc(any(100)))
  if (i % REWRITES_EVERY === 0) rewrite.run(any(rows))
})
for (let i = 0; i < commits; i++) commit.immediate(i)
db.close()

/** The same as py/writer.py with the SQLite of better-sqlite3. */
import { randomFillSync } from 'node:crypto'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { randomOf } from '../until.ts'
import { optionsOf, say, stopSign } from './options.ts'

const options = optionsOf<{
  path: string
  name: string
  seed: number
  pauseMs?: number
  autocheckpoint?: number
  isDeferred?: boolean
}>()
const sign = stopSign()
const random = randomOf(options.seed)
const db = new Database(options.path, { timeout: options.isDeferred ? 15_000 : 5000 })
db.pragma(`wal_autocheckpoint = ${options.autocheckpoint ?? 0}`)
db.pragma('synchronous = NORMAL')
const pageSize = Number(db.pragma('page_size', { simple: true }))
const accounts = Number(db.prepare('SELECT count(*) FROM accounts').pluck().get())
const counts = { commits: 0, rollbacks: 0, busy: 0 }
let tables = 0

const whole = (low: number, high: number) => low + Math.floor(random() * (high - low + 1))
const blob = (most: number) => randomFillSync(Buffer.alloc(whole(0, most)))
const take = db.prepare('UPDATE accounts SET balance = balance - ? WHERE id = ?')
const give = db.prepare('UPDATE accounts SET balance = balance + ? WHERE id = ?')
const log = db.prepare('INSERT INTO log (who, body) VALUES (?, ?)')
const last = db.prepare("UPDATE meta SET value = ? WHERE key = 'last'")
const add = db.prepare('INSERT INTO mixed (grp, body) VALUES (?, ?)')

function transfer(): void {
  for (let i = whole(1, 4); i > 0; i--) {
    const amount = whole(1, 50)
    take.run(amount, whole(1, accounts))
    give.run(amount, whole(1, accounts))
  }
  last.run(log.run(options.name, blob(200)).lastInsertRowid)
}

function insert(): void {
  for (let i = whole(1, 30); i > 0; i--) add.run(whole(0, 500), blob(pageSize * 1.5))
}

function remove(): void {
  const low = whole(0, 500)
  db.prepare('DELETE FROM mixed WHERE grp BETWEEN ? AND ?').run(low, low + 200)
}

function update(): void {
  const low = whole(0, 500)
  db.prepare('UPDATE mixed SET body = ?, grp = (grp + 7) % 500 WHERE grp BETWEEN ? AND ?').run(
    blob(pageSize),
    low,
    low + 10,
  )
}

function table(): void {
  const name = `t_${options.name}_${tables & ~1}`
  if (tables++ % 2 === 0) {
    db.exec(`CREATE TABLE ${name} (a INTEGER PRIMARY KEY, b)`)
    for (let i = 0; i < 5; i++) db.prepare(`INSERT INTO ${name} (b) VALUES (?)`).run(blob(pageSize))
  } else db.exec(`DROP TABLE IF EXISTS ${name}`)
}

function spilled(): void {
  db.pragma('cache_size = 5')
  for (let i = 0; i < 60; i++) add.run(whole(0, 500), blob(pageSize))
  db.exec('UPDATE mixed SET grp = (grp + 1) % 500')
}

function savepoint(): void {
  db.pragma('cache_size = -20000')
  db.exec('SAVEPOINT inner_one')
  insert()
  db.exec('ROLLBACK TO inner_one; RELEASE inner_one')
  transfer()
}

const weights: readonly (readonly [() => void, number])[] = [
  [transfer, 10],
  [insert, 4],
  [remove, 3],
  [update, 2],
  [table, 2],
  [spilled, 2],
  [savepoint, 1],
]
/** Writes like a request of a web application. */
function few(): void {
  for (let i = whole(1, 3); i > 0; i--) add.run(whole(0, 500), blob(300))
}

const actions = options.isDeferred
  ? [transfer, transfer, few]
  : weights.flatMap(([action, weight]) => Array<() => void>(weight).fill(action))

function step(): void {
  const action = actions[whole(0, actions.length - 1)]
  try {
    db.exec(options.isDeferred ? 'BEGIN' : 'BEGIN IMMEDIATE')
    if (options.isDeferred) db.exec('SELECT max(id) FROM log')
    action()
    const isRollback = action === spilled && random() < 0.75
    db.exec(isRollback ? 'ROLLBACK' : 'COMMIT')
    counts[isRollback ? 'rollbacks' : 'commits']++
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY'))
      throw error
    counts.busy++
    if (db.inTransaction) db.exec('ROLLBACK')
  }
}

let printedMs = performance.now()
while (!sign.stopped) {
  step()
  if (performance.now() - printedMs > 50) {
    printedMs = performance.now()
    say(counts)
  }
  if (options.pauseMs === 0) await turn()
  else await delay(options.pauseMs ?? 3)
}
db.close()
say({ done: counts })
process.exit(0)

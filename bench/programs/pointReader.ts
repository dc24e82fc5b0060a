/**
 * Reads random rows of `lookup` by their id for some seconds, each read a transaction of its own.
 * Its busy time-out is 0, so that every SQLITE_BUSY is counted and none is waited for.
 */
import Database from 'better-sqlite3'
import { Flags, readyThenGo, report } from './program.ts'

/** Between two looks at the clock. */
const BURST = 64

const flags = new Flags(['file', 'seconds'])
const db = new Database(flags.text('file'), { readonly: true, fileMustExist: true, timeout: 0 })
let reads = 0
let busy = 0
let errors = 0

/** What `read` gives, or undefined when it failed: counted either way. */
function attempt<T>(read: () => T): T | undefined {
  try {
    const value = read()
    reads++
    return value
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) busy++
    else errors++
    return undefined
  }
}

/** Statements are prepared before the start, however often the file is busy; that counts too. */
function prepare() {
  for (let attempts = 0; attempts < 10_000; attempts++) {
    const prepared = attempt(() => ({
      rows: Number(db.prepare('SELECT max(id) FROM lookup').pluck().get()),
      select: db.prepare('SELECT v FROM lookup WHERE id = ?').pluck(),
    }))
    if (prepared) return prepared
  }
  throw new Error('the database cannot be read')
}

const { rows, select } = prepare()
const read = () => {
  const value = select.get(1 + Math.floor(Math.random() * rows))
  if (!(value instanceof Buffer)) throw new Error('a row is missing')
}
reads = 0

await readyThenGo()
const fromCpu = process.cpuUsage()
const fromMs = performance.now()
const endMs = fromMs + flags.number('seconds') * 1000
while (performance.now() < endMs) for (let i = 0; i < BURST; i++) attempt(read)
const elapsedMs = performance.now() - fromMs
const { user, system } = process.cpuUsage(fromCpu)
report({ reads, busy, errors, elapsedMs, cpuMs: (user + system) / 1000 })
db.close()

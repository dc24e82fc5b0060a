/** Prints a SHA-256 over the schema and every row of a database file, read in one transaction. */
import { createHash } from 'node:crypto'
import Database from 'better-sqlite3'
import { Flags, report } from './program.ts'

const flags = new Flags(['db'])
const db = new Database(flags.text('db'), { readonly: true, fileMustExist: true, timeout: 5000 })
const hash = createHash('sha256')
let rows = 0

function add(value: unknown): void {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
  hash.update(`${typeof value}:${bytes.length}:`)
  hash.update(bytes)
}

db.exec('BEGIN')
const schema = db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').raw().all() as [
  string,
  string,
  string | null,
][]
for (const entry of schema) entry.forEach(add)
for (const [type, name] of schema) {
  if (type !== 'table') continue
  const select = db.prepare(`SELECT * FROM "${name.replaceAll('"', '""')}" ORDER BY rowid`)
  for (const row of select.raw().safeIntegers().iterate() as IterableIterator<unknown[]>) {
    row.forEach(add)
    rows++
  }
}
db.exec('COMMIT')
report({ sha256: hash.digest('hex'), rows })
db.close()

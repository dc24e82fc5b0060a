/** Makes the database that a suite begins with. */
import { randomFillSync } from 'node:crypto'
import Database from 'better-sqlite3'
import { Flags, report } from './program.ts'

const PAGE_BYTES = 4096
const BLOB_BYTES = 64 * 1024
/**
 * A row with this payload and its integers fills a leaf page, so a changed row is a changed page.
 */
const PAGE_VALUE_BYTES = 3900
const LOOKUP_VALUE_BYTES = 100
/** Of the file, with the row's header and the page's. */
const LOOKUP_ROW_BYTES = 113

const flags = new Flags(['db', 'kind', 'mb'])
const db = new Database(flags.text('db'))
db.pragma(`page_size = ${PAGE_BYTES}`)
db.pragma('journal_mode = WAL')
db.pragma('synchronous = OFF')
const bytes = flags.number('mb') * 1e6

function fill(insert: Database.Statement, rowBytes: number, fileBytesPerRow: number): void {
  const value = Buffer.alloc(rowBytes)
  const rows = Math.ceil(bytes / fileBytesPerRow)
  const some = db.transaction((count: number) => {
    for (let i = 0; i < count; i++) insert.run(randomFillSync(value))
  })
  const perTransaction = Math.max(1, Math.floor(16e6 / fileBytesPerRow))
  for (let left = rows; left > 0; left -= perTransaction) some(Math.min(left, perTransaction))
}

function makeSmallRows(): void {
  db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)')
}

function makeBlobs(): void {
  makeSmallRows()
  fill(db.prepare('INSERT INTO t(v) VALUES (?)'), BLOB_BYTES, BLOB_BYTES * 1.005)
}

function makePages(): void {
  makeSmallRows()
  db.exec('CREATE TABLE pages(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, v BLOB)')
  fill(db.prepare('INSERT INTO pages(n, v) VALUES (0, ?)'), PAGE_VALUE_BYTES, PAGE_BYTES)
}

function makeLookup(): void {
  makeSmallRows()
  db.exec('CREATE TABLE lookup(id INTEGER PRIMARY KEY, v BLOB NOT NULL)')
  fill(db.prepare('INSERT INTO lookup(v) VALUES (?)'), LOOKUP_VALUE_BYTES, LOOKUP_ROW_BYTES)
}

const kinds: Record<string, () => void> = {
  rows: makeSmallRows,
  blobs: makeBlobs,
  pages: makePages,
  lookup: makeLookup,
}
const make = kinds[flags.text('kind')]
if (!make) throw new Error(`--kind is one of ${Object.keys(kinds).join(', ')}`)
make()
const pages = db.pragma('page_count', { simple: true }) as number
db.close()
report({ pages, fileBytes: pages * PAGE_BYTES })

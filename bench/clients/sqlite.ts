/**
 * An ordinary SQLite file, opened as an application would: better-sqlite3, WAL, synchronous=NORMAL,
 * busy time-out 5 s.
 */
import Database from 'better-sqlite3'
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { RowDigest } from './rowDigest.ts'
import { rowValue } from './values.ts'

const BUSY_TIMEOUT_MS = 5000

export const sqlite: Client = { openWriter, openReader, digest }

/** Throws SqliteError. */
export function openForWriting(path: string, autocheckpoint: number): Database.Database {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
  db.pragma('synchronous = NORMAL')
  db.pragma(`wal_autocheckpoint = ${autocheckpoint}`)
  return db
}

export function openForReading(path: string): Database.Database {
  return new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
}

/** Commits of several pages want a database of the kind `pages`. */
function openWriter(
  path: string,
  { valueBytes, pages, autocheckpoint }: WriterOptions,
): WriteClient {
  const db = openForWriting(path, autocheckpoint)
  const statement = db.prepare('INSERT INTO t(id, v) VALUES (?, ?)')
  const insertRow = (id: number) => void statement.run(id, rowValue(id, valueBytes))
  if (pages === 1) return { insert: insertRow, close: () => void db.close() }
  const count = pages - 1
  const pageRows = db.prepare('SELECT count(*) FROM pages').pluck().get() as number
  const change = db.prepare('UPDATE pages SET n = n + 1 WHERE id > :from AND id <= :from + :count')
  const insert = db.transaction((id: number) => {
    insertRow(id)
    change.run({ from: (id * count) % (pageRows - count), count })
  })
  return { insert: (id) => insert(id), close: () => void db.close() }
}

function openReader(path: string): ReadClient {
  const db = openForReading(path)
  const select = db.prepare('SELECT max(id) FROM t').pluck()
  return { maxId: () => Number(select.get() ?? 0), close: () => void db.close() }
}

/** Over the schema and every row of every table, read in one transaction. */
function digest(path: string): string {
  const db = openForReading(path)
  const rows = new RowDigest()
  db.exec('BEGIN')
  const schema = db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').raw()
  const entries = schema.all() as [string, string, string | null][]
  for (const entry of entries) rows.add(...entry)
  for (const [type, name] of entries) {
    if (type !== 'table') continue
    const select = db.prepare(`SELECT * FROM "${name.replaceAll('"', '""')}" ORDER BY rowid`)
    for (const row of select.raw().safeIntegers().iterate() as IterableIterator<unknown[]>)
      rows.add(...row)
  }
  db.exec('COMMIT')
  db.close()
  return rows.hex()
}

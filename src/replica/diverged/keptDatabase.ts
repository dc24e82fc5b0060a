/**
 * Makes the `database.db` of a bundle (see keptFolder.ts) from its page images, in a process of its
 * own.
 */
import Database from 'better-sqlite3'
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from '../../platform/files.ts'
import { type EqualRow, equalRows } from '../../rowdiff/equalRows.ts'
import { RowLoader } from '../../rowdiff/rowLoader.ts'
import { completeSchema, createSchema, type SchemaEntry } from '../../rowdiff/schemaCopy.ts'
import { quoteName } from '../../sqlite/sqlText.ts'
import { KeptRecords } from './keptRecords.ts'

/**
 * Writes the rows of `folder` that `live` lacks, or that differ there, into `to`. The file gets its
 * name when it is whole and durable. Returns false when some rows do not decode. When the schema
 * does not decode, it writes nothing. Throws the errors of SQLite, DB_LOCKED for example.
 */
export function makeKeptDatabase(
  folder: string,
  pageSize: number,
  to: string,
  live: string,
): boolean {
  const records = new KeptRecords(folder, pageSize)
  const partial = `${to}.partial`
  for (const suffix of ['', '-wal', '-shm', '-journal'])
    rmSync(`${partial}${suffix}`, { force: true })
  try {
    const schema = [...records.schema()]
    if (!records.header || schema.length === 0) return false
    // SQLite gives its journals the mode of the database, so it is private from the start.
    closeSync(openSync(partial, 'wx', 0o600))
    createSchema(partial, schema, records.header.encoding)
    const refused = fill(partial, live, records, schema)
    completeSchema(partial, schema)
    publish(partial, to)
    return refused === 0 && records.damaged === 0
  } finally {
    records.close()
  }
}

/** Returns how many rows did not fit the tables. */
function fill(
  path: string,
  live: string,
  records: KeptRecords,
  schema: readonly SchemaEntry[],
): number {
  const db = new Database(path)
  try {
    db.pragma('synchronous = OFF')
    db.pragma('journal_mode = MEMORY')
    const loader = new RowLoader(db)
    db.transaction(() => load(loader, records, schema))()
    // WAL mode: one connection removes rows while another one still reads them.
    db.pragma('journal_mode = WAL')
    db.transaction(() => removeEqual(db, path, live))()
    db.pragma('journal_mode = DELETE')
    db.exec('PRAGMA incremental_vacuum')
    return loader.refused
  } finally {
    db.close()
  }
}

function load(loader: RowLoader, records: KeptRecords, schema: readonly SchemaEntry[]): void {
  const tables = new Map(
    schema.filter(({ type }) => type === 'table').map(({ root, name }) => [root, name]),
  )
  for (const { root, rowid, values } of records.rows()) {
    const table = tables.get(root)
    // SQLite's own tables are not compared.
    if (table !== undefined && loader.has(table)) loader.insert(table, rowid, values)
  }
}

function removeEqual(db: Database.Database, before: string, live: string): void {
  const statements = new Map<string, Database.Statement>()
  for (const { table, key } of equalRows(before, live)) {
    const sql = `DELETE FROM main.${quoteName(table)} WHERE ${conditionOf(key)}`
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    statement.run(...key.map(({ value }) => value))
  }
}

function conditionOf(key: EqualRow['key']): string {
  return key
    .map(({ name, isText }) => `${quoteName(name)} = ${isText ? 'CAST(? AS TEXT)' : '?'}`)
    .join(' AND ')
}

function publish(partial: string, to: string): void {
  const fd = openSync(partial, 'r+')
  fsyncSync(fd)
  closeSync(fd)
  renameSync(partial, to)
}

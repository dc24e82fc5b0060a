/**
 * Makes an empty database with the schema of another.
 *
 * The CREATE statements are not run: they may name functions and collations of an application, or be of a kind that today's SQLite
 * only takes when it reads a schema (a string in double quotes). They are put into sqlite_schema as they are, each with an
 * empty b-tree of its own (https://sqlite.org/schematab.html).
 */
import Database from 'better-sqlite3'
import type { TextEncoding } from './databasePair.ts'
import { foldName, quoteName } from './sqlText.ts'

/** A row of sqlite_schema; `root` is 0 where there is no b-tree. */
export interface SchemaEntry {
  readonly type: string
  readonly name: string
  readonly table: string
  readonly root: number
  readonly sql: string | null
}

/** Small: a schema of many tables and few rows is what is mostly stored. */
const PAGE_BYTES = 1024
/** SQLite's own tables are left out, but for the one that AUTOINCREMENT cannot do without. */
const SEQUENCE = 'sqlite_sequence'

/** The tables and indexes of `entries`, empty, in the new file `path`. Throws what SQLite does. */
export function createSchema(path: string, entries: readonly SchemaEntry[], encoding: TextEncoding): void {
  const stored = entries.filter((entry) => entry.root > 0 && isCopied(entry))
  withDatabase(path, (db) => {
    db.pragma(`page_size = ${PAGE_BYTES}`)
    db.pragma(`encoding = '${encoding}'`)
    const tables = allocate(db, 'table', stored.filter(({ type }) => type === 'table').length)
    const indexes = allocate(db, 'index', stored.filter(({ type }) => type === 'index').length)
    db.exec('DELETE FROM sqlite_schema')
    for (const entry of stored)
      insert(db, entry, (entry.type === 'index' ? indexes.pop() : tables.pop()) ?? 0)
  })
  withDatabase(path, (db) => {
    // These are kept as an index is: https://sqlite.org/fileformat2.html#representation_of_without_rowid_tables.
    const names = db
      .prepare<[], string>("SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr = 1")
      .pluck()
      .all()
    const roots = allocate(db, 'index', names.length)
    db.prepare('DELETE FROM sqlite_schema WHERE name GLOB ?').run(`${SPARE}*`)
    const move = db.prepare("UPDATE sqlite_schema SET rootpage = ? WHERE type = 'table' AND name = ?")
    for (const name of names) move.run(roots.pop(), name)
  })
}

/** Adds what has no b-tree: views, triggers, virtual tables. Nothing is written to the database afterwards. */
export function completeSchema(path: string, entries: readonly SchemaEntry[]): void {
  withDatabase(path, (db) => {
    for (const entry of entries) if (entry.root === 0 && isCopied(entry)) insert(db, entry, 0)
  })
}

function isCopied({ name, table, type }: SchemaEntry): boolean {
  const isOwn = [name, table].map(foldName).some((each) => each.startsWith('sqlite_'))
  if (type === 'index') return !foldName(table).startsWith('sqlite_')
  return !isOwn || foldName(name) === SEQUENCE
}

/** Writes to sqlite_schema, which a connection reads again when it is opened. */
function withDatabase(path: string, write: (db: Database.Database) => void): void {
  const db = new Database(path)
  try {
    db.unsafeMode()
    db.pragma('synchronous = OFF')
    db.pragma('journal_mode = MEMORY')
    db.pragma('writable_schema = ON')
    db.transaction(() => write(db)).immediate()
  } finally {
    db.close()
  }
}

const SPARE = 'walcast spare '

/** Root pages of so many new empty b-trees. The schema has to forget them by their names. */
function allocate(db: Database.Database, type: 'table' | 'index', count: number): number[] {
  if (count === 0) return []
  const owner = quoteName(`${SPARE}${type}`)
  db.exec(`CREATE TABLE ${owner} (x)`)
  for (let i = 0; i < count; i++) {
    const name = quoteName(`${SPARE}${type} ${i}`)
    db.exec(type === 'table' ? `CREATE TABLE ${name} (x)` : `CREATE INDEX ${name} ON ${owner} (x)`)
  }
  return db
    .prepare<[string, string], number>('SELECT rootpage FROM sqlite_schema WHERE type = ? AND name GLOB ?')
    .pluck()
    .all(type, `${SPARE}${type} *`)
}

function insert(db: Database.Database, { type, name, table, sql }: SchemaEntry, root: number): void {
  db.prepare('INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)').run(
    type,
    name,
    table,
    root,
    sql,
  )
}

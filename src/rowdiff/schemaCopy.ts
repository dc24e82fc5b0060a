/**
 * Makes an empty database with the schema of another.
 *
 * The CREATE statements are not run: they may name functions and collations of an application, or
 * be of a kind that today's SQLite only takes when it reads a schema (a string in double quotes).
 * They are put into sqlite_schema as they are, each with an empty b-tree of its own
 * (https://sqlite.org/schematab.html).
 */
import Database from 'better-sqlite3'
import type { TextEncoding } from '../sqlite/databaseHeader.ts'
import { foldName } from '../sqlite/sqlText.ts'

/** A row of sqlite_schema; `root` is 0 where there is no b-tree. */
export interface SchemaEntry {
  readonly type: string
  readonly name: string
  readonly table: string
  readonly root: number
  readonly sql: string | null
}

/** Small pages: most such databases have many tables and few rows. */
const PAGE_BYTES = 1024
/** Tables or indexes. */
const CREATED_AT_ONCE = 500
/** SQLite's own tables are left out, but for the one that AUTOINCREMENT cannot do without. */
const SEQUENCE = 'sqlite_sequence'

/** The tables and indexes of `entries`, empty, in the new file `path`. Throws what SQLite does. */
export function createSchema(
  path: string,
  entries: readonly SchemaEntry[],
  encoding: TextEncoding,
): void {
  const stored = entries.filter((entry) => entry.root > 0 && isCopied(entry))
  const keyed = namesWithoutRowid(stored)
  const isIndex = ({ type, name }: SchemaEntry) => type === 'index' || keyed.has(name)
  withDatabase(path, (db) => {
    db.pragma(`page_size = ${PAGE_BYTES}`)
    db.pragma(`encoding = '${encoding}'`)
    // Room can be given back without VACUUM, which would number the rows of some tables anew.
    db.pragma('auto_vacuum = INCREMENTAL')
    inOneGo(db, () => {
      const indexes = stored.filter(isIndex).length
      const roots = allocate(db, stored.length - indexes, indexes)
      for (const entry of stored)
        insert(db, entry, roots[isIndex(entry) ? 'index' : 'table'].pop() ?? 0)
    })
  })
}

/**
 * The tables that are kept as an index is:
 * https://sqlite.org/fileformat2.html#representation_of_without_rowid_tables.
 */
function namesWithoutRowid(entries: readonly SchemaEntry[]): ReadonlySet<string> {
  let names: string[] = []
  withDatabase(':memory:', (db) => {
    const { table } = allocate(db, 1, 0)
    for (const entry of entries) if (entry.type === 'table') insert(db, entry, table[0])
    // Reads the schema again.
    db.pragma('writable_schema = RESET')
    names = db
      .prepare<[], string>("SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr = 1")
      .pluck()
      .all()
  })
  return new Set(names)
}

/**
 * Adds what has no b-tree: views, triggers, virtual tables. Nothing may be written to the database
 * afterwards.
 */
export function completeSchema(path: string, entries: readonly SchemaEntry[]): void {
  withDatabase(path, (db) =>
    inOneGo(db, () => {
      for (const entry of entries) if (entry.root === 0 && isCopied(entry)) insert(db, entry, 0)
    }),
  )
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
    write(db)
  } finally {
    db.close()
  }
}

function inOneGo(db: Database.Database, write: () => void): void {
  db.transaction(write).immediate()
}

/**
 * Root pages of so many new empty b-trees; the schema is empty afterwards. It never has many: each
 * CREATE goes through all of it.
 */
function allocate(
  db: Database.Database,
  tables: number,
  indexes: number,
): { readonly table: number[]; readonly index: number[] } {
  const roots: { readonly table: number[]; readonly index: number[] } = { table: [], index: [] }
  const rootsOf = db
    .prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE type = ?')
    .pluck()
  const create = (type: 'table' | 'index', count: number, sqlOf: (i: number) => string) => {
    for (let left = count; left > 0; left -= CREATED_AT_ONCE) {
      // An index needs a table, whose page stays unused.
      if (type === 'index') db.exec('CREATE TABLE t (x)')
      for (let i = 0; i < Math.min(left, CREATED_AT_ONCE); i++) db.exec(sqlOf(i))
      roots[type].push(...rootsOf.all(type))
      db.exec('DELETE FROM sqlite_schema')
      // Reads the schema again.
      db.pragma('writable_schema = RESET')
      db.pragma('writable_schema = ON')
    }
  }
  create('table', tables, (i) => `CREATE TABLE t${i} (x)`)
  create('index', indexes, (i) => `CREATE INDEX i${i} ON t (x)`)
  return roots
}

function insert(
  db: Database.Database,
  { type, name, table, sql }: SchemaEntry,
  root: number,
): void {
  db.prepare(
    'INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)',
  ).run(type, name, table, root, sql)
}

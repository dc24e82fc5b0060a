/** What matters of a table for comparing its rows: its columns, and what tells rows apart. */
import type Database from 'better-sqlite3'
import { foldName, quoteName } from '../sqlite/sqlText.ts'
import type { Side } from './databasePair.ts'

/** Column affinity (https://sqlite.org/datatype3.html#determination_of_column_affinity). */
export type Affinity = 'INTEGER' | 'TEXT' | 'BLOB' | 'REAL' | 'NUMERIC'

export interface KeyColumn {
  readonly name: string
  /** The collation, in capitals, of the index that keeps the key unique. */
  readonly collation: string
  readonly affinity: Affinity
  /** Whether a row may have NULL here, as ordinary tables allow in a primary key. */
  readonly mayBeNull: boolean
  /** Whether it is the rowid under its own or another name, always an integer. */
  readonly isRowid: boolean
}

export interface TableShape {
  readonly name: string
  readonly kind: 'table' | 'virtual' | 'shadow'
  readonly withoutRowid: boolean
  /** Stored columns in the order of the table; generated columns are not among them. */
  readonly columns: readonly string[]
  /** The declared PRIMARY KEY, empty when there is none. */
  readonly primaryKey: readonly KeyColumn[]
  /** The names of the rowid that no column takes, empty for WITHOUT ROWID. */
  readonly rowidNames: readonly string[]
}

interface ListRow {
  readonly name: string
  readonly type: TableShape['kind'] | 'view'
  readonly wr: number
  readonly strict: number
}

interface ColumnRow {
  readonly name: string
  readonly type: string
  readonly notnull: number
  /** Place in the primary key from 1, 0 for none. */
  readonly pk: number
  /** 0 for a stored column; 1 hidden, 2 and 3 generated. */
  readonly hidden: number
}

/** The tables of one database by folded name, without those of SQLite itself. */
export function readShapes(db: Database.Database, side: Side): Map<string, TableShape> {
  const tables = db
    .prepare<[string], ListRow>(
      'SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = ? ORDER BY name',
    )
    .all(side)
    .filter(({ name, type }) => type !== 'view' && !foldName(name).startsWith('sqlite_'))
  return new Map(tables.map((table) => [foldName(table.name), readShape(db, side, table)]))
}

function readShape(db: Database.Database, side: Side, table: ListRow): TableShape {
  const { name, type, wr } = table
  // Only its module knows the columns of a virtual table, and that may be missing here. Its rows
  // are not read.
  const all =
    type === 'virtual'
      ? []
      : (db.pragma(`${side}.table_xinfo(${quoteName(name)})`) as readonly ColumnRow[])
  const taken = new Set(all.map((column) => foldName(column.name)))
  return {
    name,
    kind: type === 'view' ? 'table' : type,
    withoutRowid: wr === 1,
    columns: all.filter(({ hidden }) => hidden === 0).map((column) => column.name),
    primaryKey: readKey(db, side, table, all),
    rowidNames: wr === 1 ? [] : ['rowid', '_rowid_', 'oid'].filter((alias) => !taken.has(alias)),
  }
}

function readKey(
  db: Database.Database,
  side: Side,
  { name, wr, strict }: ListRow,
  columns: readonly ColumnRow[],
): KeyColumn[] {
  const collations = keyCollations(db, side, name)
  return columns
    .filter(({ pk }) => pk > 0)
    .sort((a, b) => a.pk - b.pk)
    .map((column) => ({
      name: column.name,
      collation: collations?.get(foldName(column.name)) ?? 'BINARY',
      affinity: affinityOf(column.type, strict === 1),
      // Without an index of its own the key is the rowid.
      isRowid: collations === undefined,
      mayBeNull: wr === 0 && collations !== undefined && column.notnull === 0,
    }))
}

/**
 * The collation of each key column in the index of the primary key; undefined when no index keeps
 * it.
 */
function keyCollations(
  db: Database.Database,
  side: Side,
  table: string,
): Map<string, string> | undefined {
  const indexes = db.pragma(`${side}.index_list(${quoteName(table)})`) as readonly {
    readonly name: string
    readonly origin: string
  }[]
  const index = indexes.find(({ origin }) => origin === 'pk')
  if (!index) return undefined
  const columns = db.pragma(`${side}.index_xinfo(${quoteName(index.name)})`) as readonly {
    readonly name: string | null
    readonly coll: string
    readonly key: number
  }[]
  return new Map(
    columns
      .filter(({ key }) => key === 1)
      .map(({ name, coll }) => [foldName(name ?? ''), coll.toUpperCase()] as const),
  )
}

function affinityOf(type: string, isStrict: boolean): Affinity {
  const name = type.toUpperCase()
  if (name.includes('INT')) return 'INTEGER'
  if (/CHAR|CLOB|TEXT/.test(name)) return 'TEXT'
  if (name === '' || name.includes('BLOB') || (isStrict && name === 'ANY')) return 'BLOB'
  if (/REAL|FLOA|DOUB/.test(name)) return 'REAL'
  return 'NUMERIC'
}

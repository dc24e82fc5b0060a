/** Decides which tables of two databases are compared, column by column, and by which key. */
import type Database from 'better-sqlite3'
import { foldName, quoteName } from '../sqlite/sqlText.ts'
import { AFTER, BEFORE, type Side } from './databasePair.ts'
import type { KeyColumn, TableShape } from './tableShape.ts'

/** Collations that every SQLite has. Others are functions of an application, unknown here. */
const BUILT_IN = new Set(['BINARY', 'NOCASE', 'RTRIM'])
/**
 * SQLITE_MAX_COLUMN of better-sqlite3's library is 2000, and a changed row is read with both its
 * states.
 */
const MAX_FIELDS = 1000

/** Two tables, or one that only one database has. */
export interface TableMatch {
  readonly table: string
  /** Its name in each database, undefined where it does not exist. */
  readonly names: Readonly<Record<Side, string | undefined>>
  readonly matchedBy: 'primary key' | 'rowid'
  /**
   * What is read of a row: the rowid first when rows are matched by it, then each column that both
   * tables have.
   */
  readonly fields: readonly string[]
  readonly key: readonly KeyColumn[]
  /** The places of the key's columns in `fields`. */
  readonly keyAt: readonly number[]
  readonly columnsOnlyBefore: readonly string[]
  readonly columnsOnlyAfter: readonly string[]
  /** It belongs to a virtual table, which alone may write to it. */
  readonly isShadow: boolean
}

export interface SkippedTable {
  readonly table: string
  readonly reason: string
  /**
   * Whether the first database has rows of it that should have been compared; only in a comparison
   * that is one-sided.
   */
  readonly hasRows?: boolean
}

export interface MatchOptions {
  /**
   * Only the rows of the first database are looked at, and the second is not searched: its rows
   * whose key has a NULL equal none.
   */
  readonly isOneSided?: boolean
}

/** One of the two is undefined when the table is missing on that side. */
export function matchTables(
  db: Database.Database,
  before: TableShape | undefined,
  after: TableShape | undefined,
  options: MatchOptions = {},
): TableMatch | SkippedTable {
  const shapes = [before, after].filter((shape) => shape !== undefined)
  const [first] = shapes
  const hasRows = () => before !== undefined && before.kind !== 'virtual' && isFilled(db, before)
  const skipped = (reason: string): SkippedTable => ({
    table: first.name,
    reason,
    ...(options.isOneSided ? { hasRows: hasRows() } : {}),
  })
  if (shapes.some(({ kind }) => kind === 'virtual')) return skipped('it is a virtual table')
  const found = findKey(db, before, after, options)
  if (typeof found === 'string') return skipped(found)
  const rowid = found.matchedBy === 'rowid' ? found.key.map(({ name }) => name) : []
  const fields = [
    ...rowid,
    ...first.columns.filter((name) => shapes.every((shape) => has(shape, name))),
  ]
  if (fields.length > MAX_FIELDS) return skipped(`it has more than ${MAX_FIELDS} columns`)
  const places = new Map(fields.map((name, at) => [foldName(name), at]))
  return {
    table: first.name,
    names: { [BEFORE]: before?.name, [AFTER]: after?.name },
    ...found,
    fields,
    keyAt: found.key.map(({ name }) => places.get(foldName(name)) ?? 0),
    columnsOnlyBefore: before && after ? before.columns.filter((name) => !has(after, name)) : [],
    columnsOnlyAfter: before && after ? after.columns.filter((name) => !has(before, name)) : [],
    isShadow: shapes.some(({ kind }) => kind === 'shadow'),
  }
}

function has(shape: TableShape, name: string): boolean {
  return shape.columns.some((column) => foldName(column) === foldName(name))
}

/** The key by which rows are matched, or the reason why there is none. */
function findKey(
  db: Database.Database,
  before: TableShape | undefined,
  after: TableShape | undefined,
  options: MatchOptions,
): Pick<TableMatch, 'key' | 'matchedBy'> | string {
  const shapes = [before, after].filter((shape) => shape !== undefined)
  const objection = objectionToKey(db, before, after, options)
  if (objection === undefined) return { key: sharedKey(shapes), matchedBy: 'primary key' }
  if (shapes.some(({ withoutRowid }) => withoutRowid)) return `${objection} and no rowid`
  const name = shapes[0].rowidNames.find((alias) =>
    shapes.every((shape) => shape.rowidNames.includes(alias)),
  )
  if (name === undefined) return `${objection}, and columns take every name of the rowid`
  const rowid: KeyColumn = {
    name,
    collation: 'BINARY',
    affinity: 'INTEGER',
    mayBeNull: false,
    isRowid: true,
  }
  return { key: [rowid], matchedBy: 'rowid' }
}

function sharedKey(shapes: readonly TableShape[]): KeyColumn[] {
  const isRowid = shapes.every(({ primaryKey }) => primaryKey[0].isRowid)
  return shapes[0].primaryKey.map((column) => ({ ...column, isRowid }))
}

/** Why the primary key cannot match rows, undefined when it can. */
function objectionToKey(
  db: Database.Database,
  before: TableShape | undefined,
  after: TableShape | undefined,
  { isOneSided }: MatchOptions,
): string | undefined {
  const shapes = [before, after].filter((shape) => shape !== undefined)
  if (shapes.some(({ primaryKey }) => primaryKey.length === 0)) return 'it has no primary key'
  if (before && after && signature(before) !== signature(after))
    return 'it has no primary key in common'
  if (shapes[0].primaryKey.some(({ collation }) => !BUILT_IN.has(collation)))
    return 'it has no primary key of a built-in collation'
  const holdsNull =
    (before && hasNullKey(db, BEFORE, before)) ||
    (!isOneSided && after && hasNullKey(db, AFTER, after))
  return holdsNull ? 'it has no primary key free of NULL' : undefined
}

/**
 * Equal for two keys under which the same rows are the same, and which an index of either table can
 * look up.
 */
function signature({ primaryKey }: TableShape): string {
  const columns = primaryKey.map(({ name, collation, affinity }) => [
    foldName(name),
    collation,
    affinity,
  ])
  return JSON.stringify(columns.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function hasNullKey(db: Database.Database, side: Side, { name, primaryKey }: TableShape): boolean {
  const nullable = primaryKey.filter(({ mayBeNull }) => mayBeNull)
  if (nullable.length === 0) return false
  const condition = nullable.map((column) => `${quoteName(column.name)} IS NULL`).join(' OR ')
  const sql = `SELECT EXISTS (SELECT 1 FROM ${side}.${quoteName(name)} WHERE ${condition})`
  return db.prepare<[], number>(sql).pluck().get() === 1
}

function isFilled(db: Database.Database, { name }: TableShape): boolean {
  const sql = `SELECT EXISTS (SELECT 1 FROM ${BEFORE}.${quoteName(name)} NOT INDEXED)`
  return db.prepare<[], number>(sql).pluck().get() === 1
}

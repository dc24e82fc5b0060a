/**
 * Compares two databases row by row. Memory is bounded by one row and the schema, not by the size
 * of the tables.
 */
import { WalcastError } from '../errors.ts'
import { createStatement } from '../sqlite/createStatement.ts'
import type { TextEncoding } from '../sqlite/databaseHeader.ts'
import { foldName } from '../sqlite/sqlText.ts'
import { ComparedRows, type OnRows } from './comparedRows.ts'
import { AFTER, BEFORE, DatabasePair } from './databasePair.ts'
import { type KeyParameters, keyParameters, objectionToKeyText } from './rowKeys.ts'
import { foundKeysQuery, type RowKind, rowQuery } from './rowQueries.ts'
import { type Decode, decoderOf, type RawValue, type SqlValue } from './rowValues.ts'
import { compareSchemas, readSchemas, type Schema, type SchemaDifference } from './schemaDiff.ts'
import { matchTables, type SkippedTable, type TableMatch } from './tableMatch.ts'
import { readShapes } from './tableShape.ts'

export interface DiffOptions {
  /** Compares only these tables, named without regard to case; all when left out or empty. */
  readonly tables?: readonly string[]
  /**
   * Compares only rows with one of these keys; all when left out or empty. A key is its value as
   * text, a blob in hexadecimal (00ff, 0x00ff or x'00ff'), the values of several columns joined by
   * commas.
   */
  readonly keys?: readonly string[]
  /** The largest number of rows to give of one table; the others are counted. */
  readonly limit?: number
  /** The order of the kinds within a table. */
  readonly order?: readonly RowKind[]
  /**
   * Leaves out rows that only the second database has: the work is then in proportion to the first
   * database.
   */
  readonly isOneSided?: boolean
  /** Hears how many rows were compared; not with `keys`. To count them reads the tables once. */
  readonly onRows?: OnRows
}

export type Counts = Readonly<Record<RowKind, number>>

/** A row in the fields of its `match`. */
export interface RowDifference {
  readonly type: 'row'
  readonly match: TableMatch
  readonly kind: RowKind
  readonly before: readonly SqlValue[] | null
  readonly after: readonly SqlValue[] | null
}

export interface ComparedTable {
  readonly match: TableMatch
  readonly counts: Counts
}

export type Difference =
  | { readonly type: 'begin'; readonly encoding: TextEncoding }
  | { readonly type: 'schema'; readonly difference: SchemaDifference }
  /** Comes before the rows of a table. */
  | {
      readonly type: 'table'
      readonly match: TableMatch
      /**
       * The CREATE statement of a table that only the first database has, if the second can have it
       * too.
       */
      readonly create: string | undefined
      /** Triggers that the table has in the second database. */
      readonly triggers: readonly string[]
      /**
       * The table itself decides about rows in conflict: ON CONFLICT REPLACE deletes other rows.
       */
      readonly resolvesConflicts: boolean
    }
  | RowDifference
  /** Comes after the rows of a table. */
  | ({ readonly type: 'counts' } & ComparedTable)
  | ({ readonly type: 'skipped' } & SkippedTable)
  | {
      readonly type: 'summary'
      readonly tables: readonly ComparedTable[]
      readonly skipped: readonly SkippedTable[]
      readonly schemaDifferences: number
      /** Those of `keys` that name no row of either database. */
      readonly missingKeys: readonly string[]
    }

interface Comparison {
  readonly pair: DatabasePair
  /** Of the function that counts the rows that are scanned. */
  readonly counter: string | undefined
  readonly options: DiffOptions
  readonly decode: Decode
  readonly before: Schema
  readonly after: Schema
}

/**
 * The differences from the database at path `before` to that at path `after`, both held at one
 * snapshot from the first step of the generator to its end; a caller that stops early must end it
 * (`return`, as `for...of` does by itself). Schema first, then table by table, then the summary.
 * Tables named `sqlite_...` are left out.
 *
 * Throws DB_MISSING, DB_NOT_SQLITE, DB_UNREADABLE, DB_CORRUPT, DB_LOCKED, ENCODINGS_DIFFER, and
 * BAD_REQUEST for a table that neither database has, and for a key with fewer values than the keys
 * of the tables that were named.
 */
export function* diffDatabases(
  before: string,
  after: string,
  options: DiffOptions = {},
): Generator<Difference, void, void> {
  const pair = new DatabasePair(before, after)
  try {
    const schemas = readSchemas(pair.db)
    yield { type: 'begin', encoding: pair.encoding }
    const decode = decoderOf(pair.encoding)
    const [before, after] = [schemas[BEFORE], schemas[AFTER]]
    yield* compare({ pair, counter: undefined, options, decode, before, after })
  } catch (error) {
    throw pair.errorOf(error)
  } finally {
    pair.close()
  }
}

function* compare(comparison: Comparison): Generator<Difference, void, void> {
  const { before, after, options, pair } = comparison
  const isChosen = choice(options.tables ?? [])
  const differences = compareSchemas(before, after).filter(({ table }) => isChosen(table))
  for (const difference of differences) yield { type: 'schema', difference }
  const matches = matchAll(pair, isChosen, options)
  requireAll(options.tables ?? [], matches)
  requireFitting(options, matches)
  const tables: ComparedTable[] = []
  const skipped: SkippedTable[] = []
  const counter = counterOf(comparison, matches)
  for (const match of matches) {
    if ('reason' in match) {
      skipped.push(match)
      yield { type: 'skipped', ...match }
    } else {
      tables.push({ match, counts: yield* compareTable({ ...comparison, counter }, match) })
    }
  }
  const missingKeys = findMissing(comparison, tables)
  yield { type: 'summary', tables, skipped, schemaDifferences: differences.length, missingKeys }
}

function choice(tables: readonly string[]): (name: string) => boolean {
  const chosen = new Set(tables.map(foldName))
  return (name) => chosen.size === 0 || chosen.has(foldName(name))
}

function matchAll(
  { db }: DatabasePair,
  isChosen: (name: string) => boolean,
  options: DiffOptions,
): (TableMatch | SkippedTable)[] {
  const before = readShapes(db, BEFORE)
  const after = readShapes(db, AFTER)
  const names = [...new Set([...before.keys(), ...after.keys()])].filter(isChosen).sort()
  return names.map((name) => matchTables(db, before.get(name), after.get(name), options))
}

function requireAll(
  tables: readonly string[],
  matches: readonly (TableMatch | SkippedTable)[],
): void {
  const known = new Set(matches.map(({ table }) => foldName(table)))
  const missing = tables.find((name) => !known.has(foldName(name)))
  if (missing !== undefined)
    throw new WalcastError('BAD_REQUEST', {
      detail: `neither database has a table "${missing}" to compare`,
    })
}

/** Checks the tables that were named: a key of too few values is most likely a slip. */
function requireFitting(
  { tables = [], keys = [] }: DiffOptions,
  matches: readonly (TableMatch | SkippedTable)[],
): void {
  const found = matches.flatMap((match) => ('reason' in match ? [] : [match]))
  if (tables.length === 0 || found.length === 0) return
  for (const key of keys) {
    const objections = found.map((match) => objectionToKeyText(key, match.key))
    const [first] = objections
    if (first !== undefined && objections.every(Boolean))
      throw new WalcastError('BAD_REQUEST', { detail: `table ${found[0].table}: ${first}` })
  }
}

/**
 * Keys that name a row of neither database. A row that both have alike counts as found, though it
 * is no difference.
 */
function findMissing(
  { pair: { db }, options: { keys = [] } }: Comparison,
  tables: readonly ComparedTable[],
): string[] {
  const missing = new Set(keys)
  for (const { match } of tables)
    for (const side of [BEFORE, AFTER] as const) {
      const name = match.names[side]
      if (missing.size === 0 || name === undefined) continue
      const left = [...missing]
      const sql = foundKeysQuery(match, side, name)
      const places = db
        .prepare<[KeyParameters], number>(sql)
        .pluck()
        .all(keyParameters(left, match.key.length))
      for (const place of places) missing.delete(left[place])
    }
  return [...missing]
}

function* compareTable(
  comparison: Comparison,
  match: TableMatch,
): Generator<Difference, Counts, void> {
  const { options } = comparison
  const triggers = [...comparison.after.values()]
    .filter(({ type, table }) => type === 'trigger' && foldName(table) === foldName(match.table))
    .map(({ name }) => name)
  const create = creation(comparison, match)
  const sql = create ?? comparison.after.get(`table ${foldName(match.table)}`)?.sql ?? ''
  yield { type: 'table', match, create, triggers, resolvesConflicts: /conflict/i.test(sql) }
  const counts = { removed: 0, added: 0, changed: 0 }
  let left = options.limit ?? Infinity
  for (const kind of kindsOf(options)) {
    for (const raw of rawRows(comparison, match, kind)) {
      counts[kind]++
      if (left-- > 0) yield rowOf(comparison, match, kind, raw)
    }
  }
  yield { type: 'counts', match, counts }
  return counts
}

function kindsOf({ order = ['removed', 'changed', 'added'], isOneSided }: DiffOptions): RowKind[] {
  return order.filter((kind) => kind !== 'added' || !isOneSided)
}

function counterOf(
  { pair, options }: Comparison,
  matches: readonly (TableMatch | SkippedTable)[],
): string | undefined {
  const { onRows, keys = [] } = options
  if (!onRows || keys.length > 0) return undefined
  const rows = new ComparedRows(pair.db, onRows)
  rows.begin(
    matches.flatMap((match) => ('reason' in match ? [] : [match])),
    kindsOf(options),
  )
  return rows.define('walcast_compared')
}

function creation(
  { before, after }: Comparison,
  { names, isShadow }: TableMatch,
): string | undefined {
  const name = names[BEFORE]
  if (name === undefined || names[AFTER] !== undefined || isShadow) return undefined
  const isTaken = ['index', 'view'].some((type) => after.has(`${type} ${foldName(name)}`))
  const sql = isTaken ? undefined : before.get(`table ${foldName(name)}`)?.sql
  return sql === undefined ? undefined : createStatement(sql, name)
}

function rawRows(
  { pair, options, counter }: Comparison,
  match: TableMatch,
  kind: RowKind,
): Iterable<readonly RawValue[]> {
  const keys = options.keys ?? []
  const sql = rowQuery(match, kind, { byKey: keys.length > 0, counter })
  if (sql === undefined) return []
  const statement = pair.db.prepare<unknown[], readonly RawValue[]>(sql).raw().safeIntegers()
  return keys.length > 0
    ? statement.iterate(keyParameters(keys, match.key.length))
    : statement.iterate()
}

function rowOf(
  { decode }: Comparison,
  match: TableMatch,
  kind: RowKind,
  raw: readonly RawValue[],
): RowDifference {
  const width = match.fields.length
  const first = raw.slice(0, width).map(decode)
  if (kind === 'removed') return { type: 'row', match, kind, before: first, after: null }
  if (kind === 'added') return { type: 'row', match, kind, before: null, after: first }
  return { type: 'row', match, kind, before: first, after: raw.slice(width).map(decode) }
}

/** The values of a row's key: as they were before, or as they are of a row that is new. */
export function keyValues({ match, before, after }: RowDifference): SqlValue[] {
  const row = before ?? after ?? []
  return match.keyAt.map((at) => row[at])
}

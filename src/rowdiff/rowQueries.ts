/**
 * The queries that find rows which differ. Each scans one table and looks up keys in the other:
 * SQLite keeps a cursor and a row, however large the tables are.
 */

import { anyOf, quoteName } from '../sqlite/sqlText.ts'
import { AFTER, BEFORE, type Side } from './databasePair.ts'
import { rawExpression } from './rowValues.ts'
import type { TableMatch } from './tableMatch.ts'

export type RowKind = 'removed' | 'added' | 'changed'

/**
 * Rows of one kind: the fields of the only row for `removed` and `added`, those before and then
 * those after for `changed`; all as RawValue. With `byKey` the query takes `KeyParameters`.
 * Undefined when there can be no such rows. `counter`: the name of a function that is true and is
 * called once for every row that is scanned.
 */
export function rowQuery(
  match: TableMatch,
  kind: RowKind,
  { byKey = false, counter }: RowQueryOptions = {},
): string | undefined {
  const conditions = counter === undefined ? [] : [`${counter}(a.${quoteName(match.key[0].name)})`]
  if (kind === 'changed') return changedQuery(match, byKey, conditions)
  if (byKey) conditions.push(keyCondition(match, 'a'))
  return oneSidedQuery(match, scannedSide(kind), conditions)
}

export interface RowQueryOptions {
  readonly byKey?: boolean
  readonly counter?: string | undefined
}

/** The database whose rows are scanned. */
export function scannedSide(kind: RowKind): Side {
  return kind === 'added' ? AFTER : BEFORE
}

function oneSidedQuery(match: TableMatch, side: Side, conditions: string[]): string | undefined {
  const opposite = side === BEFORE ? AFTER : BEFORE
  const name = match.names[side]
  if (name === undefined) return undefined
  const other = match.names[opposite]
  let from = scan(side, name)
  if (other !== undefined) {
    from += ` LEFT JOIN ${opposite}.${quoteName(other)} AS b ON ${sameKey(match)}`
    conditions.push(`b.${quoteName(match.key[0].name)} IS NULL`)
  }
  return `SELECT ${values(match, 'a')} FROM ${from}${where(conditions)}`
}

function changedQuery(
  match: TableMatch,
  byKey: boolean,
  counted: readonly string[],
): string | undefined {
  const before = match.names[BEFORE]
  const after = match.names[AFTER]
  const differs = anyOf(match.fields.map(differing))
  if (before === undefined || after === undefined || differs === '') return undefined
  const conditions = [...counted, differs]
  // Two keys may be equal to the key's collation and differ in bytes: either one names the row.
  if (byKey) conditions.push(`(${keyCondition(match, 'a')} OR ${keyCondition(match, 'b')})`)
  const from = joined(match, before, after)
  return `SELECT ${values(match, 'a')}, ${values(match, 'b')} FROM ${from}${where(conditions)}`
}

/**
 * The fields `names` of each row of the first table that the second has unchanged. Both have the
 * table.
 */
export function equalQuery(match: TableMatch, names: readonly string[]): string {
  const { names: tables, fields } = match
  const list = names.map((name) => rawExpression(`a.${quoteName(name)}`)).join(', ')
  const from = joined(match, tables[BEFORE] ?? '', tables[AFTER] ?? '')
  return `SELECT ${list} FROM ${from} WHERE NOT (${anyOf(fields.map(differing))})`
}

/** CROSS JOIN keeps the order of the loops: a scan of the first, look-ups in the second. */
function joined(match: TableMatch, before: string, after: string): string {
  return `${scan(BEFORE, before)} CROSS JOIN ${AFTER}.${quoteName(after)} AS b ON ${sameKey(match)}`
}

/**
 * Rows come in the order of the table itself: an index could have a collation that only the
 * application knows.
 */
function scan(side: Side, name: string): string {
  return `${side}.${quoteName(name)} AS a NOT INDEXED`
}

function values({ fields }: TableMatch, alias: string): string {
  return fields.map((name) => rawExpression(`${alias}.${quoteName(name)}`)).join(', ')
}

/** Uses the collation of the key's index, so that the index answers. */
function sameKey({ key }: TableMatch): string {
  return key
    .map(
      ({ name, collation }) => `b.${quoteName(name)} COLLATE ${collation} = a.${quoteName(name)}`,
    )
    .join(' AND ')
}

/**
 * Whether two values differ in bytes or in type. The unary plus takes the affinity off, so that
 * SQLite converts neither.
 */
function differing(name: string): string {
  const a = `a.${quoteName(name)}`
  const b = `b.${quoteName(name)}`
  return `((+${a}) COLLATE BINARY IS NOT (+${b}) OR typeof(${a}) <> typeof(${b}))`
}

/** The places, in KeyParameters, of the keys that name a row of the table `name`. */
export function foundKeysQuery(match: TableMatch, side: Side, name: string): string {
  const columns = columnsOf(match, 'a')
  const isNamed = match.key[0].isRowid
    ? `${columns[0]} = CAST(k.value AS INTEGER) AND ${isInteger('k.value')}`
    : `${joinedText(columns)} = k.value OR (${namesBlob(columns)})`
  return `SELECT k.key FROM json_each(@keys) AS k JOIN json_each(@parts) AS p ON p.key = k.key
    WHERE EXISTS (SELECT 1 FROM ${scan(side, name)} WHERE ${isNamed})`
}

/** Whether the row `alias` is one that the KeyParameters name. */
function keyCondition(match: TableMatch, alias: string): string {
  const columns = columnsOf(match, alias)
  // An integer key is looked up.
  if (match.key[0].isRowid)
    return `${columns[0]} IN
      (SELECT CAST(value AS INTEGER) FROM json_each(@keys) WHERE ${isInteger('value')})`
  const isText = `${joinedText(columns)} IN (SELECT value FROM json_each(@keys))`
  const isBlob = anyOf(columns.map((column) => `typeof(${column}) = 'blob'`))
  const isNamed = `EXISTS (SELECT 1 FROM json_each(@parts) AS p WHERE ${namesBlob(columns)})`
  return `(${isText} OR ((${isBlob}) AND ${isNamed}))`
}

/** Whether a text is an integer as SQLite writes it. */
function isInteger(text: string): string {
  return `${text} = CAST(CAST(${text} AS INTEGER) AS TEXT)`
}

function columnsOf({ key }: TableMatch, alias: string): string[] {
  return key.map(({ name }) => `${alias}.${quoteName(name)}`)
}

/** A key as text: a blob in lower-case hexadecimal, several columns joined by commas. */
function joinedText(columns: readonly string[]): string {
  const texts = columns.map(
    (column) =>
      `CASE typeof(${column}) WHEN 'blob' THEN lower(hex(${column}))
        ELSE CAST(${column} AS TEXT) END`,
  )
  return `${texts.join(` || ',' || `)} COLLATE BINARY`
}

/** Whether the key `p` of `parts` names these columns one by one. */
function namesBlob(columns: readonly string[]): string {
  return columns
    .map((column, at) => {
      const [text, hex] = [0, 1].map((which) => `json_extract(p.value, '$[${at}][${which}]')`)
      return `CASE typeof(${column}) WHEN 'blob' THEN hex(${column}) = ${hex}
        ELSE CAST(${column} AS TEXT) COLLATE BINARY = ${text} END`
    })
    .join(' AND ')
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

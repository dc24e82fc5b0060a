/**
 * The queries that find rows which differ. Each is one scan of a table with a look-up by key in the other: SQLite keeps
 * a cursor and a row, whatever the size of the tables.
 */
import { AFTER, BEFORE, type Side } from './databasePair.ts'
import { rawExpression } from './rowValues.ts'
import { anyOf, quoteName } from './sqlText.ts'
import type { TableMatch } from './tableMatch.ts'

export type RowKind = 'removed' | 'added' | 'changed'

/**
 * Rows of one kind: the fields of the only row for `removed` and `added`, those before and then those after for
 * `changed`; all as RawValue. With `byKey` the query takes the parameter `keys`: a JSON array of key texts. Undefined when
 * there can be no such rows.
 */
export function rowQuery(match: TableMatch, kind: RowKind, byKey: boolean): string | undefined {
  if (kind === 'changed') return changedQuery(match, byKey)
  const [side, opposite]: [Side, Side] = kind === 'removed' ? [BEFORE, AFTER] : [AFTER, BEFORE]
  const name = match.names[side]
  return name === undefined ? undefined : oneSidedQuery(match, { side, opposite, byKey }, name)
}

interface OneSided {
  readonly side: Side
  readonly opposite: Side
  readonly byKey: boolean
}

function oneSidedQuery(match: TableMatch, { side, opposite, byKey }: OneSided, name: string): string {
  const other = match.names[opposite]
  const conditions = byKey ? [keyCondition(match, 'a')] : []
  let from = scan(side, name)
  if (other !== undefined) {
    from += ` LEFT JOIN ${opposite}.${quoteName(other)} AS b ON ${sameKey(match)}`
    conditions.push(`b.${quoteName(match.key[0].name)} IS NULL`)
  }
  return `SELECT ${values(match, 'a')} FROM ${from}${where(conditions)}`
}

function changedQuery(match: TableMatch, byKey: boolean): string | undefined {
  const before = match.names[BEFORE]
  const after = match.names[AFTER]
  const differs = anyOf(match.fields.map(differing))
  if (before === undefined || after === undefined || differs === '') return undefined
  const conditions = [differs]
  // Two keys may be the same to the key's collation and read differently: either names the row.
  if (byKey) conditions.push(`(${keyCondition(match, 'a')} OR ${keyCondition(match, 'b')})`)
  return `SELECT ${values(match, 'a')}, ${values(match, 'b')} FROM ${joined(match, before, after)}${where(conditions)}`
}

/** The fields `names` of each row of the first table that is in the second as it is. Both have the table. */
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

/** In the order of the table itself; an index could have a collation that only the application knows. */
function scan(side: Side, name: string): string {
  return `${side}.${quoteName(name)} AS a NOT INDEXED`
}

function values({ fields }: TableMatch, alias: string): string {
  return fields.map((name) => rawExpression(`${alias}.${quoteName(name)}`)).join(', ')
}

/** The collation is that of the key's index, so that the index answers. */
function sameKey({ key }: TableMatch): string {
  return key
    .map(({ name, collation }) => `b.${quoteName(name)} COLLATE ${collation} = a.${quoteName(name)}`)
    .join(' AND ')
}

/** Unlike in bytes or in type. The unary plus takes the affinity off, so that neither value is converted. */
function differing(name: string): string {
  const a = `a.${quoteName(name)}`
  const b = `b.${quoteName(name)}`
  return `((+${a}) COLLATE BINARY IS NOT (+${b}) OR typeof(${a}) <> typeof(${b}))`
}

/** A key as text: a blob in lower-case hexadecimal, several columns joined by commas. */
function keyCondition({ key }: TableMatch, alias: string): string {
  const columns = key.map(({ name }) => `${alias}.${quoteName(name)}`)
  // An integer is looked up.
  if (key[0].isRowid)
    return `${columns[0]} IN (SELECT CAST(value AS INTEGER) FROM json_each(@keys) WHERE value = CAST(CAST(value AS INTEGER) AS TEXT))`
  const texts = columns.map(
    (name) => `CASE typeof(${name}) WHEN 'blob' THEN lower(hex(${name})) ELSE CAST(${name} AS TEXT) END`,
  )
  return `${texts.join(` || ',' || `)} COLLATE BINARY IN (SELECT value FROM json_each(@keys))`
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

/** Rows of a bundle put side by side, each value within a bound. Pure. */
import type { RowLine } from '../../rowdiff/rowJson.ts'
import type { JsonValue } from '../../rowdiff/rowValues.ts'
import type { ListedRow } from './keptList.ts'
import type { CellKind, HereState, KeptCell, KeptField, KeptRow } from './keptRow.ts'

/** Characters of a text, and hexadecimal digits of a blob. */
export const MAX_CELL_CHARS = 200
export const MAX_FIELDS = 100

/** A row as this node's database has it; `line` when it differs. */
export interface Here {
  readonly state: HereState
  readonly line?: RowLine
}

export function keptRow({ at, next, table, kind, line }: ListedRow, here: Here): KeptRow {
  const about = { row: at, table, kind, here: here.state, bytes: next - at }
  if (!line) return { ...about, fields: [], fieldsLeftOut: 0 }
  // The rowid by which rows are matched is a key and no column.
  const names = [...new Set([...Object.keys(line.key), ...Object.keys(line.before ?? {})])]
  const fields = names.slice(0, MAX_FIELDS).map((name) => field(name, line, here))
  return { ...about, fields, fieldsLeftOut: names.length - fields.length }
}

function field(name: string, { key, before: kept, after }: RowLine, here: Here): KeptField {
  const before = columnOf(name, kept, key)
  const there = after ? columnOf(name, after, key) : undefined
  const line = here.line?.after ? here.line : undefined
  const now = here.state === 'same' ? before : line && columnOf(name, line.after, line.key)
  return {
    name,
    isKey: Object.hasOwn(key, name),
    before: cell(before ?? null),
    here: now === undefined ? null : cell(now),
    there: there === undefined ? null : cell(there),
    isHereChanged: now !== undefined && !isSame(now, before),
    isThereChanged: there !== undefined && !isSame(there, before),
  }
}

/** Undefined for a column that the row does not have. */
function columnOf(
  name: string,
  values: RowLine['before'],
  key: RowLine['key'],
): JsonValue | undefined {
  if (values && Object.hasOwn(values, name)) return values[name]
  return Object.hasOwn(key, name) ? key[name] : undefined
}

function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** `value`: see `jsonValue` of rowValues.ts. */
export function cell(value: JsonValue): KeptCell {
  if (value === null) return { kind: 'null', text: '', size: 0, isCut: false }
  if (typeof value === 'number') return short(Number.isInteger(value) ? 'integer' : 'real', value)
  if (typeof value === 'string') return cut('text', value, value.length)
  const { integer, real, blob, text } = value
  if (blob !== undefined) return cut('blob', blob, blob.length / 2)
  if (text !== undefined) return cut('bytes', text, text.length / 2)
  return short(integer === undefined ? 'real' : 'integer', integer ?? real ?? '')
}

function short(kind: CellKind, value: number | string): KeptCell {
  const text = String(value)
  return { kind, text, size: text.length, isCut: false }
}

function cut(kind: CellKind, whole: string, size: number): KeptCell {
  const isCut = whole.length > MAX_CELL_CHARS
  // Half of a surrogate pair is no character.
  const text = isCut ? whole.slice(0, MAX_CELL_CHARS).replace(/[\uD800-\uDBFF]$/, '') : whole
  return { kind, text, size, isCut }
}

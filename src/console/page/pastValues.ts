/** Values of a query on the past, as cells of a table and of a CSV file. Pure. */
import type { PastRows, PastValue } from '../../api/past.ts'
import { csvLine, csvText } from '../../csv.ts'

/** Of a cell on the page; the files that are saved have all of it. */
const MAX_CELL_CHARS = 120
/** Of what a pointer shows of a cell. */
const MAX_MORE_CHARS = 2000

export interface Cell {
  readonly text: string
  /** More of the value, where the text is cut. */
  readonly more?: string
  readonly kind: 'null' | 'number' | 'text' | 'blob'
}

/** NULL is told apart from the text NULL by its kind. */
export function cellOf(value: PastValue): Cell {
  if (value === null) return { text: 'NULL', kind: 'null' }
  const kind = kindOf(value)
  const text = kind === 'blob' ? `x'${plainOf(value)}'` : plainOf(value)
  if (text.length <= MAX_CELL_CHARS) return { text, kind }
  return { text: cut(text, MAX_CELL_CHARS), more: cut(text, MAX_MORE_CHARS), kind }
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars)}…`
}

/** RFC 4180, as `walcast at --csv`: NULL is nothing, an empty text is quoted, a blob is in hex. */
export function csvOf({ columns, rows }: Pick<PastRows, 'columns' | 'rows'>): string {
  const lines = [columns.map(csvText), ...rows.map((row) => row.map(csvValue))]
  return lines.map(csvLine).join('')
}

function csvValue(value: PastValue): string {
  if (value === null) return ''
  return typeof value === 'string' ? csvText(value) : plainOf(value)
}

function kindOf(value: Exclude<PastValue, null>): Cell['kind'] {
  if (typeof value === 'string') return 'text'
  if (typeof value === 'number' || 'integer' in value || 'real' in value) return 'number'
  return 'blob'
}

/** What JSON cannot say as a number or a text has one field, by its type. */
function plainOf(value: Exclude<PastValue, null>): string {
  if (typeof value !== 'object') return String(value)
  return Object.values(value)[0] ?? ''
}

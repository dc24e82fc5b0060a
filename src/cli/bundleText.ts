/** Bundles of rows kept aside, and their rows, as text for people. */
import type { BundleInfo, BundlesAnswer } from '../api/bundles.ts'
import type { KeptCell, KeptField, KeptPage, KeptRow } from '../replica/diverged/keptRow.ts'
import { cutMiddle } from './displayWidth.ts'
import { formatBytes, shown } from './queryCommand.ts'
import { type Cell, table } from './table.ts'
import { type Look, timeText } from './terminalLook.ts'

const COLUMNS = [
  { heading: 'bundle', least: 24 },
  'when',
  'position',
  'rows',
  { heading: 'size', isNumber: true },
  'tables',
  'why',
]
const TABLES_SHOWN = 5

export function bundlesText({ node, bundles }: BundlesAnswer, look: Look): string {
  if (bundles.length === 0) return `node ${shown(node)} keeps no rows aside\n`
  const rows = bundles.map((bundle): Cell[] => [
    bundle.name,
    timeText(bundle.at, look),
    bundle.position,
    rowsText(bundle),
    formatBytes(bundle.bytes),
    tablesText(bundle),
    bundle.reason,
  ])
  return table(COLUMNS, rows, look)
}

/** How many rows it has, or why that is not known. */
export function rowsText({ rows, state, isComplete, detail, isComparing }: BundleInfo): string {
  if (isComparing) return 'being compared'
  if (!rows) return state === 'kept' ? 'not compared yet' : `not compared: ${detail ?? state}`
  const text = `${rows.removed} that the leader lacks, ${rows.changed} that differ there`
  return isComplete ? text : `${text}, and some that cannot be listed`
}

function tablesText({ tables, tablesLeftOut }: BundleInfo): string {
  const names = tables.slice(0, TABLES_SHOWN).map((each) => each.table)
  const more = tables.length + tablesLeftOut - names.length
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

const ROW_COLUMNS = ['row', 'table', 'column', 'before', 'here', 'there']

/** One line for each column, in which rows that both sides have show only what differs. */
export function pageText({ rows, next, detail }: KeptPage, look: Look): string {
  const lines = rows.flatMap((row) => {
    const fields = row.fields.filter((field) => isTold(row, field))
    if (fields.length === 0) return [[String(row.row), row.table, `${row.bytes} bytes`]]
    return fields.map((field) => fieldLine(row, field))
  })
  const notes = [
    ...(detail === null ? [] : [`this node's database could not be read: ${shown(detail)}\n`]),
    ...(next === null ? [] : [`more rows: --from ${next}\n`]),
  ]
  return (lines.length > 0 ? table(ROW_COLUMNS, lines, look) : 'no rows\n') + notes.join('')
}

function isTold({ kind }: KeptRow, { isKey, isHereChanged, isThereChanged }: KeptField): boolean {
  return isKey || kind === 'removed' || isHereChanged || isThereChanged
}

function fieldLine({ row, table: name, here }: KeptRow, field: KeptField): Cell[] {
  const column = field.isKey ? `${field.name} (key)` : field.name
  const now = field.here ? cellText(field.here) : here === 'unknown' ? '?' : '-'
  const there = field.there ? cellText(field.there) : '-'
  return [
    String(row),
    name,
    column,
    cellText(field.before),
    { text: now, mood: field.isHereChanged ? 'busy' : undefined },
    { text: there, mood: field.isThereChanged ? 'busy' : undefined },
  ]
}

const MAX_CELL = 40

/** A text in quotation marks: NULL is no text. */
function cellText({ kind, text, size, isCut }: KeptCell): string {
  if (kind === 'null') return 'NULL'
  if (kind === 'integer' || kind === 'real') return text
  const unit = kind === 'text' ? 'characters' : 'bytes'
  const more = isCut || text.length > MAX_CELL ? ` (${size} ${unit})` : ''
  const beginning = cutMiddle(text, MAX_CELL)
  return kind === 'text' ? `'${beginning}'${more}` : `x'${beginning}'${more}`
}

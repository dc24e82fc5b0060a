/**
 * The rows of any suite as HTML tables that stay narrow: what is the same in all rows is said once.
 */
import type { KeptResult, KeptRow } from '../result.ts'
import { SUBJECT } from './drawing.ts'
import { escapeMarkup } from './escape.ts'
import { type ColumnTitle, columnTitle, figure, formatOf, rangeText } from './figures.ts'
import { isRange, measured, reasonOf, unique } from './summary.ts'

/** Columns of a table, and those that are the same in every row. */
interface Shape {
  readonly columns: readonly string[]
  readonly same: readonly string[]
}

/** A table of more columns is turned when its rows are few. */
const MOST_COLUMNS = 9
const MOST_TURNED_ROWS = 4

/** How a column is shown. */
interface Look extends ColumnTitle {
  readonly column: string
  readonly isNumeric: boolean
  readonly hasRange: boolean
}

/** All columns, or only `wanted`. Skipped systems are not among the rows. */
export function resultTable({ rows }: KeptResult, wanted?: readonly string[]): string {
  const shown = rows.filter((row) => reasonOf(row) === undefined)
  if (shown.length === 0) return '<p class="muted">Nothing was measured.</p>'
  const { columns, same } = shapeOf(shown, wanted)
  const looks = columns.map((column) => lookOf(column, shown))
  const isWide = looks.length > MOST_COLUMNS && shown.length <= MOST_TURNED_ROWS
  return (isWide ? turned(shown, looks) : upright(shown, looks)) + sameLine(shown[0], same)
}

function upright(rows: readonly KeptRow[], looks: readonly Look[]): string {
  const head = looks.map(headCell)
  const body = rows.map((row) => {
    const cells = looks.map((look) => cellsOf(row, look))
    const isSubject = row.system === SUBJECT && looks[0]?.column === 'system'
    return `<tr${isSubject ? ' class="subject"' : ''}>${cells.join('')}</tr>`
  })
  return table(`<tr>${head.join('')}</tr>`, body)
}

/** One line for each column: few rows of many columns stay readable. */
function turned(rows: readonly KeptRow[], looks: readonly Look[]): string {
  const hasRange = looks.some((look) => look.hasRange)
  const [first, ...rest] = looks.map((look) => {
    const cells = rows.map((row) => cellsOf(row, { ...look, isNumeric: true, hasRange }))
    return `<tr><th scope="row">${titleOf(look)}</th>${cells.join('')}</tr>`
  })
  return table(first, rest)
}

function table(head: string, body: readonly string[]): string {
  return (
    `<div class="scroll"><table><thead>${head}</thead><tbody>${body.join('\n')}</tbody>` +
    '</table></div>'
  )
}

/** Comparisons within a run, with their ranges. Empty when there are none. */
export function ratioTable({ ratios }: KeptResult): string {
  const row = { system: '', ...ratios }
  const rows = Object.keys(ratios).flatMap((name) => {
    const ratio = measured(row, name)
    if (!ratio) return []
    const range = rangeText(ratio)
    return (
      `<tr><td>${escapeMarkup(name)}</td><td class="number">${figure(ratio.value)}</td>` +
      `<td class="range">${range}</td></tr>`
    )
  })
  if (rows.length === 0) return ''
  const head =
    '<tr><th scope="col">ratio</th><th scope="col" class="number">median</th>' +
    '<th class="range"></th></tr>'
  return table(head, rows)
}

/** Columns beyond `shown` that hold something, for a second table. */
export function columnsBeyond({ rows }: KeptResult, shown: readonly string[]): string[] {
  return columnsOf(rows).filter((column) => !shown.includes(column))
}

function shapeOf(rows: readonly KeptRow[], wanted: readonly string[] | undefined): Shape {
  const present = columnsOf(rows)
  const all = wanted ? wanted.filter((column) => present.includes(column)) : present
  const isSame = (column: string) =>
    rows.length > 1 &&
    rows.every((row) => row[column] === rows[0][column] && !isRange(row[`${column}Range`]))
  return { columns: all.filter((column) => !isSame(column)), same: all.filter(isSame) }
}

/** Without the ranges, which stand beside their medians, and the reasons of skipped systems. */
function columnsOf(rows: readonly KeptRow[]): string[] {
  const all = unique(rows.flatMap((row) => Object.keys(row)))
  return all.filter((column) => column !== 'skipped' && !rows.some((row) => isRange(row[column])))
}

function lookOf(column: string, rows: readonly KeptRow[]): Look {
  return {
    column,
    ...columnTitle(column),
    isNumeric: rows.every((row) => ['number', 'undefined'].includes(kindOf(row[column]))),
    hasRange: rows.some((row) => isRange(row[`${column}Range`])),
  }
}

function headCell(look: Look): string {
  const range = look.hasRange ? '<th class="range"></th>' : ''
  return `<th scope="col"${look.isNumeric ? ' class="number"' : ''}>${titleOf(look)}</th>${range}`
}

function titleOf({ name, unit }: ColumnTitle): string {
  return escapeMarkup(name) + (unit ? ` <small>${escapeMarkup(unit)}</small>` : '')
}

/** The range has a cell of its own, so that the medians stand below each other. */
function cellsOf(row: KeptRow, { column, unit, isNumeric, hasRange }: Look): string {
  const found = measured(row, column)
  const format = formatOf(unit)
  const text = found ? format(found.value) : plain(row[column])
  const range = found ? escapeMarkup(rangeText(found, format)) : ''
  const cell = `<td${isNumeric ? ' class="number"' : ''}>${escapeMarkup(text)}</td>`
  return hasRange ? `${cell}<td class="range">${range}</td>` : cell
}

function plain(value: KeptRow[string] | undefined): string {
  if (value === undefined) return ''
  if (value === null) return '–'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return String(value)
}

function kindOf(value: KeptRow[string] | undefined): string {
  return value === null ? 'undefined' : typeof value
}

function sameLine(row: KeptRow, same: readonly string[]): string {
  if (same.length === 0) return ''
  const parts = same.map((column) => {
    const { name, unit } = columnTitle(column)
    const value = row[column]
    const text = typeof value === 'number' ? formatOf(unit)(value) : plain(value)
    return `${name} ${text}${unit ? ` ${unit}` : ''}`
  })
  return `<p class="muted">In every row: ${escapeMarkup(parts.join(', '))}.</p>`
}

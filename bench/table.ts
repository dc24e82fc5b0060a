/**
 * Rows as a table for people: one line a column, one column a row of the report, so that it stays
 * narrow.
 */
import type { Spread } from './arithmetic.ts'
import { isSpread, type Row } from './result.ts'

export function renderTable(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = columns.map((column) => [column, ...rows.map((row) => formatCell(row[column]))])
  const widths = cells[0]?.map((_, i) => Math.max(...cells.map((line) => line[i].length))) ?? []
  return cells
    .map((line) =>
      line
        .map((cell, i) => pad(cell, widths[i], i))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width)
}

function formatCell(value: Row[string] | undefined): string {
  if (value === undefined) return ''
  if (isSpread(value)) return formatSpread(value)
  if (value === null) return '-'
  if (typeof value === 'number') return formatNumber(value)
  return String(value)
}

function formatSpread({ median, min, max }: Spread): string {
  if (!(min < max)) return formatNumber(median)
  return `${formatNumber(median)} (${formatNumber(min)}..${formatNumber(max)})`
}

/** Three significant digits, or all of a whole number. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return '-'
  if (Number.isInteger(value) || Math.abs(value) >= 100) return String(Math.round(value))
  return Number(value.toPrecision(3)).toString()
}

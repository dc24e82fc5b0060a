/** Rows of a query as text, JSON lines or CSV. */
import type { RowSink } from '../backup/past/pastQuery.ts'
import { csvLine, csvText } from '../csv.ts'
import {
  decoderOf,
  isBytes,
  jsonValue,
  type RawValue,
  realText,
  type SqlValue,
} from '../rowdiff/rowValues.ts'
import type { DataOutput } from './dataOutput.ts'
import { jsonLine, shown } from './queryCommand.ts'

export type RowFormat = 'text' | 'json' | 'csv'

/** Of a value in text for people. */
const MAX_VALUE_CHARS = 200

export class RowPrinter implements RowSink {
  readonly #format: RowFormat
  readonly #output: DataOutput
  readonly #decode = decoderOf('UTF-8')
  #left: number
  #names: readonly string[] = []
  /** Of the columns in text: those of the first rows. */
  #widths: readonly number[] | undefined

  constructor(format: RowFormat, limit: number | undefined, output: DataOutput) {
    this.#format = format
    this.#left = limit ?? Number.POSITIVE_INFINITY
    this.#output = output
  }

  columns(names: readonly string[]): void {
    this.#names = names
  }

  async rows(raw: readonly (readonly RawValue[])[]): Promise<boolean> {
    const rows = raw.slice(0, this.#left).map((row) => row.map(this.#decode))
    this.#left -= rows.length
    const isWanted = await this.#output.write(this.#text(rows))
    return isWanted && this.#left > 0
  }

  /** Writes the names when no row came. */
  async end(): Promise<void> {
    if (this.#widths === undefined && this.#format !== 'json')
      await this.#output.write(this.#text([]))
  }

  #text(rows: readonly (readonly SqlValue[])[]): string {
    switch (this.#format) {
      case 'json':
        return rows.map((row) => jsonLine(this.#object(row))).join('')
      case 'csv':
        return this.#headed(
          rows.map((row) => row.map(csvValue)),
          csvLine,
        )
      case 'text':
        return this.#headed(
          rows.map((row) => row.map(textValue)),
          (cells, widths) =>
            `${cells
              .map((cell, i) => cell.padEnd(widths[i]))
              .join('  ')
              .trimEnd()}\n`,
        )
    }
  }

  #headed(
    rows: readonly (readonly string[])[],
    line: (cells: readonly string[], widths: readonly number[]) => string,
  ): string {
    const heading = this.#names.map(this.#format === 'csv' ? csvText : shown)
    const isFirst = this.#widths === undefined
    const all = isFirst ? [heading, ...rows] : rows
    this.#widths ??= heading.map((_, i) => Math.max(...all.map((row) => row[i].length)))
    const widths = this.#widths
    return all.map((row) => line(row, widths)).join('')
  }

  /** A name that comes twice keeps its last value, as JSON readers do. */
  #object(row: readonly SqlValue[]): Record<string, unknown> {
    return Object.fromEntries(this.#names.map((name, i) => [name, jsonValue(row[i])]))
  }
}

function textValue(value: SqlValue): string {
  if (value === null) return 'NULL'
  if (isBytes(value)) return `x'${value.hex.slice(0, MAX_VALUE_CHARS)}'`
  if (typeof value === 'string') return shown(value.slice(0, MAX_VALUE_CHARS))
  return typeof value === 'number' ? realText(value) : String(value)
}

/** RFC 4180. NULL is nothing, an empty text is quoted, a blob is hexadecimal. */
function csvValue(value: SqlValue): string {
  if (value === null) return ''
  if (isBytes(value)) return value.hex
  if (typeof value === 'string') return csvText(value)
  return typeof value === 'number' ? realText(value) : String(value)
}

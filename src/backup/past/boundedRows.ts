/** The rows of a query as values of JSON, as many as an answer may have. */
import { MAX_ROWS_CHARS, type PastRows, type PastValue } from '../../api/past.ts'
import { decoderOf, jsonValue, type RawValue } from '../../rowdiff/rowValues.ts'
import type { RowSink } from './pastQuery.ts'

export class BoundedRows implements RowSink {
  readonly #decode = decoderOf('UTF-8')
  readonly #maxRows: number
  readonly #maxChars: number
  readonly #rows: (readonly PastValue[])[] = []
  #columns: readonly string[] = []
  #chars = 0
  #cut: PastRows['cut']

  constructor(maxRows: number, maxChars = MAX_ROWS_CHARS) {
    this.#maxRows = maxRows
    this.#maxChars = maxChars
  }

  columns(names: readonly string[]): void {
    this.#columns = names
  }

  async rows(rows: readonly (readonly RawValue[])[]): Promise<boolean> {
    for (const raw of rows) {
      if (this.#rows.length >= this.#maxRows) this.#cut = 'rows'
      else {
        const row = raw.map((value) => jsonValue(this.#decode(value)))
        this.#chars += JSON.stringify(row).length
        if (this.#chars > this.#maxChars) this.#cut = 'bytes'
        else this.#rows.push(row)
      }
      if (this.#cut) return false
    }
    return true
  }

  result(): Pick<PastRows, 'columns' | 'rows' | 'cut'> {
    const cut = this.#cut && { cut: this.#cut }
    return { columns: this.#columns, rows: this.#rows, ...cut }
  }
}

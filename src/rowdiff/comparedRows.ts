/**
 * How many rows a comparison has looked at. SQLite looks through a table without coming back while
 * all rows are equal, so its queries call a function for every row that they scan.
 */
import type { Database } from 'better-sqlite3'
import { quoteName } from '../sqlite/sqlText.ts'
import { AFTER, BEFORE, type Side } from './databasePair.ts'
import { type RowKind, rowQuery, scannedSide } from './rowQueries.ts'
import type { TableMatch } from './tableMatch.ts'

/** Hears of rows, some thousands at a time. `total`: of all tables and kinds. */
export type OnRows = (done: number, total: number) => void

/** A call of SQLite for a row costs less than to tell of it. */
const TOLD_EVERY = 1024

export class ComparedRows {
  readonly #db: Database
  readonly #onRows: OnRows
  #done = 0
  #total = 0

  constructor(db: Database, onRows: OnRows) {
    this.#db = db
    this.#onRows = onRows
  }

  /** Counts the rows that will be looked at, which reads the tables once. */
  begin(matches: readonly TableMatch[], kinds: readonly RowKind[]): void {
    for (const match of matches) {
      const counts = { [BEFORE]: this.#count(match, BEFORE), [AFTER]: this.#count(match, AFTER) }
      for (const kind of kinds)
        if (rowQuery(match, kind) !== undefined) this.#total += counts[scannedSide(kind)]
    }
    this.#onRows(0, this.#total)
  }

  /** The name of a function that is true, and to be called once for each row. */
  define(name: string): string {
    this.#db.function(name, (_key: unknown) => {
      if (++this.#done % TOLD_EVERY === 0)
        this.#onRows(Math.min(this.#done, this.#total), this.#total)
      return 1
    })
    return name
  }

  #count({ names }: TableMatch, side: Side): number {
    const name = names[side]
    if (name === undefined) return 0
    // An index could have a collation that only the application knows.
    const sql = `SELECT count(*) FROM ${side}.${quoteName(name)} NOT INDEXED`
    return this.#db.prepare<[], number>(sql).pluck().get() ?? 0
  }
}

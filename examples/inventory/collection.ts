/** Rows of one table with an `id`: list, find, create, update, remove. */
import type Database from 'better-sqlite3'

export type Values = Readonly<Record<string, string | number>>

export class Collection<Row extends { readonly id: number }> {
  readonly #database: () => Database.Database
  readonly #table: string
  readonly #columns: readonly string[]

  /**
   * `table` and `columns` go into the SQL unescaped: they are constants of the program, never
   * input.
   */
  constructor(database: () => Database.Database, table: string, columns: readonly string[]) {
    this.#database = database
    this.#table = table
    this.#columns = columns
  }

  list(): Row[] {
    return this.#sql<[]>(`SELECT * FROM ${this.#table} ORDER BY id`).all()
  }

  find(id: number): Row | undefined {
    return this.#sql<[number]>(`SELECT * FROM ${this.#table} WHERE id = ?`).get(id)
  }

  /** Throws when SQLite refuses the row. */
  create(values: Values): Row {
    const names = this.#given(values)
    const places = names.map((name) => `@${name}`)
    const row = this.#sql<[Values]>(
      `INSERT INTO ${this.#table} (${names.join(', ')}) VALUES (${places.join(', ')}) RETURNING *`,
    ).get(values)
    if (!row) throw new Error(`no row came back from ${this.#table}`)
    return row
  }

  /** Changes the given columns. Undefined when there is no such row. */
  update(id: number, values: Values): Row | undefined {
    const changes = this.#given(values).map((name) => `${name} = @${name}`)
    if (changes.length === 0) return this.find(id)
    return this.#sql<[Values]>(
      `UPDATE ${this.#table} SET ${changes.join(', ')} WHERE id = @id RETURNING *`,
    ).get({ ...values, id })
  }

  /** Whether the row existed. */
  remove(id: number): boolean {
    return this.#sql<[number]>(`DELETE FROM ${this.#table} WHERE id = ?`).run(id).changes > 0
  }

  #given(values: Values): string[] {
    return this.#columns.filter((name) => values[name] !== undefined)
  }

  #sql<Parameters extends unknown[]>(text: string): Database.Statement<Parameters, Row> {
    return this.#database().prepare<Parameters, Row>(text)
  }
}

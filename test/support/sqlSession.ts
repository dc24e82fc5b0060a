/** One SQLite connection in another process, driven statement by statement. */
import type { Child } from './child.ts'

export type Row = readonly unknown[]

export interface SqlAnswer {
  readonly rows?: readonly Row[]
  readonly error?: string
}

export class SqlSession {
  readonly child: Child
  #next = 0

  constructor(child: Child) {
    this.child = child
  }

  /** Rows of a statement. Throws with SQLite's message when it fails. */
  async rows(sql: string): Promise<readonly Row[]> {
    const { rows, error } = await this.attempt(sql)
    if (error !== undefined) throw new Error(`${sql}: ${error}`)
    return rows ?? []
  }

  /** The first column of the first row. */
  async value(sql: string): Promise<unknown> {
    return (await this.rows(sql))[0]?.[0]
  }

  async attempt(sql: string): Promise<SqlAnswer> {
    const from = this.#next
    this.child.write(JSON.stringify(sql))
    const { at, text } = await this.child.line(() => true, from)
    this.#next = at + 1
    return JSON.parse(text)
  }

  /** Closes the connection and ends the process. */
  async close(): Promise<void> {
    this.child.expectEnd()
    this.child.write('"!close"')
    await this.child.ended
  }
}

/**
 * SQL on standard output. A name, and a value, may hold any character, and SQL cannot write a name
 * in other ones: a file or a pipe gets the SQL exactly, and a terminal none that could steer it.
 */
import { visibleSql } from '../sqlite/sqlText.ts'
import { DataOutput } from './dataOutput.ts'

export class SqlOutput {
  readonly #output: DataOutput
  readonly #isTerminal: boolean
  readonly #errors: Pick<NodeJS.WriteStream, 'write'>
  #isChanged = false

  /** `errors`: where a person reads what is not data. */
  constructor(stream: NodeJS.WriteStream, errors: Pick<NodeJS.WriteStream, 'write'>) {
    this.#errors = errors
    this.#output = new DataOutput(stream)
    this.#isTerminal = stream.isTTY === true
  }

  /** As `DataOutput.write`. */
  async write(sql: string): Promise<boolean> {
    if (!this.#isTerminal) return this.#output.write(sql)
    const visible = visibleSql(sql)
    this.#isChanged ||= visible !== sql
    return this.#output.write(visible)
  }

  /** As `DataOutput.end`. Says what is not shown as it is. */
  async end(): Promise<boolean> {
    const isHeard = await this.#output.end()
    if (this.#isChanged)
      this.#errors.write(
        'control characters are shown as \u{fffd}: write the SQL to a file to run it (> FILE)\n',
      )
    return isHeard
  }
}

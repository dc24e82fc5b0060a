/** Differences as SQL that, run against the second database, gives it back the rows of the first. */
import { AFTER, BEFORE, type TextEncoding } from './databasePair.ts'
import type { Difference, RowDifference } from './rowDiff.ts'
import type { RowKind } from './rowQueries.ts'
import { type SqlValue, sameValue } from './rowValues.ts'
import type { SchemaDifference } from './schemaDiff.ts'
import { comment, quoteName } from './sqlText.ts'

/** Rows go before others may take what was theirs in a UNIQUE index. */
export const STATEMENT_ORDER: readonly RowKind[] = ['added', 'changed', 'removed']

const HEAD = `Run this with a shell that stops at the first error (sqlite3 -bail).
Where foreign keys are enforced, their ON DELETE and ON UPDATE actions act too.`

export interface StatementOptions {
  /** Whether rows that only the second database has are deleted. */
  readonly deletes: boolean
}

/** One transaction of SQL, in pieces of whole lines, of differences whose rows come in STATEMENT_ORDER. */
export function* sqlScript(
  differences: Iterable<Difference>,
  options: StatementOptions,
): Generator<string, void, void> {
  const writer = new StatementWriter(options)
  for (const difference of differences) yield writer.write(difference)
}

class StatementWriter {
  readonly #options: StatementOptions
  #encoding: TextEncoding = 'UTF-8'
  /** Why the rows of the present table get no statements. */
  #obstacle: string | undefined
  #written = 0
  #head = ''

  constructor(options: StatementOptions) {
    this.#options = options
  }

  write(difference: Difference): string {
    switch (difference.type) {
      case 'begin':
        this.#encoding = difference.encoding
        return `${comment(HEAD)}BEGIN;\nPRAGMA defer_foreign_keys=ON;\n`
      case 'schema':
        return schemaComment(difference.difference)
      case 'table':
        return this.#tableBegin(difference)
      case 'row':
        return this.#row(difference)
      case 'counts':
        return this.#tableEnd(difference)
      case 'skipped':
        return comment(`table ${difference.table} was not compared: ${difference.reason}`)
      case 'summary':
        return 'COMMIT;\n'
    }
  }

  /** The head waits until the table has something to say. */
  #tableBegin(table: Extract<Difference, { type: 'table' }>): string {
    this.#obstacle = obstacleOf(table)
    this.#head = tableHead(table)
    this.#written = 0
    return table.create === undefined ? '' : `${this.#takeHead()}${table.create};\n`
  }

  #row(row: RowDifference): string {
    if (this.#obstacle !== undefined || (row.kind === 'added' && !this.#options.deletes)) return ''
    this.#written++
    return this.#takeHead() + rowStatement(row, this.#encoding)
  }

  #tableEnd({ counts }: Extract<Difference, { type: 'counts' }>): string {
    const { added, changed, removed } = counts
    const { deletes } = this.#options
    const wanted = changed + removed + (deletes ? added : 0)
    const notes: string[] = []
    if (this.#obstacle !== undefined) {
      if (wanted > 0) notes.push(`rows left alone, ${this.#obstacle}: ${wanted}`)
    } else if (wanted > this.#written) notes.push(`more rows, over the limit: ${wanted - this.#written}`)
    if (added > 0 && !deletes)
      notes.push(`rows left alone, only the table after has them (--deletes): ${added}`)
    return notes.length === 0 ? '' : this.#takeHead() + comment(notes.join('\n'))
  }

  #takeHead(): string {
    const head = this.#head
    this.#head = ''
    return head
  }
}

function tableHead({ match, triggers }: Extract<Difference, { type: 'table' }>): string {
  const { table, matchedBy, columnsOnlyBefore, columnsOnlyAfter } = match
  const lines = [`table ${table}, rows matched by ${matchedBy}`]
  for (const [where, names] of [
    ['before', columnsOnlyBefore],
    ['after', columnsOnlyAfter],
  ] as const)
    if (names.length > 0) lines.push(`left out, since only the table ${where} has it: ${names.join(', ')}`)
  if (triggers.length > 0) lines.push(`these triggers run with the statements: ${triggers.join(', ')}`)
  return comment(lines.join('\n'))
}

function obstacleOf({ match, create }: Extract<Difference, { type: 'table' }>): string | undefined {
  if (match.isShadow) return 'the table belongs to a virtual table'
  if (match.names[AFTER] === undefined && create === undefined) return 'its name is taken by something else'
  return undefined
}

function schemaComment({ type, name, before, after }: SchemaDifference): string {
  const side = (label: string, sql: string | null) => `${label}: ${sql ?? 'none'}`
  return comment(`schema: ${type} ${name} differs\n${side('before', before)}\n${side('after', after)}`)
}

/** INSERT, UPDATE of the changed columns, or DELETE. */
function rowStatement(row: RowDifference, encoding: TextEncoding): string {
  const { match, before, after } = row
  const table = quoteName(match.names[AFTER] ?? match.names[BEFORE] ?? '')
  const literal = (value: SqlValue) => sqlLiteral(value, encoding)
  if (!after) {
    const names = match.fields.map(quoteName).join(', ')
    return `INSERT INTO ${table} (${names}) VALUES (${(before ?? []).map(literal).join(', ')});\n`
  }
  const where = match.keyAt
    .map((at) => `${quoteName(match.fields[at])} = ${literal(after[at])}`)
    .join(' AND ')
  if (!before) return `DELETE FROM ${table} WHERE ${where};\n`
  const changes = match.fields.flatMap((name, at) =>
    sameValue(before[at], after[at]) ? [] : [`${quoteName(name)} = ${literal(before[at])}`],
  )
  return `UPDATE ${table} SET ${changes.join(', ')} WHERE ${where};\n`
}

/** Characters that shells and editors may not leave as they are: controls other than tab and line feed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ODD = /[\0-\x08\x0b-\x1f\x7f]/

/** A literal that gives the very value and type back, in a database of that encoding. */
export function sqlLiteral(value: SqlValue, encoding: TextEncoding): string {
  if (value === null) return 'NULL'
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return realLiteral(value)
  if (typeof value === 'string')
    return ODD.test(value) ? textOfBytes(hexOf(value, encoding)) : `'${value.replaceAll("'", "''")}'`
  return value.type === 'blob' ? `x'${value.hex}'` : textOfBytes(value.hex)
}

function textOfBytes(hex: string): string {
  return `CAST(x'${hex}' AS TEXT)`
}

/** 17 significant digits tell every REAL from its neighbours. */
function realLiteral(value: number): string {
  if (Number.isFinite(value)) return value.toExponential(16)
  return value > 0 ? '9e999' : '-9e999'
}

function hexOf(text: string, encoding: TextEncoding): string {
  if (encoding === 'UTF-8') return Buffer.from(text, 'utf8').toString('hex')
  const bytes = Buffer.from(text, 'utf16le')
  return (encoding === 'UTF-16le' ? bytes : bytes.swap16()).toString('hex')
}

/**
 * Turns differences into SQL that gives the second database the rows of the first that it lacks.
 *
 * A row that both have with different values may be two rows with one key: after a split both sides
 * give out the same keys. So it is left alone unless asked for, and a comment tells of it. No
 * statement replaces a row unasked.
 */

import type { TextEncoding } from '../sqlite/databaseHeader.ts'
import { comment, quoteName } from '../sqlite/sqlText.ts'
import { AFTER, BEFORE } from './databasePair.ts'
import type { Difference, RowDifference } from './rowDiff.ts'
import type { RowKind } from './rowQueries.ts'
import { type SqlValue, sameValue } from './rowValues.ts'
import type { SchemaDifference } from './schemaDiff.ts'
import { oneLineLiteral, sqlLiteral } from './sqlLiteral.ts'
import type { TableMatch } from './tableMatch.ts'

/** Rows go before other rows may take their place in a UNIQUE index. */
export const STATEMENT_ORDER: readonly RowKind[] = ['added', 'changed', 'removed']

const HEAD = `Run this at the leader, on the leader's own database file:
a replica's copy takes no writes, and gets them from there.
Check before: "walcast status" says role leader there, and AFTER was that very file.
Check before: each "conflict" below is a key that both files have with different values.
Where both sides gave out the same key after a split, these are two rows:
rows inserted here that refer to that key then refer to the row of AFTER.
Run it with a shell that stops at the first error (sqlite3 -bail): all of it is applied, or nothing.
Where foreign keys are enforced, their ON DELETE and ON UPDATE actions act too.`

export interface StatementOptions {
  /** Whether rows that both have with different values are overwritten. */
  readonly updates: boolean
  /** Whether rows that only the second database has are deleted. */
  readonly deletes: boolean
}

/**
 * One transaction of SQL, in pieces of whole lines, of differences whose rows come in
 * STATEMENT_ORDER.
 */
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
  /** Overrides what the present table does about conflicts. */
  #policy = ''
  /** Rows of the present table that have a statement or a comment. */
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
    this.#policy = table.resolvesConflicts ? ' OR ABORT' : ''
    this.#head = tableHead(table)
    this.#written = 0
    return table.create === undefined ? '' : `${this.#takeHead()}${table.create};\n`
  }

  #row(row: RowDifference): string {
    if (this.#obstacle !== undefined || (row.kind === 'added' && !this.#options.deletes)) return ''
    this.#written++
    return this.#takeHead() + this.#rowText(row)
  }

  #rowText(row: RowDifference): string {
    switch (row.kind) {
      case 'removed':
        return insertion(`INSERT${this.#policy}`, row, this.#encoding)
      case 'added':
        return deletion(row, this.#encoding)
      case 'changed':
        return this.#options.updates
          ? update(`UPDATE${this.#policy}`, row, this.#encoding)
          : conflict(row, this.#encoding)
    }
  }

  #tableEnd({ counts }: Extract<Difference, { type: 'counts' }>): string {
    const { added, changed, removed } = counts
    const { deletes, updates } = this.#options
    const wanted = changed + removed + (deletes ? added : 0)
    const notes: string[] = []
    if (this.#obstacle !== undefined) {
      if (wanted > 0) notes.push(`rows left alone, ${this.#obstacle}: ${wanted}`)
    } else if (wanted > this.#written)
      notes.push(`more rows, over the limit: ${wanted - this.#written}`)
    if (this.#obstacle === undefined && changed > 0 && !updates)
      notes.push(`rows left alone, both have them with other values (--updates): ${changed}`)
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
    if (names.length > 0)
      lines.push(`left out, since only the table ${where} has it: ${names.join(', ')}`)
  if (triggers.length > 0)
    lines.push(`these triggers run with the statements: ${triggers.join(', ')}`)
  return comment(lines.join('\n'))
}

function obstacleOf({ match, create }: Extract<Difference, { type: 'table' }>): string | undefined {
  if (match.isShadow) return 'the table belongs to a virtual table'
  if (match.names[AFTER] === undefined && create === undefined)
    return (
      'its name is taken by something else, ' +
      'or its CREATE statement is none that SQLite takes by itself'
    )
  return undefined
}

function schemaComment({ type, name, before, after }: SchemaDifference): string {
  const side = (label: string, sql: string | null) => `${label}: ${sql ?? 'none'}`
  return comment(
    `schema: ${type} ${name} differs\n${side('before', before)}\n${side('after', after)}`,
  )
}

/** `verb` includes what becomes of a row in conflict. */
function insertion(verb: string, { match, before }: RowDifference, encoding: TextEncoding): string {
  const names = match.fields.map(quoteName).join(', ')
  const values = (before ?? []).map((value) => sqlLiteral(value, encoding)).join(', ')
  return `${verb} INTO ${tableName(match)} (${names}) VALUES (${values});\n`
}

function deletion(row: RowDifference, encoding: TextEncoding): string {
  return `DELETE FROM ${tableName(row.match)} WHERE ${place(row, encoding)};\n`
}

/** The assignments of the columns that differ. */
function update(verb: string, row: RowDifference, encoding: TextEncoding): string {
  const { match, before, after } = row
  const changes = match.fields.flatMap((name, at) =>
    before && after && !sameValue(before[at], after[at])
      ? [`${quoteName(name)} = ${sqlLiteral(before[at], encoding)}`]
      : [],
  )
  return `${verb} ${tableName(match)} SET ${changes.join(', ')} WHERE ${place(row, encoding)};\n`
}

/** The WHERE of a row that the second database has. */
function place({ match, after }: RowDifference, encoding: TextEncoding): string {
  return match.keyAt
    .map((at) => `${quoteName(match.fields[at])} = ${sqlLiteral((after ?? [])[at], encoding)}`)
    .join(' AND ')
}

/**
 * Tells both states whole: of two rows with one key, either may have to be written again under
 * another key.
 */
function conflict({ match, before, after }: RowDifference, encoding: TextEncoding): string {
  const pairs = (places: readonly number[], values: readonly SqlValue[] | null) =>
    places
      .map(
        (at) => `${quoteName(match.fields[at])} = ${oneLineLiteral((values ?? [])[at], encoding)}`,
      )
      .join(', ')
  const all = [...match.fields.keys()]
  return [
    comment(`conflict in ${tableName(match)}: ${pairs(match.keyAt, before)}`),
    comment(`  before: ${pairs(all, before)}`),
    comment(`  after:  ${pairs(all, after)}`),
  ].join('')
}

function tableName({ names }: TableMatch): string {
  return quoteName(names[AFTER] ?? names[BEFORE] ?? '')
}

/**
 * SQL that takes back changes of rows, as one transaction that is applied whole or not at all.
 *
 * A difference of rows already holds what triggers and foreign key actions did. So triggers of the
 * tables are dropped and made again in the same transaction, and foreign keys do not act: a trigger
 * that fired for the undo would do its work twice. What foreign keys demand is counted before and
 * after.
 *
 * Each statement names the whole row as it is expected to be, and the one behind it fails unless
 * exactly one row was. Rows go before other rows may take their values of a UNIQUE index.
 */
import type { TextEncoding } from '../sqlite/databaseHeader.ts'
import { comment, quoteName, quoteText } from '../sqlite/sqlText.ts'
import { AFTER, BEFORE } from './databasePair.ts'
import type { RowDifference } from './rowDiff.ts'
import { type Transition, transitionOf } from './rowUndo.ts'
import { type SqlValue, sameValue } from './rowValues.ts'
import { sqlLiteral } from './sqlLiteral.ts'
import type { TableMatch } from './tableMatch.ts'

export interface UndoTable {
  readonly name: string
  /** Whether it keeps more than its primary key unique. */
  readonly hasUniqueIndex: boolean
  /** The table itself decides about rows in conflict. */
  readonly resolvesConflicts: boolean
  readonly triggers: readonly { readonly name: string; readonly sql: string }[]
}

export interface UndoPlan {
  readonly encoding: TextEncoding
  /** Tables with rows to take back, by the name that their matches have. */
  readonly tables: ReadonlyMap<string, UndoTable>
  /** Tables whose foreign keys the rows may break. */
  readonly referring: readonly string[]
  /** The rows to take back: from the beginning, each time it is called. */
  rows(): Iterable<RowDifference>
  /** What changed in this row later. */
  later(row: RowDifference): RowDifference | undefined
}

/** SQL of whole statements, and what it is about when it fails. */
export interface UndoStep {
  readonly sql: string
  readonly about: string
}

const CHECK = 'walcast_undo'
const REFERENCES = 'walcast_undo_references'
/** A chain of conditions is one expression, whose depth SQLite bounds (1000). */
const MAX_CONDITIONS = 900

export function* undoScript(plan: UndoPlan): Generator<UndoStep, void, void> {
  const step = (about: string, sql: string): UndoStep => ({ about, sql })
  // It has no effect inside a transaction.
  yield step('the beginning', 'PRAGMA foreign_keys = OFF;\nBEGIN IMMEDIATE;\n')
  yield step('the beginning', `CREATE TEMP TABLE ${CHECK} (ok CHECK (ok));\n`)
  const violations = violationsOf(plan.referring)
  if (violations)
    yield step('foreign keys', `CREATE TEMP TABLE ${REFERENCES} AS SELECT ${violations} AS n;\n`)
  const triggers = [...plan.tables.values()].flatMap((table) => table.triggers)
  for (const { name } of triggers)
    yield step(`trigger ${name}`, `DROP TRIGGER main.${quoteName(name)};\n`)
  yield step('triggers that the archive does not know', noTriggers([...plan.tables.keys()]))
  for (const phase of [deletions, updates, insertions]) yield* phase(plan)
  if (violations)
    yield step(
      'foreign keys: rows would refer to rows that are not there',
      `INSERT INTO temp.${CHECK} SELECT ${violations} <= (SELECT n FROM temp.${REFERENCES});\n` +
        `DROP TABLE temp.${REFERENCES};\n`,
    )
  for (const { name, sql } of triggers) yield step(`trigger ${name}`, `${sql};\n`)
  yield step('the end', `DROP TABLE temp.${CHECK};\nCOMMIT;\n`)
}

/** Gives how many rows of these tables refer to none; '' without tables. */
function violationsOf(tables: readonly string[]): string {
  const counts = tables.map(
    (name) => `(SELECT count(*) FROM pragma_foreign_key_check(${quoteText(name)}))`,
  )
  return counts.join(' + ')
}

function noTriggers(tables: readonly string[]): string {
  const names = tables.map(quoteText).join(', ')
  return (
    `INSERT INTO temp.${CHECK} SELECT count(*) = 0 FROM main.sqlite_schema ` +
    `WHERE type = 'trigger' AND tbl_name COLLATE NOCASE IN (${names});\n`
  )
}

/** One statement, and the check that it met one row. */
function oneRow(match: TableMatch, key: string, sql: string): UndoStep {
  const check = `INSERT INTO temp.${CHECK} SELECT changes() = 1;\n`
  return { sql: `${sql};\n${check}`, about: `table ${match.table}, row ${key}` }
}

interface Change {
  readonly row: RowDifference
  readonly table: UndoTable
  readonly transition: Transition
  /** Whether the row is taken away and put in again, since its values may be another row's yet. */
  readonly isReplaced: boolean
}

function* changes(plan: UndoPlan): Generator<Change, void, void> {
  for (const row of plan.rows()) {
    const table = plan.tables.get(row.match.table)
    const transition = transitionOf(row, plan.later(row))
    if (table && transition) {
      const isReplaced = table.hasUniqueIndex && transition.now !== null && transition.then !== null
      yield { row, table, transition, isReplaced }
    }
  }
}

function* deletions(plan: UndoPlan): Generator<UndoStep, void, void> {
  for (const { row, transition, isReplaced } of changes(plan)) {
    const { now, then } = transition
    if (now === null || (then !== null && !isReplaced)) continue
    const where = whereIs(row.match, now, plan.encoding)
    yield oneRow(row.match, where.key, `DELETE FROM ${target(row.match)} WHERE ${where.all}`)
  }
}

function* updates(plan: UndoPlan): Generator<UndoStep, void, void> {
  for (const { row, table, transition, isReplaced } of changes(plan)) {
    const { now, then } = transition
    if (now === null || then === null || isReplaced) continue
    const { match } = row
    const sets = match.fields.flatMap((name, i) =>
      sameValue(now[i], then[i])
        ? []
        : [`${quoteName(name)} = ${sqlLiteral(then[i], plan.encoding)}`],
    )
    const where = whereIs(match, now, plan.encoding)
    const verb = `UPDATE${table.resolvesConflicts ? ' OR ABORT' : ''}`
    yield oneRow(
      match,
      where.key,
      `${verb} ${target(match)} SET ${sets.join(', ')} WHERE ${where.all}`,
    )
  }
}

function* insertions(plan: UndoPlan): Generator<UndoStep, void, void> {
  for (const { row, table, transition, isReplaced } of changes(plan)) {
    const { now, then } = transition
    if (then === null || (now !== null && !isReplaced)) continue
    const { match } = row
    const names = match.fields.map(quoteName).join(', ')
    const values = then.map((value) => sqlLiteral(value, plan.encoding)).join(', ')
    const verb = `INSERT${table.resolvesConflicts ? ' OR ABORT' : ''}`
    const { key } = whereIs(match, then, plan.encoding)
    yield oneRow(match, key, `${verb} INTO ${target(match)} (${names}) VALUES (${values})`)
  }
}

/** The condition for the key, which an index answers, and that for the whole row. */
function whereIs(
  match: TableMatch,
  values: readonly SqlValue[],
  encoding: TextEncoding,
): { readonly key: string; readonly all: string } {
  const literal = (at: number) => sqlLiteral(values[at], encoding)
  const key = match.keyAt
    .map((at) => `${quoteName(match.fields[at])} = ${literal(at)}`)
    .join(' AND ')
  const isRowid = (at: number) => match.matchedBy === 'rowid' && match.keyAt.includes(at)
  // The unary plus takes the affinity off, so that SQLite converts neither side.
  const rest = match.fields
    .flatMap((name, at) =>
      isRowid(at) ? [] : [`(+${quoteName(name)}) COLLATE BINARY IS ${literal(at)}`],
    )
    .slice(0, MAX_CONDITIONS)
  return { key, all: [key, ...rest].join(' AND ') }
}

function target({ names }: TableMatch): string {
  return `main.${quoteName(names[AFTER] ?? names[BEFORE] ?? '')}`
}

/** What stands before the statements, for a person who runs them. */
export function undoHead(text: string): string {
  return comment(text)
}

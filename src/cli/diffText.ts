/** Differences as text for people. */
import {
  type ComparedTable,
  type Difference,
  keyValues,
  type RowDifference,
} from '../rowdiff/rowDiff.ts'
import { isBytes, realText, type SqlValue, sameValue } from '../rowdiff/rowValues.ts'
import type { SchemaDifference } from '../rowdiff/schemaDiff.ts'

/** Characters of a value that are shown. */
const MAX_VALUE = 60
const SIGN = { removed: '-', added: '+', changed: '~' } as const

/** Holds back the lines of one table until its counts are known. */
export function* textReport(differences: Iterable<Difference>): Generator<string, void, void> {
  let rows: string[] = []
  for (const difference of differences) {
    if (difference.type === 'schema') yield schemaText(difference.difference)
    else if (difference.type === 'row') rows.push(rowText(difference))
    else if (difference.type === 'skipped')
      yield `${printable(difference.table)}: skipped, ${difference.reason}\n`
    else if (difference.type === 'counts') {
      yield tableText(difference, rows)
      rows = []
    }
  }
}

/** One line that says how much differs. */
export function closingLine({
  tables,
  skipped,
  schemaDifferences,
}: Extract<Difference, { type: 'summary' }>): string {
  const differing = tables.filter((table) => total(table) > 0)
  const rows = differing.reduce((sum, table) => sum + total(table), 0)
  const verb = rows === 1 ? 'differs' : 'differ'
  const parts = [
    rows === 0
      ? 'no rows differ'
      : `${counted(rows, 'row')} ${verb} in ${counted(differing.length, 'table')}`,
  ]
  if (schemaDifferences > 0) parts.push(counted(schemaDifferences, 'schema difference'))
  if (skipped.length > 0) parts.push(`${counted(skipped.length, 'table')} skipped`)
  return parts.join('; ')
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function total({ counts }: ComparedTable): number {
  return counts.removed + counts.added + counts.changed
}

function tableText(table: ComparedTable, rows: readonly string[]): string {
  const { match, counts } = table
  const notes = [
    ...match.columnsOnlyBefore.map(
      (name) => `column ${printable(name)} is only in BEFORE and was not compared`,
    ),
    ...match.columnsOnlyAfter.map(
      (name) => `column ${printable(name)} is only in AFTER and was not compared`,
    ),
  ]
  if (total(table) === 0 && notes.length === 0) return ''
  const hidden = total(table) - rows.length
  const heading = `${printable(match.table)}: ${countsText(counts)}\n`
  const end = hidden > 0 ? `  ${hidden} more not shown (see --limit)\n` : ''
  return `${heading}${notes.map((note) => `  ${note}\n`).join('')}${rows.join('')}${end}`
}

function countsText({ removed, added, changed }: ComparedTable['counts']): string {
  return `${removed} only in BEFORE, ${added} only in AFTER, ${changed} changed`
}

function rowText(row: RowDifference): string {
  const { match, kind, before, after } = row
  const keys = keyValues(row)
  const key = match.keyAt.map((at, place) => pair(match.fields[at], shown(keys[place]))).join(', ')
  const rest = match.fields.flatMap((name, at) => {
    if (before && after)
      return sameValue(before[at], after[at])
        ? []
        : [pair(name, `${shown(before[at])} -> ${shown(after[at])}`)]
    return match.keyAt.includes(at) ? [] : [pair(name, shown((before ?? after ?? [])[at]))]
  })
  return `  ${SIGN[kind]} ${[`[${key}]`, rest.join(', ')].join(' ').trimEnd()}\n`
}

function pair(name: string, text: string): string {
  return `${printable(name)}=${text}`
}

/** A value as a SQL literal, shortened. */
function shown(value: SqlValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number') return realText(value)
  if (typeof value === 'string') return `'${shortened(printable(value), value.length)}'`
  if (isBytes(value)) {
    const kind = value.type === 'text' ? 'malformed text ' : ''
    return `${kind}x'${shortened(value.hex, value.hex.length / 2, 'bytes')}'`
  }
  return String(value)
}

function shortened(text: string, length: number, unit = 'characters'): string {
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE)}... (${length} ${unit})`
}

/** Text on one line, without control characters. */
function printable(text: string): string {
  // Cut before it is escaped: a value may be large.
  return text
    .slice(0, 1000)
    .replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
      (odd) => `\\u{${odd.codePointAt(0)?.toString(16) ?? ''}}`,
    )
}

function schemaText({ type, name, before, after }: SchemaDifference): string {
  const heading = `${type} ${printable(name)}: the schema differs\n`
  const side = (sign: string, sql: string | null) =>
    sql === null
      ? `  ${sign} none\n`
      : sql
          .split('\n')
          .map((line) => `  ${sign} ${printable(line)}\n`)
          .join('')
  return `${heading}${side('-', before)}${side('+', after)}`
}

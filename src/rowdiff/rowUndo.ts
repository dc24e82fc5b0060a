/**
 * How a row that some transactions changed becomes what it was before them, also when later ones
 * changed it again. Pure.
 */
import { foldName } from '../sqlite/sqlText.ts'
import { keyValues, type RowDifference } from './rowDiff.ts'
import { isBytes, type SqlValue, sameValue } from './rowValues.ts'

/** Which side wins for a row that a later transaction changed too. */
export type Winner = 'keep' | 'undo'

type Row = readonly SqlValue[] | null

/** From what a row is now to what it shall be; null where there is no row. */
export interface Transition {
  readonly now: Row
  readonly then: Row
}

/** Equal for the rows that the key of a table takes for the same. */
export function rowKey(row: RowDifference): string {
  const { match } = row
  const parts = keyValues(row).map((value, i) => keyPart(value, match.key[i].collation))
  return JSON.stringify([foldName(match.table), ...parts])
}

/** An INTEGER and a REAL of the same value are one key. */
function keyPart(value: SqlValue, collation: string): readonly string[] | null {
  if (value === null) return null
  if (typeof value === 'bigint') return ['n', String(value)]
  if (typeof value === 'number')
    return ['n', Number.isInteger(value) ? String(BigInt(value)) : String(value)]
  if (isBytes(value)) return [value.type, value.hex]
  if (collation === 'NOCASE') return ['t', foldName(value)]
  return ['t', collation === 'RTRIM' ? value.replace(/ +$/, '') : value]
}

/**
 * `later`: what changed in the row after `undone`. Columns that only later transactions changed
 * stay as they are. Undefined when there is nothing to do.
 */
export function transitionOf(
  undone: RowDifference,
  later: RowDifference | undefined,
): Transition | undefined {
  const { before, after } = undone
  const now = later ? later.after : after
  const then = before && after && now ? merged(before, after, now) : before
  return isSame(now, then) ? undefined : { now, then }
}

function merged(
  before: readonly SqlValue[],
  after: readonly SqlValue[],
  now: readonly SqlValue[],
): SqlValue[] {
  return now.map((value, i) => (sameValue(before[i], after[i]) ? value : before[i]))
}

function isSame(a: Row, b: Row): boolean {
  if (a === null || b === null) return a === b
  return a.every((value, i) => sameValue(value, b[i]))
}

/** Differences as JSON lines. */
import { type Difference, keyValues, type RowDifference } from './rowDiff.ts'
import type { RowKind } from './rowQueries.ts'
import { type JsonValue, jsonValue, type SqlValue } from './rowValues.ts'

export function* jsonLines(differences: Iterable<Difference>): Generator<string, void, void> {
  for (const difference of differences) {
    const value = jsonOf(difference)
    if (value !== undefined) yield `${JSON.stringify(value)}\n`
  }
}

type Values = Readonly<Record<string, JsonValue>>

/** A row that differs, in JSON. */
export interface RowLine {
  readonly table: string
  readonly kind: RowKind
  readonly key: Values
  readonly before: Values | null
  readonly after: Values | null
}

/** The value of a difference's line; undefined for one that has no line of its own. */
export function jsonOf(difference: Difference): unknown {
  switch (difference.type) {
    case 'schema': {
      const { type, name, before, after } = difference.difference
      return { schema: { type, name, before, after } }
    }
    case 'row':
      return rowLine(difference)
    case 'summary':
      return { summary: summaryJson(difference) }
    default:
      return undefined
  }
}

export function rowLine(row: RowDifference): RowLine {
  const { match, kind, before, after } = row
  const fields = match.fields.filter((_, at) => isColumn(row, at))
  const state = (values: readonly SqlValue[] | null) =>
    values &&
    object(
      fields,
      values.filter((_, at) => isColumn(row, at)),
    )
  const key = object(
    match.keyAt.map((at) => match.fields[at]),
    keyValues(row),
  )
  return { table: match.table, kind, key, before: state(before), after: state(after) }
}

/** The rowid by which rows are matched is no column. */
function isColumn({ match }: RowDifference, at: number): boolean {
  return match.matchedBy === 'primary key' || !match.keyAt.includes(at)
}

function object(names: readonly string[], values: readonly SqlValue[]): Record<string, JsonValue> {
  return Object.fromEntries(names.map((name, at) => [name, jsonValue(values[at])]))
}

function summaryJson({
  tables,
  skipped,
  schemaDifferences,
}: Extract<Difference, { type: 'summary' }>): unknown {
  return {
    schemaDifferences,
    tables: tables.map(({ match, counts }) => ({
      table: match.table,
      matchedBy: match.matchedBy,
      ...counts,
      columnsOnlyBefore: match.columnsOnlyBefore,
      columnsOnlyAfter: match.columnsOnlyAfter,
    })),
    skipped,
  }
}

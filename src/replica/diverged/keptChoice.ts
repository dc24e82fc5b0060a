/**
 * The rows of a bundle that were chosen, compared with a database as it is now: the differences
 * that `diffDatabases` gives, of these rows alone.
 */
import { type Counts, type Difference, diffDatabases } from '../../rowdiff/rowDiff.ts'
import { type RowLine, rowLine } from '../../rowdiff/rowJson.ts'
import type { RowKind } from '../../rowdiff/rowQueries.ts'
import type { JsonValue } from '../../rowdiff/rowValues.ts'

/** A row of a bundle by its key. */
export type ChosenRow = Pick<RowLine, 'table' | 'key'>

/** Two rows with the same text are the same row. */
export function rowText({ table, key }: ChosenRow): string {
  return JSON.stringify([table, key])
}

/**
 * A key as `keys` of `DiffOptions` wants it. Undefined for one that has no such text for certain:
 * NULL, a REAL, a text that is no Unicode.
 */
export function keyText({ key }: ChosenRow): string | undefined {
  const texts = Object.values(key).map(valueText)
  return texts.includes(undefined) ? undefined : texts.join(',')
}

function valueText(value: JsonValue): string | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : undefined
  if (typeof value === 'string') return value.includes('\0') ? undefined : value
  return value?.['integer'] ?? value?.['blob']
}

/** `before` is the database of the bundle. Throws as `diffDatabases` does. */
export function* chosenDifferences(
  before: string,
  after: string,
  rows: readonly ChosenRow[],
  order?: readonly RowKind[],
): Generator<Difference, void, void> {
  const chosen = new Set(rows.map(rowText))
  const tables = [...new Set(rows.map(({ table }) => table))]
  const texts = rows.map(keyText)
  // Without keys all kept rows of the tables are looked at.
  const keys = texts.every((text) => text !== undefined) ? [...new Set(texts)] : []
  let counts: Record<RowKind, number> = none()
  const all = new Map<string, Counts>()
  const options = { tables, keys, isOneSided: true, ...(order && { order }) }
  for (const difference of diffDatabases(before, after, options)) {
    if (difference.type === 'row') {
      if (!chosen.has(rowText(rowLine(difference)))) continue
      counts[difference.kind]++
      yield difference
    } else if (difference.type === 'counts') {
      all.set(difference.match.table, counts)
      yield { ...difference, counts }
      counts = none()
    } else if (difference.type === 'summary') {
      const compared = difference.tables.map(({ match }) => ({
        match,
        counts: all.get(match.table) ?? none(),
      }))
      yield { ...difference, tables: compared }
    } else yield difference
  }
}

function none(): Record<RowKind, number> {
  return { removed: 0, added: 0, changed: 0 }
}

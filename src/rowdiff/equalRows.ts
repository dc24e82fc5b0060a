/**
 * Rows of one database that another has unchanged. They are looked up by key: the work is in
 * proportion to the first database.
 */
import { AFTER, BEFORE, DatabasePair } from './databasePair.ts'
import { equalQuery } from './rowQueries.ts'
import type { RawValue } from './rowValues.ts'
import { matchTables, type TableMatch } from './tableMatch.ts'
import { readShapes, type TableShape } from './tableShape.ts'

/** Names a row of the first database. */
export interface EqualRow {
  readonly table: string
  /**
   * With `isText`, `value` has the bytes of a text; otherwise it is the value as SQLite gives it.
   */
  readonly key: readonly {
    readonly name: string
    readonly value: bigint | number | Buffer | null
    readonly isText: boolean
  }[]
}

/**
 * The rows of the database at path `before` that the one at path `after` has with the same key, and
 * the same in each column of `before`. The snapshot of both ends with the generator. Throws as
 * `diffDatabases` does.
 */
export function* equalRows(before: string, after: string): Generator<EqualRow, void, void> {
  const pair = new DatabasePair(before, after)
  try {
    const [shapes, others] = [readShapes(pair.db, BEFORE), readShapes(pair.db, AFTER)]
    for (const [name, shape] of shapes) {
      const other = others.get(name)
      const match = other && matchTables(pair.db, shape, other, { isOneSided: true })
      if (match && !('reason' in match)) yield* equalIn(pair, shape, match)
    }
  } catch (error) {
    throw pair.errorOf(error)
  } finally {
    pair.close()
  }
}

function* equalIn(
  { db }: DatabasePair,
  shape: TableShape,
  match: TableMatch,
): Generator<EqualRow, void, void> {
  // A column that the other table no longer has is not the same there.
  if (match.columnsOnlyBefore.length > 0) return
  const names =
    shape.rowidNames.length > 0 ? [shape.rowidNames[0]] : shape.primaryKey.map(({ name }) => name)
  if (names.length === 0) return
  const statement = db
    .prepare<unknown[], readonly RawValue[]>(equalQuery(match, names))
    .raw()
    .safeIntegers()
  for (const values of statement.iterate())
    yield { table: shape.name, key: names.map((name, i) => ({ name, ...bindingOf(values[i]) })) }
}

/** See RawValue. */
function bindingOf(raw: RawValue): Pick<EqualRow['key'][number], 'value' | 'isText'> {
  if (typeof raw === 'string') return { value: Buffer.from(raw, 'hex'), isText: false }
  return { value: raw, isText: Buffer.isBuffer(raw) }
}

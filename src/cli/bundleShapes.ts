/** `/_walcast/diverged` and below, as far as commands read it. */
import { MAX_SQL_CHARS } from '../replica/diverged/keptRead.ts'
import { count, fields, flag, listOf, nullable, type Shape, text } from './shape.ts'

/** A name of a table may be as long as a statement. */
const longText: Shape = (value, place) =>
  typeof value === 'string' && value.length <= MAX_SQL_CHARS ? undefined : `${place} is not a text`

const TABLE = fields({ table: longText, removed: count, changed: count })

const BUNDLE = fields(
  {
    name: text,
    node: text,
    leader: text,
    at: text,
    position: text,
    kind: text,
    reason: text,
    state: text,
    bytes: count,
    isComplete: flag,
    isComparing: flag,
    tables: listOf(TABLE),
    tablesLeftOut: count,
  },
  { rows: fields({ removed: count, changed: count }), detail: text, isDamaged: flag },
)

export const BUNDLES = fields({ node: text, bundles: listOf(BUNDLE) })
export const REMOVED_BUNDLE = fields({ bundle: BUNDLE, isRemoved: flag })
export const BUNDLE_SQL = fields({ sql: longText, inserted: count, conflicts: count })

const CELL = fields({ kind: text, text, size: count, isCut: flag })
const FIELD = fields({
  name: longText,
  isKey: flag,
  before: CELL,
  here: nullable(CELL),
  there: nullable(CELL),
})

export const BUNDLE_PAGE = fields({
  rows: listOf(
    fields({
      row: count,
      table: longText,
      kind: text,
      here: text,
      fields: listOf(FIELD),
      fieldsLeftOut: count,
      bytes: count,
    }),
  ),
  next: nullable(count),
  detail: nullable(text),
})

/**
 * A row of a bundle as a person looks at it: each value cut to a bound, and its kind told apart.
 *
 *   before   as this node had it when the bundle was made
 *   here     as this node's database has it now
 *   there    as the leader had it when the rows were compared
 */

/** Rows of a page. */
export const MAX_PAGE_ROWS = 100
/** Rows whose SQL is asked for at once by their names. */
export const MAX_CHOSEN_ROWS = 1000

/** `bytes`: a text that is no well-formed Unicode, in hexadecimal. */
export type CellKind = 'null' | 'integer' | 'real' | 'text' | 'blob' | 'bytes'

export interface KeptCell {
  readonly kind: CellKind
  /** The value or its beginning; a blob in hexadecimal; '' for NULL. */
  readonly text: string
  /** Of the whole value: characters, or bytes of a blob. */
  readonly size: number
  readonly isCut: boolean
}

export interface KeptField {
  readonly name: string
  readonly isKey: boolean
  readonly before: KeptCell
  /** Null where there is no such row or column. */
  readonly here: KeptCell | null
  readonly there: KeptCell | null
  /** Whether the whole value differs from `before`. False where nothing is known. */
  readonly isHereChanged: boolean
  readonly isThereChanged: boolean
}

/** How a row is now in this node's database, beside `before`; `unknown`: it cannot be told. */
export type HereState = 'same' | 'differs' | 'missing' | 'unknown'

export interface KeptRow {
  /** Names the row within its bundle. */
  readonly row: number
  readonly table: string
  /** `removed`: the leader lacks it; `changed`: the leader has it with other values. */
  readonly kind: 'removed' | 'changed'
  readonly here: HereState
  /** Empty for a row that is too large to be shown. */
  readonly fields: readonly KeptField[]
  /** Columns past the bound of one row. */
  readonly fieldsLeftOut: number
  /** Bytes of the row in the list of the bundle. */
  readonly bytes: number
}

export interface KeptPage {
  readonly rows: readonly KeptRow[]
  /** Where the next page begins; null at the end. */
  readonly next: number | null
  /** Why the rows could not be compared with this node's database; null when they were. */
  readonly detail: string | null
}

export interface KeptTable {
  readonly table: string
  readonly removed: number
  readonly changed: number
}

/** SQL that brings rows of a bundle back, and how many rows it is about. */
export interface KeptSql {
  readonly sql: string
  /** Rows that it inserts. */
  readonly inserted: number
  /** Rows with other values: overwritten when that was asked for, else told in comments. */
  readonly conflicts: number
}

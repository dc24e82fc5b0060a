/** The b-trees that a database's schema names. */
import { decodeRecord } from './storedRecord.ts'

/** The b-tree of a table or an index. */
export interface Tree {
  /** Number of its root page. */
  readonly root: number
  readonly isTable: boolean
}

/**
 * The root page of the schema's own b-tree:
 * https://sqlite.org/fileformat2.html#storage_of_the_sql_database_schema.
 */
export const SCHEMA_ROOT = 1

/**
 * The b-tree that a row of sqlite_schema (type, name, tbl_name, rootpage, sql) names, undefined
 * when it names none: views and triggers have no pages. Throws DamagedPage.
 */
export function treeOf(record: Buffer): Tree | undefined {
  const [type, , , root] = decodeRecord(record, 4)
  if (typeof root !== 'bigint' || root < 2n) return undefined
  const isTable =
    type !== null && typeof type === 'object' && 'text' in type && isTableText(type.text)
  return { root: Number(root), isTable }
}

/** Whether `text` is `table`, in any of the encodings of SQLite. */
function isTableText(text: Buffer): boolean {
  return text.toString('latin1').replaceAll('\0', '') === 'table'
}

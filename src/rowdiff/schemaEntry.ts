/** A row of sqlite_schema, as its b-tree holds it. */
import { DamagedPage } from '../sqlite/btreePage.ts'
import type { StoredValue } from '../sqlite/storedRecord.ts'
import type { SchemaEntry } from './schemaCopy.ts'

/**
 * `values`: the columns type, name, tbl_name, rootpage, sql (https://sqlite.org/schematab.html).
 * `encoding`: of the database. Throws DamagedPage.
 */
export function schemaEntryOf(values: readonly StoredValue[], encoding: string): SchemaEntry {
  const decoder = new TextDecoder(encoding.toLowerCase(), { ignoreBOM: true })
  const text = (value: StoredValue | undefined) => {
    if (value === null || typeof value !== 'object' || !('text' in value))
      throw new DamagedPage('a row of the schema is not one')
    return decoder.decode(value.text)
  }
  const [type, name, table, root, sql] = values
  return {
    type: text(type),
    name: text(name),
    table: text(table),
    root: typeof root === 'bigint' ? Number(root) : 0,
    sql: sql === null || sql === undefined ? null : text(sql),
  }
}

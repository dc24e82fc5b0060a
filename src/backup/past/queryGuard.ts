/**
 * What a query from elsewhere may do: read. SQLite's own test of a statement lets through what
 * changes no database: ATTACH, and PRAGMA that sets something of the connection.
 */
import type { PastDatabase } from './pastDatabase.ts'
import type { WasmLibrary } from './wasmLibrary.ts'

/** They tell something, and set nothing. */
const TELLING: ReadonlySet<string> = new Set([
  'application_id',
  'collation_list',
  'compile_options',
  'data_version',
  'database_list',
  'encoding',
  'foreign_key_check',
  'foreign_key_list',
  'freelist_count',
  'function_list',
  'index_info',
  'index_list',
  'index_xinfo',
  'integrity_check',
  'module_list',
  'page_count',
  'page_size',
  'pragma_list',
  'quick_check',
  'schema_version',
  'table_info',
  'table_list',
  'table_xinfo',
  'user_version',
])
/** The argument of these names what they tell of; that of the others is a value to be set. */
const ABOUT: ReadonlySet<string> = new Set(
  [...TELLING].filter((name) => /_(?:info|xinfo|list|check)$/.test(name)),
)
const REFUSED_FUNCTIONS: ReadonlySet<string> = new Set([
  'load_extension',
  'edit',
  'writefile',
  'fts3_tokenizer',
])

export function guard({ capi }: WasmLibrary, db: PastDatabase): void {
  db.authorize((action, first, second) => {
    switch (action) {
      case capi.SQLITE_SELECT:
      case capi.SQLITE_READ:
      case capi.SQLITE_RECURSIVE:
        return true
      case capi.SQLITE_FUNCTION:
        return !REFUSED_FUNCTIONS.has(second.toLowerCase())
      case capi.SQLITE_PRAGMA:
        return mayTell(first.toLowerCase(), second)
      default:
        return false
    }
  })
}

function mayTell(pragma: string, value: string): boolean {
  return TELLING.has(pragma) && (value === '' || ABOUT.has(pragma))
}

/** The operator's query on a restored database. */
import { WalcastError } from '../../errors.ts'
import { plainText } from '../../plainText.ts'
import { close, openReadOnly, rows, SqliteThread } from '../../sqlite/sqliteThread.ts'

const CONNECTION = 'check'
const MAX_VALUE_CHARS = 100

/**
 * The query must give one row whose first value is 1 (which TRUE is in SQLite). It cannot write.
 * Throws DRILL_CHECK_FAILED.
 */
export async function requireCheck(path: string, sql: string, position: string): Promise<void> {
  const thread = new SqliteThread()
  try {
    const [opened, asked] = await thread.attempt(
      openReadOnly(CONNECTION, path),
      rows(CONNECTION, sql),
      close(CONNECTION),
    )
    const failed = [opened, asked].find((result) => !result.ok)
    const detail = failed && !failed.ok ? `${failed.code} ${failed.detail}` : problemIn(asked)
    if (detail !== undefined) throw new WalcastError('DRILL_CHECK_FAILED', { position, detail })
  } finally {
    await thread.stop([])
  }
}

/**
 * Why the query would fail on the database as it is, such as a table that is not there yet. The
 * query is prepared, and not run. Undefined when nothing is wrong, or another program is at work.
 */
export async function unfitness(path: string, sql: string): Promise<string | undefined> {
  const thread = new SqliteThread()
  try {
    const [opened, explained] = await thread.attempt(
      openReadOnly(CONNECTION, path),
      rows(CONNECTION, `EXPLAIN ${sql}`),
      close(CONNECTION),
    )
    const isWrong = opened?.ok && explained && !explained.ok && explained.code === 'SQLITE_ERROR'
    return isWrong ? explained.detail : undefined
  } finally {
    await thread.stop([])
  }
}

function problemIn(asked: { readonly ok: boolean; readonly value?: unknown }): string | undefined {
  const found = Array.isArray(asked.value) ? asked.value : []
  if (found.length !== 1) return `it gives ${found.length} rows, and not one`
  const [value] = Object.values(Object(found[0]))
  if (value === 1 || value === 1n) return undefined
  return `it gives ${plainText(String(value), MAX_VALUE_CHARS)}, and not 1`
}

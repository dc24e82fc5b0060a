/** What is wrong with a query, as far as no database is needed to tell. */
import Database from 'better-sqlite3'
import { messageOf } from '../errors.ts'

/** Only a database tells which tables it has. */
const OF_DATABASE = /^no such table: /

/**
 * Undefined when the text is one statement that gives rows, if its tables are there. It is prepared
 * on an empty database in memory, and not run.
 */
export function queryProblem(sql: string): string | undefined {
  const db = new Database(':memory:')
  try {
    return db.prepare(sql).reader ? undefined : 'it gives no rows'
  } catch (error) {
    const problem = messageOf(error)
    return OF_DATABASE.test(problem) ? undefined : problem
  } finally {
    db.close()
  }
}

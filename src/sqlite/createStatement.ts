/**
 * The CREATE statement of a table, to be run elsewhere. A file may hold any text in its place, with
 * statements or an open comment behind it, and SQLite passes over these. So SQLite makes the table
 * in memory and says how.
 */
import Database from 'better-sqlite3'

/**
 * One statement without its semicolon; undefined when SQLite does not make the table `name` from
 * `sql`.
 */
export function createStatement(sql: string, name: string): string | undefined {
  const db = new Database(':memory:')
  try {
    // More than one statement is refused here.
    db.prepare(sql).run()
    const made = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return db.prepare<[string], string>(made).pluck().get(name)
  } catch {
    // It needs something of an application, or is no statement. The difference of schemas shows its
    // text.
    return undefined
  } finally {
    db.close()
  }
}

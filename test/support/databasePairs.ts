/** Pairs of small databases to compare, and their rows read without the code under test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'

export class PairFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'walcast-diff-test-'))
  #next = 0

  file(name: string): string {
    return join(this.path, name)
  }

  /** Two new databases, made by SQL. */
  pair(before: string, after: string): [string, string] {
    const number = this.#next++
    return [this.make(`before${number}.db`, before), this.make(`after${number}.db`, after)]
  }

  make(name: string, sql: string): string {
    run(this.file(name), sql)
    return this.file(name)
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** Runs SQL without foreign keys, as SQLite does by default. */
export function run(path: string, sql: string): void {
  const db = new Database(path)
  try {
    db.pragma('foreign_keys = OFF')
    db.pragma('synchronous = OFF')
    // Lets a test write to sqlite_schema.
    db.unsafeMode()
    db.exec(sql)
  } finally {
    db.close()
  }
}

/** Each row as text with every byte and type, sorted. `columns` are expressions. */
export function dump(path: string, table: string, columns: readonly string[]): string[] {
  const db = new Database(path, { readonly: true })
  try {
    const list = columns.map(
      (c) =>
        `typeof(${c}), CASE typeof(${c}) WHEN 'real' THEN printf('%!.26g', ` +
        `${c}) ELSE hex(${c}) END`,
    )
    return (
      db
        .prepare(`SELECT ${list.join(', ')} FROM ${table}`)
        .raw()
        .all() as unknown[][]
    )
      .map((row) => row.join('|'))
      .sort()
  } finally {
    db.close()
  }
}

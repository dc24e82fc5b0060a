/**
 * Values that were read, for as long as the database has not moved. `PRAGMA data_version` changes
 * when another connection commits, of this process or another: an application, a node that applies
 * what its leader sent. `total_changes()` changes with every row that this connection writes.
 *
 * Within a transaction nothing is kept or given: a rollback leaves no trace in either number. Nor
 * does a schema change of this very connection: after one, call `clear`.
 */
import type Database from 'better-sqlite3'

export class SettingsCache<Value> {
  readonly #db: Database.Database
  readonly #maxEntries: number
  readonly #dataVersion: Database.Statement<[], number>
  readonly #totalChanges: Database.Statement<[], number>
  /** The least recently used first. */
  readonly #entries = new Map<string, Value>()
  #version = -1
  #changes = -1

  constructor(db: Database.Database, maxEntries: number) {
    this.#db = db
    this.#maxEntries = maxEntries
    this.#dataVersion = db.prepare<[], number>('PRAGMA main.data_version').pluck()
    this.#totalChanges = db.prepare<[], number>('SELECT total_changes()').pluck()
  }

  /** The value of `name` as the database has it now: what `read` gives, or gave. */
  get(name: string, read: () => Value, isKept: (value: Value) => boolean): Value {
    if (this.#db.inTransaction) return read()
    // Before the read: what comes between the two makes the value newer than its mark, never older.
    this.#follow()
    const known = this.#entries.get(name)
    if (known === undefined) {
      const value = read()
      if (isKept(value)) this.#keep(name, value)
      return value
    }
    this.#entries.delete(name)
    this.#entries.set(name, known)
    return known
  }

  clear(): void {
    this.#entries.clear()
  }

  #follow(): void {
    const version = this.#dataVersion.get() ?? -1
    const changes = this.#totalChanges.get() ?? -1
    if (version === this.#version && changes === this.#changes) return
    this.#entries.clear()
    this.#version = version
    this.#changes = changes
  }

  #keep(name: string, value: Value): void {
    this.#entries.set(name, value)
    if (this.#entries.size <= this.#maxEntries) return
    const [oldest] = this.#entries.keys()
    this.#entries.delete(oldest)
  }
}

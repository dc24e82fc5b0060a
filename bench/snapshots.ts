/** Whole copies of a SQLite database that other processes write to. */
import type Database from 'better-sqlite3'
import { openForReading } from './clients/sqlite.ts'

/** Bytes of the header that say WAL (2) or not (1): the file format's write and read versions. */
const VERSIONS_AT = 18
const NO_WAL = 1

export class Snapshots {
  readonly #db: Database.Database
  readonly #take: () => Buffer | undefined
  /**
   * `PRAGMA data_version` of the last copy: changes when another connection has committed or
   * started the WAL over.
   */
  #version: unknown

  /** Keeps a connection open. Throws SqliteError. */
  constructor(path: string) {
    this.#db = openForReading(path)
    this.#take = this.#db.transaction(() => {
      const version = this.#db.pragma('data_version', { simple: true })
      if (version === this.#version) return undefined
      this.#version = version
      return this.#db.serialize()
    })
  }

  /**
   * The database as one file that needs no WAL, or undefined when unchanged since the last call.
   * Reads it in one read transaction, as an online backup in one step does, but without a file in
   * between. A backup in several steps restarts at every commit and would not end beside a writer.
   */
  next(): Buffer | undefined {
    const copy = this.#take()
    copy?.fill(NO_WAL, VERSIONS_AT, VERSIONS_AT + 2)
    return copy
  }

  close(): void {
    this.#db.close()
  }
}

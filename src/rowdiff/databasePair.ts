/**
 * Two databases on one connection that only reads, both held at one snapshot.
 *
 * Only SQLite opens files of a database here: closing any other descriptor would drop the locks of
 * the whole process (see pinnedFiles.ts), and this runs inside a node too.
 */
import Database from 'better-sqlite3'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { realpathSync, statSync } from '../platform/files.ts'
import { databaseError } from '../sqlite/databaseFiles.ts'
import type { TextEncoding } from '../sqlite/databaseHeader.ts'

/**
 * SQLite's names for the two databases on the connection: the one opened and the one attached to
 * it.
 */
export const BEFORE = 'main'
export const AFTER = 'other'
export type Side = typeof BEFORE | typeof AFTER

const BUSY_MS = 5000

/** A database file before it is opened. */
interface Found {
  readonly path: string
  /** There is a WAL: another connection has the database open, or one crashed. */
  readonly hasWal: boolean
}

export class DatabasePair {
  readonly db: Database.Database
  /** The encoding of both databases. */
  readonly encoding: TextEncoding
  readonly #found: readonly Found[]

  /** Throws DB_MISSING, DB_NOT_SQLITE, DB_UNREADABLE, DB_CORRUPT, DB_LOCKED or ENCODINGS_DIFFER. */
  constructor(before: string, after: string) {
    const first = find(before)
    const second = find(after)
    this.#found = [first, second]
    this.db = attempt(first.path, () => openReadOnly(first.path))
    try {
      this.encoding = this.#begin(first, second)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** The catalogue's error for a failed query, which may be due to either file. */
  errorOf(error: unknown): unknown {
    if (!(error instanceof Database.SqliteError)) return error
    return failure(this.#found.map(({ path }) => path).join(' or '), error)
  }

  /**
   * Ends the snapshot. Throws as the constructor does when the files that it made cannot be
   * removed.
   */
  close(): void {
    this.db.close()
    for (const { path, hasWal } of this.#found)
      if (!hasWal) attempt(path, () => removeEmptyWal(path))
  }

  #begin(first: Found, second: Found): TextEncoding {
    const { db } = this
    const encoding = attempt(first.path, () => {
      db.pragma('trusted_schema = OFF')
      // An index made on the fly would take memory in proportion to a table.
      db.pragma('automatic_index = OFF')
      return db.pragma('encoding', { simple: true }) as TextEncoding
    })
    attach(db, first.path, second.path)
    db.exec('BEGIN')
    // A snapshot begins with the first read, not with BEGIN.
    for (const [side, { path }] of [
      [BEFORE, first],
      [AFTER, second],
    ] as const)
      attempt(path, () => db.prepare(`SELECT count(*) FROM ${side}.sqlite_schema`).get())
    return encoding
  }
}

function openReadOnly(path: string): Database.Database {
  return new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS })
}

/**
 * SQLite opens the attached file with the flags of the connection: for reading, and never makes it.
 */
function attach(db: Database.Database, before: string, after: string): void {
  try {
    db.prepare(`ATTACH ? AS ${AFTER}`).run(after)
  } catch (error) {
    if (/same text encoding/.test(messageOf(error)))
      throw new WalcastError('ENCODINGS_DIFFER', { before, after }, error)
    throw failure(after, error)
  }
}

/** Throws DB_MISSING, DB_NOT_SQLITE or DB_UNREADABLE. */
function find(given: string): Found {
  const { isFile, path } = look(given)
  if (!isFile) throw new WalcastError('DB_NOT_SQLITE', { path: given })
  // better-sqlite3 trims the name, and would open another file.
  if (path !== path.trim())
    throw new WalcastError('DB_UNREADABLE', { path, detail: 'its name ends in white space' })
  return { path, hasWal: statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined }
}

function look(given: string): { readonly isFile: boolean; readonly path: string } {
  try {
    const found = statSync(given, { throwIfNoEntry: false })
    if (!found) throw new WalcastError('DB_MISSING', { path: given })
    // SQLite names the WAL after the file behind the links.
    return { isFile: found.isFile(), path: realpathSync(given) }
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw new WalcastError('DB_UNREADABLE', { path: given, detail: messageOf(error) }, error)
  }
}

/**
 * Reading a database in WAL mode makes its `-wal` and `-shm`, and a connection that only reads
 * leaves them behind. One that may write takes them away as it closes. It has nothing to write: a
 * WAL of 0 bytes holds no commit.
 */
function removeEmptyWal(path: string): void {
  if (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size !== 0) return
  const db = new Database(path, { fileMustExist: true, timeout: BUSY_MS })
  try {
    db.pragma('query_only = ON')
    db.pragma('user_version')
  } finally {
    db.close()
  }
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw failure(path, error)
  }
}

function failure(path: string, error: unknown): WalcastError {
  return databaseError(path, { ok: false, code: systemCode(error), detail: messageOf(error) })
}

/**
 * The place where a restored database goes, and what lies there. A file that is there is replaced
 * only when that is asked for, while nothing has it open, and without its logs: SQLite would play
 * them into the new one.
 */
import { dirname, join, resolve, sep } from 'node:path'
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { FileOps } from '../platform/fileOps.ts'
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from '../platform/files.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { userOf } from '../sqlite/databaseUsers.ts'
import { close, exec, open, rows, SqliteThread, type StepResult } from '../sqlite/sqliteThread.ts'
import { LOGS, removeLogs } from './sideFile.ts'

const MAX_CHARS = 300
const MAGIC = 'SQLite format 3\0'
const CONNECTION = 'replaced'
/** SQLite's own tries for the lock on the old file. */
const BUSY_MS = 2000

export interface RestorePlace {
  /** Without symbolic links. */
  readonly path: string
  /** Whether a database, or an empty file, is there. */
  readonly isThere: boolean
}

/**
 * Looks at `to`. `archive`: the folder of the archive, if it is one. Changes nothing. Throws
 * RESTORE_REFUSED, RESTORE_IN_USE or DB_UNREADABLE.
 */
export function restorePlace(
  to: string,
  isForced: boolean,
  archive: string | undefined,
): RestorePlace {
  const folder = dirname(resolve(to))
  if (!existsSync(folder))
    throw refused(to, `there is no folder ${folder}`, 'make it, or give --to another path')
  const link = lstatSync(to, { throwIfNoEntry: false })
  const found = statSync(to, { throwIfNoEntry: false })
  if (link && !found) throw refused(to, 'it is a link to a file that does not exist')
  if (found?.isDirectory())
    throw refused(
      to,
      'it is a folder',
      `give --to the path of a file, such as ${join(to, 'app.db')}`,
    )
  if (found && !found.isFile()) throw refused(to, 'it is no plain file')
  const path = resolveDatabase(to)
  if (archive !== undefined && isInside(path, archive))
    throw refused(to, 'it is inside the archive')
  if (!found) return { path, isThere: requireNoLogs(path, isForced) }
  if (!isForced)
    throw refused(to, 'a file is there', 'give --to another path, or replace it with --force')
  if (found.size > 0 && !isSqlite(path))
    throw refused(to, 'the file there is no SQLite database', 'move it away')
  const user = userOf(path)
  if (user) throw inUse(path, `${user} has it open`)
  return { path, isThere: true }
}

/** A log without its database would be played into what comes there. */
function requireNoLogs(path: string, isForced: boolean): false {
  const log = LOGS.map((suffix) => `${path}${suffix}`).find((each) => existsSync(each))
  if (log === undefined || isForced) return false
  const detail = `${log} is left there from an older database`
  throw refused(path, detail, 'move it away, or remove it with --force')
}

function isInside(path: string, folder: string): boolean {
  if (!existsSync(folder)) return false
  const real = realpathSync(folder)
  return path === real || path.startsWith(real.endsWith(sep) ? real : `${real}${sep}`)
}

/** SQLite has it not open in this process, so that closing a descriptor drops no lock. */
function isSqlite(path: string): boolean {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    const head = Buffer.alloc(MAGIC.length)
    return (
      readSync(fd, head, 0, head.length, 0) === head.length && head.toString('latin1') === MAGIC
    )
  } finally {
    closeSync(fd)
  }
}

/** The old file while it is replaced: no other program may open it to read or write. */
export class ReplacedFile {
  readonly #place: RestorePlace
  readonly #ops: FileOps
  #thread: SqliteThread | undefined

  constructor(place: RestorePlace, ops: FileOps) {
    this.#place = place
    this.#ops = ops
  }

  /**
   * Takes SQLite's exclusive lock, which also puts into the old file what its logs have, and takes
   * it out of WAL mode. A file that SQLite cannot read needs no lock: no other program can read it.
   * Throws RESTORE_IN_USE.
   */
  async lock(): Promise<void> {
    const { path, isThere } = this.#place
    if (!isThere) return
    const user = userOf(path)
    if (user) throw inUse(path, `${user} has it open`)
    this.#thread ??= new SqliteThread()
    const results = await this.#thread.attempt(
      open(CONNECTION, path, BUSY_MS),
      exec(CONNECTION, 'PRAGMA locking_mode = EXCLUSIVE'),
      // In WAL mode the close would remove the log of a program that opens the new file just then.
      rows(CONNECTION, 'PRAGMA journal_mode = DELETE'),
      exec(CONNECTION, 'BEGIN EXCLUSIVE'),
    )
    if (results.some((result) => isBusy(result) || isStillWal(result)))
      throw inUse(path, 'another program has it open')
  }

  /** Gives `side` the name of the place. Throws DISK_FULL or WRITE_FAILED. */
  async replaceBy(side: string): Promise<void> {
    const { path, isThere } = this.#place
    if (isThere) this.#ops.supersede(side, path)
    else {
      removeLogs(path)
      this.#ops.publish(side, path)
    }
  }

  async unlock(): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    if (!thread) return
    await thread.attempt(exec(CONNECTION, 'COMMIT'), close(CONNECTION))
    await thread.stop([])
  }
}

function isBusy(result: StepResult): boolean {
  return !result.ok && /^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(result.code)
}

/** What the pragma answers when it could not leave the mode. */
function isStillWal(result: StepResult): boolean {
  const [row] = result.ok && Array.isArray(result.value) ? result.value : []
  return row?.journal_mode === 'wal'
}

function refused(path: string, detail: string, cure?: string): WalcastError {
  const shown = plainText(path, MAX_CHARS)
  return new WalcastError('RESTORE_REFUSED', { path: shown, detail, ...(cure && { cure }) })
}

function inUse(path: string, detail: string): WalcastError {
  return new WalcastError('RESTORE_IN_USE', { path, detail })
}

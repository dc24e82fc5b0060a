/** Finding and opening a database, with one clear error for each way it can be unfit. */
import { endianness } from 'node:os'
import { messageOf, openError, systemCode, WalcastError } from '../errors.ts'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  readSync,
  realpathSync,
  statSync,
} from '../platform/files.ts'
import { openPlain, requirePlainLog } from '../platform/plainFiles.ts'
import { namedPageSize } from './databaseHeader.ts'
import { requireSafeLibrary } from './libraryVersion.ts'
import { type PinnedFile, pinFile } from './pinnedFiles.ts'
import { close, open, rows, type SqliteThread, type StepResult } from './sqliteThread.ts'
import { isPageSize } from './walFormat.ts'

const SQLITE_MAGIC = 'SQLite format 3\0'

/** The files of an open database in WAL mode. */
export interface DatabaseFiles {
  readonly path: string
  readonly walPath: string
  readonly pageSize: number
  readonly database: PinnedFile
  readonly shm: PinnedFile
  /** The WAL carries no locks: an ordinary descriptor, closed by its owner. */
  readonly walFd: number
  /**
   * Why what was written through these descriptors may never reach the disk; undefined while every
   * sync has succeeded.
   */
  syncFailure?: unknown
  /** Size of the WAL file when it was closed; undefined while it is open. */
  closedWalBytes?: number
}

/**
 * Size of the WAL file, which may be far more than the WAL holds: starting it over does not cut it.
 */
export function walFileBytes({
  walFd,
  closedWalBytes,
}: Pick<DatabaseFiles, 'walFd' | 'closedWalBytes'>): number {
  return closedWalBytes ?? fstatSync(walFd).size
}

/** The node tells its size until it has stopped altogether. */
export function closeWal(files: DatabaseFiles): void {
  files.closedWalBytes = walFileBytes(files)
  closeSync(files.walFd)
}

/**
 * The path without symbolic links, so that every node means the same file; the file itself need not
 * exist yet.
 */
export function resolveDatabase(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT')
      throw new WalcastError('DB_UNREADABLE', { path, detail: messageOf(error) }, error)
    const slash = path.lastIndexOf('/')
    const folder = slash < 0 ? '.' : path.slice(0, slash) || '/'
    if (!existsSync(folder))
      throw new WalcastError('DB_UNREADABLE', { path, detail: `there is no folder ${folder}` })
    return `${realpathSync(folder)}/${path.slice(slash + 1)}`
  }
}

/**
 * Names that the file has: with more than one, SQLite opened by another name uses another WAL
 * (https://sqlite.org/howtocorrupt.html, "Multiple links to the same file"). 0 when there is no
 * file.
 */
export function linkCount(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.nlink ?? 0
}

/** Throws DB_MISSING, DB_UNREADABLE or DB_NOT_SQLITE. An empty file is an empty database. */
export function inspectDatabase(path: string): PinnedFile {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw new WalcastError('DB_MISSING', { path })
  if (!found.isFile()) throw new WalcastError('DB_NOT_SQLITE', { path })
  const file = pinFile(path)
  const header = Buffer.alloc(100)
  const got = readSync(file.fd, header, 0, header.length, 0)
  if (got === 0) return file
  if (got < header.length || header.toString('latin1', 0, 16) !== SQLITE_MAGIC)
    throw new WalcastError('DB_NOT_SQLITE', { path })
  return file
}

/**
 * What lies where a first copy is to be. An empty file is an empty database, which a program may
 * have open. Throws STRAY_WAL when a log lies beside no database or an empty one: SQLite would play
 * it into whatever comes there; DB_LOCKED when a program is filling it.
 */
export function foundAt(path: string): 'nothing' | 'empty' | 'bytes' {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found && !(found.isFile() && found.size === 0)) return 'bytes'
  const [wal, journal] = [`${path}-wal`, `${path}-journal`]
  if (found && fileBytes(journal) > 0) throw underWay(path, journal)
  for (const log of [wal, journal])
    if (fileBytes(log) >= (found ? 1 : 0)) throw new WalcastError('STRAY_WAL', { path: log })
  return found ? 'empty' : 'nothing'
}

/** -1 when there is no such file. */
function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1
}

function underWay(path: string, journal: string): WalcastError {
  return new WalcastError('DB_LOCKED', {
    path,
    detail: `a transaction is under way in it (${journal})`,
  })
}

/**
 * Whether the file at `path` is a database without content, as `PRAGMA journal_mode = WAL` makes
 * one of an empty file: many programs begin with that. Nothing is changed. Throws DB_LOCKED or
 * DB_UNREADABLE.
 */
export async function isBlankDatabase(thread: SqliteThread, path: string): Promise<boolean> {
  if (!isOnePage(path)) return false
  const journal = `${path}-journal`
  if (fileBytes(journal) > 0) throw underWay(path, journal)
  const sql =
    'SELECT (SELECT count(*) FROM sqlite_schema) AS entries, page_count FROM pragma_page_count'
  const [opened, read] = await thread.attempt(
    open('look', path, 2000),
    rows('look', sql),
    close('look'),
  )
  const failed = [opened, read].find((result) => !result.ok)
  if (failed && !failed.ok) {
    const error = databaseError(path, failed)
    if (error.key === 'DB_NOT_SQLITE' || error.key === 'DB_CORRUPT') return false
    throw error
  }
  const [{ entries, page_count: pages }] = (
    read as { value: { entries: number; page_count: number }[] }
  ).value
  return entries === 0 && pages === 1
}

/** Whether the file may be a database of one page with nothing in its WAL, by the sizes alone. */
export function isOnePage(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isFile() === true && isPageSize(found.size) && fileBytes(`${path}-wal`) <= 0
}

/** The page size that a database file's header names, 0 for an empty file. */
export function headerPageSize(file: PinnedFile): number {
  const header = Buffer.alloc(18)
  if (readSync(file.fd, header, 0, header.length, 0) < header.length) return 0
  return namedPageSize(header)
}

/** Bytes of the database file now. */
export function databaseBytes(file: PinnedFile): number {
  return statSync(file.path).size
}

/** Throws UNSUPPORTED_HOST or SQLITE_TOO_OLD. */
export async function requireSafeHost(thread: SqliteThread): Promise<void> {
  if (endianness() !== 'LE')
    throw new WalcastError('UNSUPPORTED_HOST', { detail: 'it is big-endian' })
  await thread.run(open('version', ':memory:', 0, true))
  const [row] = (await thread.run(rows('version', 'SELECT sqlite_version() AS version'))) as {
    version: string
  }[]
  requireSafeLibrary(row.version)
}

/**
 * Opens connection `keeper`, which lives as long as the node so that no last close ever removes the
 * WAL, and switches the database to WAL mode if it is not. `onSwitch` hears the mode it was in. The
 * schema is not read: a copy with a damaged page must open, so that it can be mended.
 */
export async function adoptDatabase(
  thread: SqliteThread,
  path: string,
  onSwitch: (mode: string) => void,
): Promise<DatabaseFiles> {
  requirePlainLog(path)
  const database = inspectDatabase(path)
  const [opened] = await thread.attempt(open('keeper', path, 2000))
  if (!opened.ok) throw databaseError(path, opened)
  if (!isInWalMode(database)) await switchToWal(thread, path, onSwitch)
  await checked(thread, path, 'PRAGMA user_version')
  return openFiles(database, headerPageSize(database))
}

/** Throws DB_CORRUPT when the schema cannot be read. */
export async function requireSoundSchema(thread: SqliteThread, path: string): Promise<void> {
  await checked(thread, path, 'SELECT count(*) FROM sqlite_master')
}

async function switchToWal(
  thread: SqliteThread,
  path: string,
  onSwitch: (mode: string) => void,
): Promise<void> {
  const [before] = (await checked(thread, path, 'PRAGMA journal_mode')) as {
    journal_mode: string
  }[]
  const [now] = (await checked(thread, path, 'PRAGMA journal_mode = WAL')) as {
    journal_mode: string
  }[]
  if (now.journal_mode !== 'wal')
    throw new WalcastError('DB_WAL_REFUSED', {
      path,
      detail: `it stays in ${now.journal_mode} mode`,
    })
  if (before.journal_mode !== 'wal') onSwitch(before.journal_mode)
}

/**
 * Read and write version 2 in the header
 * (https://sqlite.org/fileformat2.html#file_format_version_numbers).
 */
function isInWalMode(database: PinnedFile): boolean {
  const versions = Buffer.alloc(2)
  return readSync(database.fd, versions, 0, 2, 18) === 2 && versions[0] === 2 && versions[1] === 2
}

/** Opens the `-wal` and `-shm` that SQLite has made for a database in WAL mode. */
export function openFiles(database: PinnedFile, pageSize: number): DatabaseFiles {
  const { path } = database
  if (!isPageSize(pageSize))
    throw new WalcastError('DB_CORRUPT', { path, detail: `page size ${pageSize}` })
  const walPath = `${path}-wal`
  return {
    path,
    walPath,
    pageSize,
    database,
    shm: pinFile(`${path}-shm`),
    walFd: openWal(walPath, statSync(path).mode & 0o666),
  }
}

function openWal(path: string, mode: number): number {
  try {
    return openPlain(path, constants.O_RDWR | constants.O_CREAT, mode)
  } catch (error) {
    throw openError(path, error)
  }
}

async function checked(thread: SqliteThread, path: string, sql: string): Promise<unknown> {
  const [result] = await thread.attempt(rows('keeper', sql))
  if (result.ok) return result.value
  throw databaseError(path, result)
}

/** The catalogue's error for what SQLite said of a database. */
export function databaseError(
  path: string,
  result: Extract<StepResult, { ok: false }>,
): WalcastError {
  const detail = `${result.code} ${result.detail}`
  if (result.code.startsWith('SQLITE_BUSY') || result.code.startsWith('SQLITE_LOCKED'))
    return new WalcastError('DB_LOCKED', { path, detail })
  if (result.code === 'SQLITE_NOTADB') return new WalcastError('DB_NOT_SQLITE', { path })
  if (result.code.startsWith('SQLITE_CORRUPT'))
    return new WalcastError('DB_CORRUPT', { path, detail })
  return new WalcastError('DB_UNREADABLE', { path, detail })
}

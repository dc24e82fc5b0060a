/**
 * Opens the files that a node keeps beside its database and in its folder. Whoever may write in a
 * folder may put a symbolic link there, and a node that followed it would change a file that its
 * maker may not change. So the last name of a path is not followed. The database itself may be a
 * link: its files lie beside the file behind the link (resolveDatabase).
 *
 * Nothing here removes or changes what it refuses.
 */
import type { Stats } from 'node:fs'
import { systemCode, WalcastError } from '../errors.ts'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
} from './files.ts'

/** Names a file without opening it; node:fs has no name for it (asm-generic/fcntl.h of Linux). */
const O_PATH = 0o10000000

/**
 * Throws STRANGE_FILE when something else than a plain file lies at `path`: a link, a folder, a
 * pipe.
 */
export function requirePlainFile(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found && !found.isFile()) throw strangeFile(path, kindOf(path, found))
}

/** The same of the log and the wal-index of the database at `path`, as SQLite has it of them. */
export function requirePlainLog(path: string): void {
  for (const suffix of ['-wal', '-shm']) requirePlainFile(`${path}${suffix}`)
}

/** open(2) of a plain file, or of none with O_CREAT. Throws STRANGE_FILE, or what open(2) does. */
export function openPlain(path: string, flags: number, mode?: number): number {
  requirePlainFile(path)
  try {
    return openSync(path, flags | constants.O_NOFOLLOW, mode)
  } catch (error) {
    // It was put there just now.
    throw systemCode(error) === 'ELOOP' ? strangeFile(path, 'a symbolic link') : error
  }
}

/**
 * Sets the permission bits of the plain file at `path`, if there is one: of the very file that was
 * looked at, whatever has its name by then. May be done to a database: closing a descriptor of
 * O_PATH drops no locks (filp_close in fs/open.c of Linux). Throws STRANGE_FILE, or what chmod(2)
 * does.
 */
export function setMode(path: string, mode: number): void {
  const fd = nameFile(path)
  if (fd === undefined) return
  try {
    const found = fstatSync(fd)
    if (!found.isFile()) throw strangeFile(path, kindOf(path, found))
    if ((found.mode & 0o7777) !== mode) chmodSync(`/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}

export function strangeFile(path: string, kind: string): WalcastError {
  return new WalcastError('STRANGE_FILE', { path, kind })
}

function nameFile(path: string): number | undefined {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What lies at `path`, for a person. */
export function kindOf(path: string, found: Stats): string {
  if (found.isFile()) return 'a plain file'
  if (found.isDirectory()) return 'a folder'
  return found.isSymbolicLink()
    ? `a symbolic link to ${targetOf(path)}`
    : 'a pipe, a socket or a device'
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return 'another file'
  }
}

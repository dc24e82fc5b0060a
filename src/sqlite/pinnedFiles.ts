/**
 * The registry of pinned files: database and `-shm` files are opened once and stay open until the
 * process ends.
 *
 * Closing any descriptor of such a file drops every POSIX lock that the whole process holds on it,
 * SQLite's included (fcntl(2), "record locks"; https://sqlite.org/src/file/src/os_unix.c, "Posix
 * Advisory Locking"). A `-wal` file carries no locks and does not belong here.
 */
import { openError } from '../errors.ts'
import { constants, fstatSync, lstatSync, openSync, statSync } from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'

export interface PinnedFile {
  readonly path: string
  readonly fd: number
  readonly dev: bigint
  readonly ino: bigint
}

const pinned = new Map<string, PinnedFile>()

/**
 * Opens `path` for reading and writing, or gives the descriptor opened before for the same file.
 * Throws STRANGE_FILE for a link, or DB_UNREADABLE.
 */
export function pinFile(path: string): PinnedFile {
  try {
    return pin(path)
  } catch (error) {
    throw openError(path, error)
  }
}

function pin(path: string): PinnedFile {
  const there = lstatSync(path, { bigint: true })
  const key = `${there.dev}:${there.ino}`
  const known = pinned.get(key)
  if (known) return known
  const fd = openPlain(path, constants.O_RDWR)
  const { dev, ino } = fstatSync(fd, { bigint: true })
  const file = { path, fd, dev, ino }
  pinned.set(`${dev}:${ino}`, file)
  return file
}

/** Whether `path` still names the pinned file, and not one moved over it. */
export function isStillThere(file: PinnedFile): boolean {
  const now = statSync(file.path, { bigint: true, throwIfNoEntry: false })
  return now !== undefined && now.ino === file.ino && now.dev === file.dev
}

const direct = new Map<string, number>()

/**
 * A second descriptor of a pinned file, for reads that come from the disk and not from the page
 * cache: pinned like the first. Undefined when `path` names another file by now. Throws what
 * open(2) does, EINVAL where the file system has no such reads.
 */
export function pinDirect(file: PinnedFile): number | undefined {
  const key = `${file.dev}:${file.ino}`
  const known = direct.get(key)
  if (known !== undefined) return known
  if (!isStillThere(file)) return undefined
  const fd = openSync(file.path, constants.O_RDONLY | constants.O_DIRECT)
  const { dev, ino } = fstatSync(fd, { bigint: true })
  // Whatever file it is: it may be another database of this process, so it stays open.
  direct.set(`${dev}:${ino}`, fd)
  return direct.get(key)
}

/**
 * The permission bits of a database file, its `-wal` and its `-shm`: the three files need one mode,
 * and SQLite creates them so (https://sqlite.org/src/file/src/os_unix.c, findCreateFileMode).
 *
 * It opens no descriptor that reads or writes: closing one drops SQLite's locks (see
 * pinnedFiles.ts).
 */

import { statSync } from '../platform/files.ts'
import { setMode } from '../platform/plainFiles.ts'

/** Read and write for the owner: a node needs both. */
const OWNER = 0o600
/** Read and write for everybody: a database is not a program, and has no set-id bits. */
const ANYBODY = 0o666

/** The bits of `mode` that a database file can have. */
export function usableMode(mode: number): number {
  return (mode & ANYBODY) | OWNER
}

/** Permission bits of the file at `path`, up to 0777; those of the owner when there is none. */
export function fileMode(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.mode ?? OWNER) & 0o777
}

/**
 * Gives `mode` to the database at `path` and to those of its files that exist. Throws STRANGE_FILE
 * for a link, and what chmod(2) does.
 */
export function setDatabaseMode(path: string, mode: number): void {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) setMode(file, mode)
}

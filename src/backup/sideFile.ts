/**
 * The file beside a database that becomes the database once it is whole (`FILE-restoring`). Only
 * its owner may read it.
 */
import { systemCode, writeError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { constants, openSync, rmSync } from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'
import { journalOf } from './restoreJournal.ts'

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
const ANEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
const OWN = 0o600
/** What SQLite may leave beside a database that it has looked at. */
export const LOGS = ['-wal', '-shm', '-journal']

export function sideOf(path: string): string {
  return `${path}-restoring`
}

export function removeLogs(database: string): void {
  for (const suffix of LOGS) rmSync(`${database}${suffix}`, { force: true })
}

/** What a restore to `path` has left. */
export function removeLeftovers(path: string): void {
  for (const each of [journalOf(path), sideOf(path)]) rmSync(each, { force: true })
  removeLogs(sideOf(path))
}

/** Throws DISK_FULL or WRITE_FAILED. */
export function makeSide(side: string): number {
  try {
    return openSync(side, ANEW, OWN)
  } catch (error) {
    throw writeError(side, error)
  }
}

/** Undefined when there is none. Throws STRANGE_FILE for a link. */
export function openSide(side: string): number | undefined {
  try {
    return openPlain(side, O_RDWR)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * A copy of `base`. It shares the blocks of the file where the file system can; otherwise they are
 * copied. Throws DISK_FULL or WRITE_FAILED.
 */
export function copyToSide(side: string, base: string, ops: FileOps): number {
  ops.copy('restore.copy', base, side)
  return openPlain(side, O_RDWR)
}

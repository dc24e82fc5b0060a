/** Files that hold secrets: nobody but the owner may read them. */
import type { Stats } from 'node:fs'
import { WalcastError } from '../errors.ts'
import { closeSync, fstatSync, openSync, readFileSync } from '../platform/files.ts'

/**
 * The rule of PostgreSQL for key files: only the owner may read the file. If root owns it, its
 * group may as well, as a system's secret reaches one service that way. Pipes and devices are
 * exempt. Throws SECRET_SHARED.
 */
function requirePrivate(path: string, stats: Stats): void {
  const refused = stats.uid === 0 ? 0o037 : 0o077
  if (!stats.isFile() || (stats.mode & refused) === 0) return
  throw new WalcastError('SECRET_SHARED', { path, mode: `0${(stats.mode & 0o777).toString(8)}` })
}

/** The text of a file that only its owner may read. Throws SECRET_SHARED, or the system's error. */
export function readPrivateFile(path: string): string {
  return readOpened(openSync(path, 'r'), path).trim()
}

/**
 * The text of an opened file, which is closed. `isPrivate`: nobody but the owner may read it.
 * Throws SECRET_SHARED, an Error for more than `maxBytes`, or the system's error.
 */
export function readOpened(
  file: number,
  path: string,
  { maxBytes = Infinity, isPrivate = true } = {},
): string {
  try {
    const stats = fstatSync(file)
    if (isPrivate) requirePrivate(path, stats)
    if (stats.size > maxBytes) throw new Error(`${stats.size} bytes are too many`)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

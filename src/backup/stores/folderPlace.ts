/**
 * What a folder needs to be the place of an archive of a database. A disk that is not mounted must
 * not become a folder on the disk of the database, where one failure takes both.
 */
import { basename, dirname, join, resolve } from 'node:path'
import { messageOf, systemCode, WalcastError } from '../../errors.ts'
import { existsSync, realpathSync, statSync } from '../../platform/files.ts'

const SQLITE_SUFFIXES = ['', '-wal', '-shm', '-journal']

/** Throws STORE_UNREACHABLE when neither the folder nor the one above it is there. */
export function requireReachable(folder: string): void {
  const parent = dirname(resolve(folder))
  if (existsSync(folder) || existsSync(parent)) return
  throw new WalcastError('STORE_UNREACHABLE', {
    store: folder,
    detail: `there is no folder ${parent}; its disk may not be mounted`,
  })
}

const DENIED = new Set(['EACCES', 'EPERM'])
const DENIED_CURE =
  'run this as the user that owns it, which is the user of the node that writes there, or as root'

/** What the system says against looking into a place, such as a missing right. */
export function unreachable(store: string, error: unknown): unknown {
  if (error instanceof WalcastError || systemCode(error) === '') return error
  const cure = DENIED.has(systemCode(error)) ? { cure: DENIED_CURE } : {}
  return new WalcastError('STORE_UNREACHABLE', { store, detail: messageOf(error), ...cure }, error)
}

/**
 * A database and what walcast keeps beside it are no place for its archive. `state`: the folder
 * that a node keeps. Throws STORE_PLACE.
 */
export function requireOwnPlace(place: string, db: string, state: string): void {
  const wanted = settled(place)
  const own = settled(state)
  const isInside = wanted === own || wanted.startsWith(`${own}/`)
  const isFile = SQLITE_SUFFIXES.some((suffix) => wanted === `${settled(db)}${suffix}`)
  if (!isInside && !isFile) return
  const detail = isFile
    ? `${place} is the database or a file of it`
    : `${place} is in the folder ${state}, which the node keeps for itself`
  throw new WalcastError('STORE_PLACE', { detail })
}

/** Whether a place is, or would be made, on the disk of `db`. */
export function isOnDiskOf(place: string, db: string): boolean {
  const { dev } = statSync(nearest(resolve(place)))
  return dev === statSync(nearest(resolve(db))).dev
}

/** Without links, as far as it is there. */
function settled(path: string): string {
  const whole = resolve(path)
  if (existsSync(whole)) return realpathSync(whole)
  const parent = dirname(whole)
  return parent === whole ? whole : join(settled(parent), basename(whole))
}

/** The path, or the first folder above it that is there. */
function nearest(path: string): string {
  return existsSync(path) ? path : nearest(dirname(path))
}

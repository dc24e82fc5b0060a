/** Room on the disk for the database of a drill. */
import { WalcastError } from '../../errors.ts'
import { freeBytes } from '../../platform/freeBytes.ts'

const MIB = 1024 * 1024

/** Throws DRILL_NO_ROOM when the disk of `path` has not `bytes` beside `reserve`. */
export function requireRoom(path: string, bytes: number, reserve: number): void {
  const free = freeBytes(path)
  if (free - reserve >= bytes) return
  throw new WalcastError('DRILL_NO_ROOM', {
    path,
    needed: Math.ceil(bytes / MIB),
    free: Math.floor(free / MIB),
    reserve: Math.ceil(reserve / MIB),
  })
}

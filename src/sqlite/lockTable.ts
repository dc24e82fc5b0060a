/** Which locks of a wal-index this process holds, from `/proc/locks` (proc(5)): SQLite itself does not tell. */
import { readFileSync } from 'node:fs'
import type { PinnedFile } from './pinnedFiles.ts'

/** Byte of the shared-memory file where SQLite's locks begin (https://sqlite.org/walformat.html#wal_locks). */
const LOCK_BASE = 120
const READ_LOCK_BASE = LOCK_BASE + 3

export interface HeldLock {
  readonly pid: number
  readonly exclusive: boolean
  readonly first: number
  readonly last: number
}

/** Record locks on a file, of any process. Undefined where `/proc/locks` cannot be read. */
export function locksOf(file: Pick<PinnedFile, 'dev' | 'ino'>): HeldLock[] | undefined {
  let table: string
  try {
    table = readFileSync('/proc/locks', 'latin1')
  } catch {
    return undefined
  }
  const major = Number((file.dev >> 8n) & 0xfffn)
  const minor = Number((file.dev & 0xffn) | ((file.dev >> 12n) & 0xfff00n))
  const name = `${hex(major)}:${hex(minor)}:${file.ino}`
  const exact: HeldLock[] = []
  const ours: HeldLock[] = []
  for (const line of table.split('\n')) {
    const [, kind, , access, pid, inode, first, last] = line.trim().split(/\s+/)
    if (kind !== 'POSIX' || !inode?.endsWith(`:${file.ino}`)) continue
    const lock = {
      pid: Number(pid),
      exclusive: access === 'WRITE',
      first: Number(first),
      last: last === 'EOF' ? Infinity : Number(last),
    }
    if (inode === name) exact.push(lock)
    else if (lock.pid === process.pid) ours.push(lock)
  }
  // Some file systems show another device here than stat(2) does: then the inode and our own pid tell.
  return exact.length > 0 ? exact : ours
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0')
}

/** The numbers of the READ_LOCKs (0 to 4) that this process holds on a `-shm` file; undefined when unknown. */
export function readLocksHeld(shm: PinnedFile): number[] | undefined {
  const locks = locksOf(shm)
  if (!locks) return undefined
  const held: number[] = []
  for (let slot = 0; slot < 5; slot++) {
    const byte = READ_LOCK_BASE + slot
    if (locks.some((lock) => lock.pid === process.pid && lock.first <= byte && lock.last >= byte))
      held.push(slot)
  }
  return held
}

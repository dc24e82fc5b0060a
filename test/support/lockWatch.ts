/**
 * Watches the locks that a node must never lose, in the fdinfo of its open files (proc(5)). One
 * fdinfo shows one moment, while `/proc/locks` is read in pieces and misses locks when others come
 * and go.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import type { Lab } from './lab.ts'

interface Lock {
  readonly exclusive: boolean
  readonly first: number
  readonly last: number
}

/**
 * First byte of the range of SHARED locks on a database file
 * (https://sqlite.org/src/file/src/os_unix.c).
 */
const SHARED_FIRST = 0x40000002
const WRITE_LOCK = 120
const READ_LOCKS = [123, 124, 125, 126, 127]

/**
 * Descriptors by process and path. Those of `-shm` stay, those of the database come and go with
 * connections.
 */
const known = new Map<string, readonly string[]>()

function descriptorsOf(path: string, pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`
  const real = realpathSync(path)
  return readdirSync(folder).filter((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`) === real
    } catch {
      // Closed meanwhile.
      return false
    }
  })
}

function locksOf(fd: string, pid: number): Lock[] {
  let info = ''
  try {
    info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')
  } catch {
    return []
  }
  return [...info.matchAll(/^lock:\t\d+: POSIX +\w+ +(READ|WRITE) .* (\d+) (\d+|EOF)$/gm)].map(
    ([, kind, first, last]) => ({
      exclusive: kind === 'WRITE',
      first: Number(first),
      last: last === 'EOF' ? Number.POSITIVE_INFINITY : Number(last),
    }),
  )
}

/** Whether `pid` holds such a POSIX lock on `path`. */
function holds(path: string, pid: number, isIt: (lock: Lock) => boolean): boolean {
  const key = `${pid} ${path}`
  for (;;) {
    const before = known.get(key) ?? []
    if (before.some((fd) => locksOf(fd, pid).some(isIt))) return true
    // It may be held through a file that was not open at the last look.
    const now = descriptorsOf(path, pid)
    known.set(key, now)
    if (now.join() === before.join()) return false
  }
}

const covers = (lock: Lock, byte: number) => lock.first <= byte && lock.last >= byte

/** Whether `pid` holds SQLite's write lock on the database at `path`. */
export function holdsWriteLock(path: string, pid: number): boolean {
  return holds(`${path}-shm`, pid, (lock) => lock.exclusive && covers(lock, WRITE_LOCK))
}

export function holdsReadLock(path: string, pid: number): boolean {
  return holds(`${path}-shm`, pid, (lock) => READ_LOCKS.some((byte) => covers(lock, byte)))
}

/** The lock that every open connection in WAL mode keeps on the database file itself. */
export function holdsSharedLock(path: string, pid: number): boolean {
  return holds(path, pid, (lock) => covers(lock, SHARED_FIRST))
}

export interface LockWatch {
  readonly looks: number
  /** How many looks found no lock, and the longest run of them in milliseconds. */
  readonly absent: number
  readonly longestAbsentMs: number
}

/** Checks `isHeld` every few milliseconds until `stop` is called. */
export function watchLock(lab: Lab, isHeld: () => boolean): { stop(): LockWatch } {
  let looks = 0
  let absent = 0
  let longestAbsentMs = 0
  let sinceMs: number | undefined
  const look = () => {
    looks++
    const nowMs = performance.now()
    if (isHeld()) {
      sinceMs = undefined
      return
    }
    absent++
    sinceMs ??= nowMs
    longestAbsentMs = Math.max(longestAbsentMs, nowMs - sinceMs)
  }
  const timer = setInterval(look, 3)
  lab.atEnd(() => clearInterval(timer))
  return {
    stop() {
      clearInterval(timer)
      return { looks, absent, longestAbsentMs }
    },
  }
}

/** Watches /proc/locks (proc(5)) for the locks that a node must never lose. */
import { readFileSync, statSync } from 'node:fs'
import type { Lab } from './lab.ts'

interface Lock {
  readonly pid: number
  readonly exclusive: boolean
  readonly first: number
  readonly last: number
}

/** First byte of the range of SHARED locks on a database file (https://sqlite.org/src/file/src/os_unix.c). */
const SHARED_FIRST = 0x40000002
const WRITE_LOCK = 120
const READ_LOCKS = [123, 124, 125, 126, 127]

/** POSIX locks on `path` of any process. Only stat(2) is called on it. */
function locksOn(path: string): Lock[] {
  const { dev, ino } = statSync(path, { bigint: true })
  const hex = (value: bigint) => value.toString(16).padStart(2, '0')
  const major = (dev >> 8n) & 0xfffn
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xfff00n)
  const name = `${hex(major)}:${hex(minor)}:${ino}`
  const locks: Lock[] = []
  for (const line of readFileSync('/proc/locks', 'latin1').split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (fields[1] !== 'POSIX' || fields[5] !== name) continue
    locks.push({
      pid: Number(fields[4]),
      exclusive: fields[3] === 'WRITE',
      first: Number(fields[6]),
      last: fields[7] === 'EOF' ? Number.POSITIVE_INFINITY : Number(fields[7]),
    })
  }
  return locks
}

const covers = (lock: Lock, byte: number) => lock.first <= byte && lock.last >= byte

/** Whether `pid` holds SQLite's write lock on the database at `path`. */
export function holdsWriteLock(path: string, pid: number): boolean {
  return locksOn(`${path}-shm`).some((lock) => lock.pid === pid && lock.exclusive && covers(lock, WRITE_LOCK))
}

export function holdsReadLock(path: string, pid: number): boolean {
  return locksOn(`${path}-shm`).some(
    (lock) => lock.pid === pid && READ_LOCKS.some((byte) => covers(lock, byte)),
  )
}

/** The lock that every open connection in WAL mode keeps on the database file itself. */
export function holdsSharedLock(path: string, pid: number): boolean {
  return locksOn(path).some((lock) => lock.pid === pid && covers(lock, SHARED_FIRST))
}

export interface LockWatch {
  readonly looks: number
  /** Looks without the lock, and the longest run of them in milliseconds. */
  readonly absent: number
  readonly longestAbsentMs: number
}

/** Looks every few milliseconds whether `holds` until `stop` is called. */
export function watchLock(lab: Lab, holds: () => boolean): { stop(): LockWatch } {
  let looks = 0
  let absent = 0
  let longestAbsentMs = 0
  let sinceMs: number | undefined
  const look = () => {
    looks++
    const nowMs = performance.now()
    if (holds()) {
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

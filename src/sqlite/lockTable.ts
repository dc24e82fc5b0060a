/**
 * Who holds which locks of a wal-index, from `/proc/locks` (proc(5)): SQLite itself does not tell.
 */

import { readFileSync, readlinkSync, readSync } from '../platform/files.ts'
import type { PinnedFile } from './pinnedFiles.ts'

/**
 * Byte of the shared-memory file where SQLite's locks begin
 * (https://sqlite.org/walformat.html#wal_locks).
 */
const LOCK_BASE = 120
const WRITE_LOCK = LOCK_BASE
const CHECKPOINT_LOCK = LOCK_BASE + 1
const READ_LOCK_BASE = LOCK_BASE + 3
/** Where aReadMark[0..4] is: for each READ_LOCK, the frame up to which its readers read. */
const READ_MARK_OFFSET = 100
const READ_LOCKS = 5

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
  return locksIn(table, file.ino, name, process.pid)
}

/**
 * Locks on the file `name` (device and inode), whose inode is `ino`, in a table such as
 * `/proc/locks`.
 */
export function locksIn(table: string, ino: bigint, name: string, ownPid: number): HeldLock[] {
  const found: { readonly lock: HeldLock; readonly inode: string }[] = []
  for (const line of table.split('\n')) {
    const [, kind, , access, pid, inode, first, last] = line.trim().split(/\s+/)
    if (kind !== 'POSIX' || !inode?.endsWith(`:${ino}`)) continue
    const lock = {
      pid: Number(pid),
      exclusive: access === 'WRITE',
      first: Number(first),
      last: last === 'EOF' ? Infinity : Number(last),
    }
    found.push({ lock, inode })
  }
  // Some file systems show another device here than stat(2) does: then our own locks tell which.
  const shown = found.some(({ inode }) => inode === name)
    ? [name]
    : found.filter(({ lock }) => lock.pid === ownPid).map(({ inode }) => inode)
  return found.filter(({ inode }) => shown.includes(inode)).map(({ lock }) => lock)
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0')
}

/**
 * The numbers of the READ_LOCKs (0 to 4) that this process holds on a `-shm` file; undefined when
 * unknown.
 */
export function readLocksHeld(shm: PinnedFile): number[] | undefined {
  const locks = locksOf(shm)
  if (!locks) return undefined
  const held: number[] = []
  for (let slot = 0; slot < READ_LOCKS; slot++) {
    const byte = READ_LOCK_BASE + slot
    if (locks.some((lock) => lock.pid === process.pid && lock.first <= byte && lock.last >= byte))
      held.push(slot)
  }
  return held
}

/**
 * `/proc/locks` is read in pieces, and leaves out a lock now and then while others come and go in
 * between.
 */
const LOOKS = 10

/** Of the kernel: PROC_PID_INIT_INO in its `include/linux/proc_ns.h`. */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]'

/**
 * Whether `/proc/locks` shows the locks of every process. In a pid namespace of its own, such as a
 * container's, it leaves out those of processes that are not visible there. There is no way to tell
 * whether there are any.
 */
export function showsEveryLock(namespace = pidNamespace()): boolean {
  return namespace === INITIAL_PID_NAMESPACE
}

function pidNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return undefined
  }
}

/**
 * Whether a connection of another process than `ownPid` may have this database open in WAL mode: it
 * then holds a shared lock on the file all the time. True when that cannot be told.
 */
export function mayBeOpenElsewhere(
  database: Pick<PinnedFile, 'dev' | 'ino'>,
  ownPid: number,
  seesAll = showsEveryLock(),
): boolean {
  if (!seesAll) return true
  for (let look = 0; look < LOOKS; look++)
    if (locksOf(database)?.some(({ pid }) => pid !== ownPid) ?? true) return true
  return false
}

/**
 * Whether a process other than `ownPid` is seen to hold a READ_LOCK among the locks of a wal-index;
 * false when they are unknown.
 */
export function isReadByOthers(locks: readonly HeldLock[] | undefined, ownPid: number): boolean {
  const [first, last] = [READ_LOCK_BASE, READ_LOCK_BASE + READ_LOCKS - 1]
  return (
    locks?.some((lock) => lock.pid !== ownPid && lock.last >= first && lock.first <= last) ?? false
  )
}

/**
 * Whether a process holds the checkpoint lock and the write lock at once. Only a FULL, RESTART or
 * TRUNCATE checkpoint does: it keeps all others from writing until no reader is in its way. True
 * when the locks are unknown: a checkpoint that waits must be seen.
 */
export function isCheckpointWaiting(locks: readonly HeldLock[] | undefined): boolean {
  if (!locks) return true
  const exclusive = locks.filter((lock) => lock.exclusive)
  const writers = exclusive.filter(({ first, last }) => first <= WRITE_LOCK && last >= WRITE_LOCK)
  return writers.some(({ pid }) =>
    exclusive.some(
      (lock) => lock.pid === pid && lock.first <= CHECKPOINT_LOCK && lock.last >= CHECKPOINT_LOCK,
    ),
  )
}

/** A READ_LOCK that a process holds. */
export interface ReadLock {
  readonly pid: number
  /** 0 to 4. */
  readonly slot: number
  /** Frame up to which is read. It cannot change while the lock is held without a break. */
  readonly mark: number
}

/** The READ_LOCKs that other processes hold on a `-shm` file; undefined when unknown. */
export function foreignReadLocks(shm: PinnedFile): ReadLock[] | undefined {
  const locks = locksOf(shm)
  const marks = Buffer.alloc(4 * READ_LOCKS)
  if (!locks || readSync(shm.fd, marks, 0, marks.length, READ_MARK_OFFSET) < marks.length)
    return undefined
  const held: ReadLock[] = []
  for (const { pid, exclusive, first, last } of locks) {
    // One that belongs to another container has no pid here.
    if (exclusive || pid === process.pid || pid <= 0) continue
    for (let slot = 0; slot < READ_LOCKS; slot++) {
      const byte = READ_LOCK_BASE + slot
      if (first <= byte && last >= byte)
        held.push({ pid, slot, mark: marks.readUInt32LE(4 * slot) })
    }
  }
  return held
}

/**
 * The lock bytes of a wal-index, in order: walformat.html, "WAL locks". The last one is of
 * os_unix.c: each connection that has the wal-index open holds it shared.
 */
const LOCK_NAMES = [
  ...['WRITE', 'CHECKPOINT', 'RECOVER', 'READ0', 'READ1', 'READ2', 'READ3', 'READ4', 'OPEN'],
]

/** The names of the bytes of a wal-index that a lock covers. */
export function lockNames({ first, last }: Pick<HeldLock, 'first' | 'last'>): string[] {
  return LOCK_NAMES.filter((_, i) => first <= LOCK_BASE + i && last >= LOCK_BASE + i)
}

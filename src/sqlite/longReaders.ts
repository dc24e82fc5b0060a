/**
 * Which other processes keep a read transaction open, and since when that has been seen. SQLite
 * does not tell. So it is looked up again and again which process holds which READ_LOCK, and up to
 * which frame it reads.
 *
 * A process that holds the same lock at the same frame at each look is taken to be in one
 * transaction: while commits go on, a new one would begin at a later frame. How long it had been
 * open before the first look is not known.
 */

import { readFileSync } from '../platform/files.ts'
import type { ReadLock } from './lockTable.ts'

export interface LongReader {
  readonly pid: number
  /** Name of the process, '?' when it is gone or hidden. */
  readonly process: string
  /** Time since it was first seen, ms: it has been open for at least that long. */
  readonly heldMs: number
}

/** It follows at most so many locks. */
const MAX_FOLLOWED = 256
/**
 * After a longer gap between two looks, what was held before is not known to have been held all
 * along.
 */
const MAX_GAP_MS = 5000

export class LongReaders {
  readonly #look: () => ReadLock[] | undefined
  readonly #nameOf: (pid: number) => string
  #held = new Map<string, ReadLock & { readonly sinceMs: number }>()
  #lookedMs = 0

  /** `look` gives the locks of other processes; undefined when that cannot be told. */
  constructor(look: () => ReadLock[] | undefined, nameOf = processName) {
    this.#look = look
    this.#nameOf = nameOf
  }

  /**
   * Those held for at least `minMs`, the longest first, one for each process. Undefined when
   * nothing can be told.
   */
  look(nowMs: number, minMs: number): LongReader[] | undefined {
    const locks = this.#look()
    if (!locks) return undefined
    const before = nowMs - this.#lookedMs > MAX_GAP_MS ? new Map<string, never>() : this.#held
    this.#held = new Map()
    this.#lookedMs = nowMs
    for (const lock of locks.slice(0, MAX_FOLLOWED)) {
      const key = `${lock.pid} ${lock.slot} ${lock.mark}`
      this.#held.set(key, { ...lock, sinceMs: before.get(key)?.sinceMs ?? nowMs })
    }
    return this.#longest(nowMs, minMs)
  }

  /** Whether any process held a lock at the last look. */
  get anyHeld(): boolean {
    return this.#held.size > 0
  }

  /** No look follows for a while. */
  forget(): void {
    this.#held.clear()
  }

  #longest(nowMs: number, minMs: number): LongReader[] {
    const since = new Map<number, number>()
    for (const { pid, sinceMs } of this.#held.values())
      if (nowMs - sinceMs >= minMs) since.set(pid, Math.min(sinceMs, since.get(pid) ?? sinceMs))
    return [...since]
      .sort(([, a], [, b]) => a - b)
      .map(([pid, sinceMs]) => ({ pid, process: this.#nameOf(pid), heldMs: nowMs - sinceMs }))
  }
}

/**
 * At most 15 characters, as the kernel keeps it. The command line would say more, but may hold
 * secrets.
 */
export function processName(pid: number): string {
  try {
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
    return name.replace(/[^\x20-\x7e]/g, '?') || '?'
  } catch {
    return '?'
  }
}

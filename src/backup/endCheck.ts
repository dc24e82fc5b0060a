/**
 * Whether the end of a place is still there: its last file at each look, and now and then all that
 * leads to it. A file without the snapshot before it restores nothing.
 */
import { keyOf } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Stand } from './batchRecord.ts'
import { isReached } from './placeEnd.ts'
import type { Store } from './stores/store.ts'

/** A listing of all files costs more than a look at one. */
const LIST_EVERY_MS = 60_000

export class EndCheck {
  readonly #listEveryMs: number
  #listedMs = monotonicMs()

  constructor(listEveryMs = LIST_EVERY_MS) {
    this.#listEveryMs = listEveryMs
  }

  /** `last`: the file that ends at `at`. Throws what the store throws. */
  async isThere(store: Store, last: string, at: Stand): Promise<boolean> {
    try {
      await (await store.open(last)).close()
    } catch (error) {
      if (keyOf(error) !== 'ARCHIVE_MISSING') throw error
      return false
    }
    const nowMs = monotonicMs()
    if (nowMs - this.#listedMs < this.#listEveryMs) return true
    this.#listedMs = nowMs
    return isReached(store, at)
  }
}

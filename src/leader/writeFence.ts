/**
 * SQLite's write lock in the leader's hand: as long as it is taken no connection of any process can
 * write.
 */
import { WalcastError } from '../errors.ts'
import { WRITE_LOCK_CONNECTION } from '../sqlite/heldDatabase.ts'
import {
  close,
  exec,
  insist,
  isBusy,
  open,
  type SqliteThread,
  stepError,
} from '../sqlite/sqliteThread.ts'

const RELEASE = exec(WRITE_LOCK_CONNECTION, 'COMMIT')

export class WriteFence {
  readonly #thread: SqliteThread
  readonly #path: string
  #isTaken = false
  /** An attempt that is under way. */
  #attempt: Promise<void> | undefined

  /** `isTaken` says that the connection has the lock already. */
  constructor(thread: SqliteThread, path: string, isTaken = false) {
    this.#thread = thread
    this.#path = path
    this.#isTaken = isTaken
  }

  get isTaken(): boolean {
    return this.#isTaken
  }

  /** Insists for `timeoutMs` while others write. Throws FENCE_FAILED. */
  async take(timeoutMs: number): Promise<void> {
    // Whatever becomes of another attempt, this one insists for its own time.
    while (this.#attempt) await this.#attempt.catch(() => {})
    if (this.#isTaken) return
    this.#attempt = this.#take(timeoutMs)
    try {
      await this.#attempt
    } finally {
      this.#attempt = undefined
    }
  }

  async release(): Promise<void> {
    while (this.#attempt) await this.#attempt.catch(() => {})
    if (!this.#isTaken) return
    this.#isTaken = false
    await this.#thread.run(RELEASE, close(WRITE_LOCK_CONNECTION))
  }

  async #take(timeoutMs: number): Promise<void> {
    const step = insist(WRITE_LOCK_CONNECTION, 'BEGIN IMMEDIATE', timeoutMs)
    const [opened, taken] = await this.#thread.attempt(
      open(WRITE_LOCK_CONNECTION, this.#path, 0),
      step,
    )
    this.#isTaken = opened.ok && taken.ok
    if (opened.ok && taken.ok) return
    await this.#thread.attempt(close(WRITE_LOCK_CONNECTION))
    if (!opened.ok) throw stepError(step, opened)
    if (!taken.ok && !isBusy(taken)) throw stepError(step, taken)
    throw new WalcastError('FENCE_FAILED', { timeoutMs: Math.round(timeoutMs) })
  }
}

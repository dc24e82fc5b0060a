/**
 * The write lock on a replica's copy. The replica holds it for its whole life, so that a stray
 * write gets SQLITE_BUSY.
 *
 * The lock's connection neither reads content nor writes. It ends with COMMIT, never ROLLBACK: a
 * rollback would copy the header of another writer over a stale page cache (sqlite3WalUndo).
 *
 * The connection is a reader too. Begun on an empty WAL, it sits on READ_LOCK(0) and blocks all
 * backfill; begun later, it caps backfill at its mark. So the lock moves before each checkpoint,
 * and the wal-index header tells afterwards what happened in the gap.
 */
import { WalcastError } from '../../errors.ts'
import { delay } from '../../platform/time.ts'
import { WRITE_LOCK_CONNECTION } from '../../sqlite/heldDatabase.ts'
import {
  close,
  exec,
  isBusy,
  open,
  type SqliteThread,
  type Step,
  type StepResult,
  stepError,
} from '../../sqlite/sqliteThread.ts'

const LOCK = WRITE_LOCK_CONNECTION
const TAKE = exec(LOCK, 'BEGIN IMMEDIATE')
const RELEASE = exec(LOCK, 'COMMIT')
const RETRY_MS = 5

export class CopyLock {
  readonly #thread: SqliteThread
  #held = false
  #stopped = false

  /** `held`: the connection is open and has the lock already. */
  constructor(thread: SqliteThread, held = false) {
    this.#thread = thread
    this.#held = held
  }

  /**
   * Opens the connection and takes the lock. Waits up to `timeoutMs` for another writer, then
   * throws SQLITE_BUSY.
   */
  async take(path: string, timeoutMs: number): Promise<void> {
    await this.#thread.run(open(LOCK, path, 0))
    for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
      const [taken] = await this.#thread.attempt(TAKE)
      this.#held = taken.ok
      if (taken.ok) return
      if (!isBusy(taken) || waitedMs >= timeoutMs) throw stepError(TAKE, taken)
      await delay(RETRY_MS)
    }
  }

  /**
   * Releases the lock, runs `middle` and takes the lock again. Returns the results of `middle`. The
   * caller must not write to the copy meanwhile, and must compare the wal-index header afterwards.
   * When another writer gets in, this waits until that writer releases the lock.
   */
  async move(middle: readonly Step[] = []): Promise<StepResult[]> {
    this.requireHeld()
    this.#held = false
    const results = await this.#thread.attempt(RELEASE, ...middle, TAKE)
    if (!results[0].ok) throw stepError(RELEASE, results[0])
    let taken = results[results.length - 1]
    while (!taken.ok) {
      if (!isBusy(taken)) throw stepError(TAKE, taken)
      if (this.#stopped) throw new WalcastError('STOPPING')
      await delay(RETRY_MS)
      ;[taken] = await this.#thread.attempt(TAKE)
    }
    this.#held = true
    return results.slice(1, -1)
  }

  /** Throws SQLITE_BUSY unless the lock is held. */
  requireHeld(): void {
    if (!this.#held) throw new WalcastError('SQLITE_BUSY', { detail: 'the copy lock is not held' })
  }

  /** Ends a wait for another writer. */
  giveUp(): void {
    this.#stopped = true
  }

  async release(): Promise<void> {
    this.giveUp()
    this.#held = false
    await this.#thread.attempt(RELEASE, close(LOCK))
  }
}

import { WalcastError } from '../errors.ts'
import { CapturedFrame } from './capturedFrame.ts'
import { readLocksHeld } from './lockTable.ts'
import type { PinnedFile } from './pinnedFiles.ts'
import type { ResetPass, ResetPassRequest } from './resetPass.ts'
import {
  type CaptureRequest,
  exec,
  open,
  rows,
  type SqliteThread,
  type Step,
  type StepResult,
} from './sqliteThread.ts'

const NAMES = ['guard-a', 'guard-b'] as const

/**
 * The leader's long-running read transaction, moved hand over hand: the new one begins, and where a
 * reset becomes possible the WAL is read to its published end; only then the old one ends. So no
 * frame can leave the WAL unread.
 *
 * Which READ_LOCK a guard got decides what it holds off (https://sqlite.org/src/file/src/wal.c,
 * walTryBeginRead): on 0 nothing is backfilled and the WAL may be reset once; on another no reset
 * happens and frames up to its mark may be backfilled. Both are safe. The guard looks up which one
 * it got.
 */
export class ReadGuard {
  readonly #thread: SqliteThread
  readonly #shm: PinnedFile
  #current: 0 | 1 = 0
  #slot: number | undefined
  #isMoving = false
  /** How far capture has come: told by it, and read by the thread that moves the guard. */
  readonly captured = new CapturedFrame()

  private constructor(thread: SqliteThread, shm: PinnedFile) {
    this.#thread = thread
    this.#shm = shm
  }

  static async begin(thread: SqliteThread, path: string, shm: PinnedFile): Promise<ReadGuard> {
    const guard = new ReadGuard(thread, shm)
    await thread.run(open(NAMES[0], path, 1000), open(NAMES[1], path, 0), ...guard.#beginSteps(0))
    guard.lookUp()
    return guard
  }

  static get connections(): readonly string[] {
    return NAMES
  }

  /** The READ_LOCK it sits on; undefined when that is unknown, as it is while the guard moves. */
  get slot(): number | undefined {
    return this.#slot
  }

  /** Whether the WAL may be reset at all: not while the guard sits on a mark. */
  get mayReset(): boolean {
    return this.#isMoving ? this.captured.mayReset : this.#slot === undefined || this.#slot === 0
  }

  /**
   * Backfills and moves to READ_LOCK(0), so that the next writer starts the WAL over, if the
   * writers leave a gap for that or are fenced out. `capture` is called when the guard waits for
   * what was published to be captured.
   */
  async resetPass(
    connections: { readonly checkpoint: string; readonly fence: string },
    request: Omit<ResetPassRequest, 'current'>,
    capture: (request: CaptureRequest) => void,
  ): Promise<ResetPass> {
    this.captured.mayReset = this.mayReset
    this.#isMoving = true
    this.#slot = undefined
    try {
      const pass = await this.#thread.resetPass(
        {
          kind: 'reset-pass',
          connections: { ...connections, guards: NAMES },
          shm: { fd: this.#shm.fd, dev: this.#shm.dev, ino: this.#shm.ino },
          captured: this.captured.shared,
          request: { ...request, current: this.#current },
        },
        capture,
      )
      this.#current = pass.current
      this.lookUp()
      if (pass.failure !== undefined)
        throw new WalcastError('SQLITE_FAILED', { sql: 'a checkpoint', detail: pass.failure })
      return pass
    } finally {
      this.#isMoving = false
    }
  }

  /**
   * Begins anew, whatever state a failure has left it in. Nothing is protected meanwhile: a fresh
   * scan must follow.
   */
  async renew(): Promise<void> {
    this.#slot = undefined
    await this.#thread.attempt(exec(NAMES[0], 'ROLLBACK'), exec(NAMES[1], 'ROLLBACK'))
    this.#current = 0
    await this.#thread.run(...this.#beginSteps(0))
    this.lookUp()
  }

  /**
   * Moves the guard to the WAL's present end. `readToEnd` captures everything published. Throws
   * SQLITE_BUSY, and then stays where it was.
   */
  async move(readToEnd: () => Promise<void>): Promise<void> {
    const next = this.#current === 0 ? 1 : 0
    await this.#beginOrGiveUp(next)
    await readToEnd()
    this.#slot = undefined
    await this.#thread.run(exec(NAMES[this.#current], 'COMMIT'))
    this.#current = next
    this.lookUp()
  }

  /**
   * Lets go, runs `middle` and begins again, in one job. Only while the write fence is held and
   * everything published has been captured. The fence keeps the WAL from being reset meanwhile.
   * Gives the results of `middle`.
   */
  async moveFenced(middle: readonly Step[]): Promise<StepResult[]> {
    this.#slot = undefined
    const name = NAMES[this.#current]
    const results = await this.#thread.attempt(
      exec(name, 'COMMIT'),
      ...middle,
      ...this.#beginSteps(this.#current),
    )
    const begun = results[results.length - 1]
    if (!begun.ok) {
      await this.#thread.attempt(exec(name, 'ROLLBACK'))
      throw new WalcastError('UNKNOWN_CHANGE', {
        detail: `the read guard was lost: ${begun.code} ${begun.detail}`,
      })
    }
    return results.slice(1, 1 + middle.length)
  }

  /**
   * Looks up the READ_LOCK again, when no other transaction of this process is open on the
   * database.
   */
  lookUp(): void {
    const held = readLocksHeld(this.#shm)
    this.#slot = held?.length === 1 ? held[0] : undefined
  }

  #beginSteps(which: 0 | 1): Step[] {
    return [exec(NAMES[which], 'BEGIN'), rows(NAMES[which], 'PRAGMA user_version')]
  }

  async #beginOrGiveUp(which: 0 | 1): Promise<void> {
    const results = await this.#thread.attempt(...this.#beginSteps(which))
    const failed = results.find((result) => !result.ok)
    if (!failed || failed.ok) return
    // A transaction that was open before is the guard: it must not end here.
    if (results[0]?.ok) await this.#thread.attempt(exec(NAMES[which], 'ROLLBACK'))
    throw new WalcastError('SQLITE_BUSY', { detail: `${failed.code} ${failed.detail}` })
  }
}

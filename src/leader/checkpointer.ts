/**
 * Keeps the leader's WAL small. Past the soft limit: move the guard hand over hand and backfill PASSIVE; nobody is
 * stopped. Past the hard limit, reached only when writers never pause: take the write fence for the few frames that
 * are left, finish the backfill, move the guard to READ_LOCK(0) so that the next writer resets the WAL, let go.
 *
 * Every checkpoint here is PASSIVE with a busy time-out of 0. RESTART and TRUNCATE are never used: they could catch a
 * foreign reader that lingers.
 */
import type { Clock } from '../clock.ts'
import { keyOf } from '../errors.ts'
import type { ReadGuard } from '../sqlite/readGuard.ts'
import {
  type CheckpointCounts,
  checkpoint,
  checkpointCounts,
  exec,
  insist,
  isComplete,
  open,
  type SqliteThread,
} from '../sqlite/sqliteThread.ts'

export interface CheckpointLimits {
  /** Frames in the WAL that start a backfill. */
  readonly softWalFrames: number
  /** Frames in the WAL at which writers are stopped for a moment. */
  readonly hardWalFrames: number
  /** How long to insist on the fence before trying again later. */
  readonly fenceTimeoutMs: number
}

export interface CheckpointerHost {
  readonly clock: Clock
  /** Frames in the WAL at the last look. */
  walFrames(): number
  /** Frames that are published and not captured. */
  unreadFrames(): number
  /** Captures all that is published; `force` does not wait for slow replicas. */
  readToEnd(force: boolean): Promise<void>
  /** False within a transaction that is handed on in chunks. */
  isBetweenTransactions(): boolean
  onPass(pass: CheckpointPass): void
  onFailure(error: unknown): void
}

export interface CheckpointPass {
  readonly complete: boolean
  readonly backfilledFrames: number
  readonly durationMs: number
  /** How long writers were stopped, 0 without a fence. */
  readonly pauseMs: number
}

/** Tries to finish a backfill between the commits of writers that pause now and then, before it is left to the next pass. */
const ROUNDS = 4
/** More than this left after a backfill means that writers do not pause. */
const FEW_FRAMES = 16
/** Growth after a pass that could not finish, before the next one past the hard limit. */
const MIN_GROWN_FRAMES = 64
/** Passes in a row that a reader may block before it counts as one that lingers. */
const PATIENCE = 3
/** While a foreign reader lingers, the growth wanted before the next pass doubles up to 2^this soft limits. */
const MAX_BLOCKED_SHIFT = 5
const BLOCKED_IDLE_ROUNDS = 10
/** So many hard limits that were not read when the fence is had are of a huge transaction. */
const HUGE_WALS = 4
const PASSIVE = checkpoint('checkpoint', 'PASSIVE')
/** Under the fence an application's own checkpoint, begun before, is waited out: it ends by itself. */
const FENCED_PASSIVE = checkpoint('checkpoint', 'PASSIVE', 20)
export const CHECKPOINT_CONNECTIONS = ['checkpoint', 'fence'] as const

export class Checkpointer {
  readonly #thread: SqliteThread
  readonly #guard: ReadGuard
  readonly #limits: CheckpointLimits
  readonly #host: CheckpointerHost
  #running: Promise<void> | undefined
  #stopped = false
  /** Frames in the WAL after the last pass: the next one waits until it has grown. */
  #framesAfterPass = 0
  /** nBackfill after the last pass. */
  #backfilled = 0
  /** Passes in a row that a reader of another process kept from finishing: no fence can help then. */
  #blockedPasses = 0
  #idleRounds = 0
  /** Frames in the WAL when `onIdle` was last called. */
  #framesAtIdle = 0
  #isTidy = true

  private constructor(
    thread: SqliteThread,
    guard: ReadGuard,
    limits: CheckpointLimits,
    host: CheckpointerHost,
  ) {
    this.#thread = thread
    this.#guard = guard
    this.#limits = limits
    this.#host = host
  }

  static async open(
    thread: SqliteThread,
    guard: ReadGuard,
    path: string,
    limits: CheckpointLimits,
    host: CheckpointerHost,
  ): Promise<Checkpointer> {
    await thread.run(open('checkpoint', path, 0), open('fence', path, 0))
    return new Checkpointer(thread, guard, limits, host)
  }

  /** To be called after each look that found frames. */
  onCaptured(): void {
    this.#isTidy = false
    const frames = this.#host.walFrames()
    if (frames < this.#framesAfterPass) this.#framesAfterPass = 0
    const grown = frames - this.#framesAfterPass
    const { softWalFrames, hardWalFrames } = this.#limits
    const wanted = softWalFrames << Math.min(Math.max(0, this.#blockedPasses - PATIENCE), MAX_BLOCKED_SHIFT)
    const isPastHard = this.#blockedPasses <= PATIENCE && frames >= hardWalFrames && grown >= MIN_GROWN_FRAMES
    if (grown >= wanted || isPastHard) this.#start()
  }

  /** To be called now and then: backfills what a quiet database still has in its WAL. */
  onIdle(): void {
    const frames = this.#host.walFrames()
    const isQuiet = frames === this.#framesAtIdle
    this.#framesAtIdle = frames
    if (this.#isTidy || !isQuiet) return
    if (this.#blockedPasses <= PATIENCE || ++this.#idleRounds % BLOCKED_IDLE_ROUNDS === 0) this.#start()
  }

  /** A fresh one over the same connections, for a new epoch. */
  reopen(): Checkpointer {
    return new Checkpointer(this.#thread, this.#guard, this.#limits, this.#host)
  }

  /** Ends after the pass that is running. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  #start(): void {
    if (this.#running || this.#stopped || !this.#host.isBetweenTransactions()) return
    this.#running = this.#pass()
      .catch((error) => {
        this.#isTidy = false
        if (keyOf(error) !== 'SQLITE_BUSY') this.#host.onFailure(error)
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  async #pass(): Promise<void> {
    const { clock } = this.#host
    const startMs = clock.nowMs()
    this.#isTidy = true
    let backfilled = 0
    let pauseMs = 0
    let isBlocked = false
    for (let round = 0; round < ROUNDS && !this.#stopped; round++) {
      const captured = this.#host.walFrames()
      const counts = await this.#backfill()
      backfilled = Math.max(backfilled, counts.backfilled)
      isBlocked = counts.backfilled >= 0 && counts.backfilled < captured
      if (isComplete(counts)) await this.#guard.move(() => this.#host.readToEnd(false))
      if (this.#guard.slot === 0 || this.#host.walFrames() - counts.backfilled > FEW_FRAMES) break
    }
    const needsFence = this.#guard.slot !== 0 && this.#host.walFrames() >= this.#limits.hardWalFrames
    if (needsFence && !isBlocked) pauseMs = await this.#fencedPass()
    this.#blockedPasses = isBlocked ? this.#blockedPasses + 1 : 0
    const complete = this.#guard.slot === 0
    if (!complete) this.#isTidy = false
    this.#framesAfterPass = this.#host.walFrames()
    const backfilledFrames = backfilled >= this.#backfilled ? backfilled - this.#backfilled : backfilled
    this.#backfilled = backfilled
    this.#host.onPass({ complete, backfilledFrames, durationMs: clock.nowMs() - startMs, pauseMs })
  }

  async #backfill(): Promise<CheckpointCounts> {
    await this.#guard.move(() => this.#host.readToEnd(false))
    const [result] = await this.#thread.attempt(PASSIVE)
    return checkpointCounts(result)
  }

  /** Stops all writers while the last frames are backfilled. Gives for how long, 0 when the fence could not be had. */
  async #fencedPass(): Promise<number> {
    const { clock } = this.#host
    const [taken] = await this.#thread.attempt(
      insist('fence', 'BEGIN IMMEDIATE', this.#limits.fenceTimeoutMs),
    )
    if (!taken.ok) return 0
    const fencedMs = clock.nowMs()
    try {
      // Behind a huge transaction writers would wait for all of it, and replicas would lose what they were sent.
      if (this.#host.unreadFrames() > HUGE_WALS * this.#limits.hardWalFrames) {
        await this.#thread.attempt(exec('fence', 'COMMIT'))
        return 0
      }
      await this.#host.readToEnd(true)
      const moved = this.#guard.moveFenced([FENCED_PASSIVE])
      const released = this.#thread.attempt(exec('fence', 'COMMIT'))
      await moved
      await released
      this.#guard.lookUp()
      return clock.nowMs() - fencedMs
    } catch (error) {
      await this.#thread.attempt(exec('fence', 'COMMIT'))
      throw error
    }
  }
}

/**
 * Keeps the leader's WAL small without stopping the application. Above the soft limit each pass
 * backfills and then tries to move the read guard to READ_LOCK(0), which works whenever the writers
 * leave a gap as long as two syncs. Writers that leave no gap are fenced out for the last backfill:
 * above the hard limit if they commit very fast and no other process reads, and above the maximum
 * size in any case.
 *
 * Checkpoints here are PASSIVE with a busy time-out of 0: a stronger mode could wait behind a
 * reader of another process. There are two exceptions, both TRUNCATE: to shorten the file while
 * nobody reads, and to restart a WAL that a recovery could not read whole.
 */

import { keyOf } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { type DatabaseFiles, walFileBytes } from '../sqlite/databaseFiles.ts'
import { isReadByOthers, locksOf } from '../sqlite/lockTable.ts'
import type { ReadGuard } from '../sqlite/readGuard.ts'
import type { ResetPass } from '../sqlite/resetPass.ts'
import {
  type CaptureRequest,
  checkpoint,
  checkpointCounts,
  open,
  type SqliteThread,
} from '../sqlite/sqliteThread.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { WalIndexReader } from '../sqlite/walIndexReader.ts'
import { CommitRate } from './commitRate.ts'
import { type FenceLimits, FencePolicy, type WalLoad } from './fencePolicy.ts'
import { PassSchedule } from './passSchedule.ts'
import { QuietWatch } from './quietWatch.ts'

export interface CheckpointLimits extends FenceLimits {
  /** Frames in the WAL that start a backfill. */
  readonly softWalFrames: number
}

export interface CheckpointerHost {
  readonly clock: Clock
  /** Frames in the WAL at the last look. */
  walFrames(): number
  /** Txid of the last commit that was captured. */
  txid(): number
  /** Captures all that is published; `force` does not wait for slow replicas. */
  readToEnd(force: boolean): Promise<void>
  /** False within a transaction that is handed on in chunks. */
  isBetweenTransactions(): boolean
  onPass(pass: CheckpointPass): void
  onFailure(error: unknown): void
}

export interface CheckpointerParts {
  readonly thread: SqliteThread
  readonly guard: ReadGuard
  readonly files: DatabaseFiles
  readonly host: CheckpointerHost
}

export interface CheckpointPass {
  readonly complete: boolean
  readonly backfilledFrames: number
  readonly durationMs: number
  /** How long writers were stopped, 0 without a fence. */
  readonly pauseMs: number
  /** The fence was released early, because another process was reading. */
  readonly yielded: boolean
}

/**
 * Backfills in one pass. With so many, one meets a gap between commits of writers that pause at
 * times.
 */
const ROUNDS = 8
/** A file larger than this many hard limits is cut once writing has stopped. */
const CUT_ABOVE_LIMITS = 4
/** Quiet calls of `onIdle` in a row before that. */
const CUT_AFTER_ROUNDS = 2
const CONNECTIONS = { checkpoint: 'checkpoint', fence: 'fence' } as const
/** With a busy time-out of 0 it never waits for a long reader: it leaves the WAL as it is. */
const TRUNCATE = checkpoint(CONNECTIONS.checkpoint, 'TRUNCATE')

export class Checkpointer {
  static readonly connections: readonly string[] = Object.values(CONNECTIONS)
  readonly #parts: CheckpointerParts
  readonly #guard: ReadGuard
  readonly #limits: CheckpointLimits
  readonly #host: CheckpointerHost
  readonly #walIndex: WalIndexReader
  readonly #rate: CommitRate
  readonly #quiet: QuietWatch
  readonly #fences: FencePolicy
  readonly #passes: PassSchedule
  #running: Promise<void> | undefined
  #stopped = false
  /** nBackfill after the last pass. */
  #backfilled = 0
  #quietRounds = 0
  /** Frames in the WAL when `onIdle` was last called. */
  #framesAtIdle = 0
  #isTidy = true
  /** Numbers of the last `mend` asked for, tried to its end, and done. */
  #mends = 0
  #triedMends = 0
  #mended = 0

  /** The connections of `openConnections` must be open. */
  constructor(parts: CheckpointerParts, limits: CheckpointLimits) {
    const { guard, host, files } = parts
    this.#parts = parts
    this.#guard = guard
    this.#limits = limits
    this.#host = host
    this.#walIndex = new WalIndexReader(files.shm.fd)
    this.#rate = new CommitRate(host.clock)
    this.#fences = new FencePolicy(limits)
    this.#passes = new PassSchedule(limits.softWalFrames)
    this.#quiet = new QuietWatch({
      walFrames: () => host.walFrames(),
      standsInTheWay: () => this.#guardStandsInTheWay(),
      isDone: () => guard.slot === 0 && this.#walIndex.backfilledFrames() >= host.walFrames(),
      onQuiet: () => {
        if (host.isBetweenTransactions()) this.#start(() => guard.move(() => host.readToEnd(false)))
      },
    })
  }

  static async openConnections(thread: SqliteThread, path: string): Promise<void> {
    await thread.run(...Checkpointer.connections.map((name) => open(name, path, 0)))
  }

  /** Call this after each look that found frames. */
  onCaptured(): void {
    this.#isTidy = false
    const frames = this.#host.walFrames()
    this.#rate.onCommit(this.#host.txid())
    this.#quiet.onFrames()
    this.#passes.onFrames(frames)
    if (this.#isMendDue || this.#isPassDue(frames)) this.#startPass()
  }

  /**
   * The WAL has frames that a recovery would not find: backfills them, under the fence if need be,
   * and starts the WAL over.
   */
  mend(): void {
    this.#mends++
    this.#isTidy = false
    this.#startPass()
  }

  get #mustMend(): boolean {
    return this.#mended < this.#mends
  }

  /**
   * Call this now and then. It backfills what a quiet database still has in its WAL, and cuts a
   * file that is much larger than needed.
   */
  onIdle(): void {
    const frames = this.#host.walFrames()
    const isQuiet = frames === this.#framesAtIdle
    this.#framesAtIdle = frames
    this.#quietRounds = isQuiet ? this.#quietRounds + 1 : 0
    if (!isQuiet) return
    if (this.#isTidy) return this.#cutIfLarge()
    if (this.#passes.isDueWhenIdle()) this.#startPass()
  }

  /** A fresh one over the same connections, for a new epoch. */
  reopen(): Checkpointer {
    const next = new Checkpointer(this.#parts, this.#limits)
    next.#mends = this.#mends - this.#mended
    next.#isTidy = next.#mends === 0
    return next
  }

  /** Ends after the pass that is running. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#quiet.stop()
    await this.#running
  }

  get #isMendDue(): boolean {
    if (this.#triedMends === this.#mends || this.#passes.wasBlocked) return false
    return this.#fences.mayFence(this.#host.clock.nowMs())
  }

  #isPassDue(frames: number): boolean {
    const isPastBound = this.#fences.isPastBound(this.#bytesOf(frames))
    if (this.#running || (frames < this.#limits.softWalFrames && !isPastBound)) return false
    const nowMs = this.#host.clock.nowMs()
    return this.#passes.isDue(frames, nowMs, isPastBound && this.#fences.mayFence(nowMs))
  }

  #startPass(): void {
    if (this.#host.isBetweenTransactions()) this.#start(() => this.#pass())
  }

  /** One thing at a time moves the guard. */
  #start(work: () => Promise<unknown>): void {
    if (this.#running || this.#stopped) return
    this.#running = work()
      .catch((error) => {
        this.#isTidy = false
        if (keyOf(error) !== 'SQLITE_BUSY') this.#host.onFailure(error)
      })
      .then(() => {
        this.#running = undefined
        // Frames captured while it worked are still to be backfilled.
        if (this.#host.walFrames() > this.#walIndex.backfilledFrames()) this.#isTidy = false
      })
  }

  async #pass(): Promise<void> {
    const { clock } = this.#host
    const startMs = clock.nowMs()
    const mends = this.#mends
    this.#isTidy = true
    const load = this.#load()
    const fence = this.#passes.hasLongReader ? 'never' : this.#fences.choose(load, startMs)
    const request = { rounds: ROUNDS, fence, ...this.#fences.limits(load) }
    const pass = await this.#guard.resetPass(CONNECTIONS, request, (wanted) =>
      this.#capture(wanted),
    )
    const endMs = clock.nowMs()
    const complete = pass.isComplete && this.#guard.slot === 0
    if (complete && this.#mustMend) await this.#startOver(mends)
    if (!complete || this.#mustMend) this.#isTidy = false
    this.#fences.onPass(pass, complete, endMs)
    const backfilledFrames = this.#newlyBackfilled(pass)
    const { isBlocked } = pass
    const walFrames = this.#host.walFrames()
    this.#passes.onPass({ complete, isBlocked, backfilledFrames, startMs, endMs, walFrames })
    this.#host.onPass({
      complete,
      backfilledFrames,
      durationMs: endMs - startMs,
      pauseMs: pass.fencedMs,
      yielded: pass.yielded,
    })
  }

  #load(): WalLoad {
    const frames = this.#host.walFrames()
    const commitsPerSecond = this.#rate.perSecond()
    return { frames, bytes: this.#bytesOf(frames), commitsPerSecond, mustMend: this.#mustMend }
  }

  #bytesOf(frames: number): number {
    return frames * frameBytes(this.#parts.files.pageSize)
  }

  /** What fails is reported by capture itself; the guard then stays where it is. */
  #capture({ isFenced }: CaptureRequest): void {
    this.#host.readToEnd(isFenced).catch(() => {})
  }

  #newlyBackfilled({ counts: { backfilled } }: ResetPass): number {
    if (backfilled < 0) return 0
    const before = backfilled >= this.#backfilled ? this.#backfilled : 0
    this.#backfilled = backfilled
    return backfilled - before
  }

  /** Whether moving the guard lets a checkpoint of another connection go on. */
  #guardStandsInTheWay(): boolean {
    const frames = this.#host.walFrames()
    const backfilled = this.#walIndex.backfilledFrames()
    const { slot } = this.#guard
    if (slot === undefined) return true
    return slot === 0
      ? backfilled < frames
      : backfilled >= frames || this.#walIndex.readMark(slot) < frames
  }

  /**
   * Until the WAL starts over, a recovery would lay the frames that it finds over the newer file: a
   * malformed database. The guard on READ_LOCK(0) keeps later commits from being backfilled, so
   * TRUNCATE loses nothing that was not captured. While a reader lingers, a later pass tries again.
   */
  async #startOver(mends: number): Promise<void> {
    const [result] = await this.#parts.thread.attempt(TRUNCATE)
    this.#triedMends = mends
    if (!checkpointCounts(result).busy) this.#mended = mends
  }

  /**
   * Cuts the file with a checkpoint, which holds the write lock for as long as the file system
   * takes.
   */
  #cutIfLarge(): void {
    if (this.#quietRounds < CUT_AFTER_ROUNDS || this.#guard.slot !== 0) return
    const { files, thread } = this.#parts
    const tooLarge = CUT_ABOVE_LIMITS * this.#limits.hardWalFrames * frameBytes(files.pageSize)
    if (walFileBytes(files) <= tooLarge || isReadByOthers(locksOf(files.shm), process.pid)) return
    this.#start(() => thread.attempt(TRUNCATE))
  }
}

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
import { QuietWatch } from './quietWatch.ts'

export interface CheckpointLimits extends FenceLimits {
  /** Frames in the WAL that start a backfill. */
  readonly softWalFrames: number
}

export interface CheckpointerHost {
  readonly clock: Clock
  /** Frames in the WAL at the last look. */
  walFrames(): number
  /** Of the last commit that was captured. */
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
 * Backfills in one pass: among so many, one meets a gap between the commits of writers that pause
 * now and then.
 */
const ROUNDS = 8
/**
 * A pass that did not finish is followed by a pause of this many times its duration, for the
 * writers.
 */
const REST = 3
/** Passes in a row without any progress after which a reader counts as a long one. */
const PATIENCE = 3
/**
 * While a long reader blocks, each pass waits for twice the growth of the one before, up to 2^this
 * soft limits.
 */
const MAX_BLOCKED_SHIFT = 5
const BLOCKED_IDLE_ROUNDS = 10
/** A file larger than this many hard limits is cut once writing has stopped. */
const CUT_ABOVE_LIMITS = 4
/** Quiet calls of `onIdle` in a row before that. */
const CUT_AFTER_ROUNDS = 2
const CONNECTIONS = { checkpoint: 'checkpoint', fence: 'fence' } as const
/** With a busy time-out of 0: it does not wait for a long reader, it just does not truncate. */
const TRUNCATE = checkpoint(CONNECTIONS.checkpoint, 'TRUNCATE')
export const CHECKPOINT_CONNECTIONS = Object.values(CONNECTIONS)

export class Checkpointer {
  readonly #parts: CheckpointerParts
  readonly #guard: ReadGuard
  readonly #limits: CheckpointLimits
  readonly #host: CheckpointerHost
  readonly #walIndex: WalIndexReader
  readonly #rate: CommitRate
  readonly #quiet: QuietWatch
  readonly #fences: FencePolicy
  #running: Promise<void> | undefined
  #stopped = false
  /** Frames in the WAL after the last pass. */
  #framesAfterPass = 0
  /** The next pass does not begin before that. */
  #restUntilMs = 0
  /** nBackfill after the last pass. */
  #backfilled = 0
  /**
   * Passes in a row that a reader of another process kept from making progress. A fence does not
   * help against it.
   */
  #blockedPasses = 0
  #idleRounds = 0
  #quietRounds = 0
  /** Frames in the WAL when `onIdle` was last called. */
  #framesAtIdle = 0
  #isTidy = true
  /**
   * Number of the last `mend` asked for, of the last one tried to the end, and of the last one
   * done.
   */
  #mends = 0
  #triedMends = 0
  #mended = 0

  private constructor(parts: CheckpointerParts, limits: CheckpointLimits) {
    const { guard, host, files } = parts
    this.#parts = parts
    this.#guard = guard
    this.#limits = limits
    this.#host = host
    this.#walIndex = new WalIndexReader(files.shm.fd)
    this.#rate = new CommitRate(host.clock)
    this.#fences = new FencePolicy(limits)
    this.#quiet = new QuietWatch({
      walFrames: () => host.walFrames(),
      standsInTheWay: () => this.#guardStandsInTheWay(),
      isDone: () => guard.slot === 0 && this.#walIndex.backfilledFrames() >= host.walFrames(),
      onQuiet: () => {
        if (host.isBetweenTransactions()) this.#start(() => guard.move(() => host.readToEnd(false)))
      },
    })
  }

  static async open(parts: CheckpointerParts, limits: CheckpointLimits): Promise<Checkpointer> {
    await parts.thread.run(...CHECKPOINT_CONNECTIONS.map((name) => open(name, parts.files.path, 0)))
    return new Checkpointer(parts, limits)
  }

  /** To be called after each look that found frames. */
  onCaptured(): void {
    this.#isTidy = false
    const frames = this.#host.walFrames()
    this.#rate.onCommit(this.#host.txid())
    this.#quiet.onFrames()
    if (frames < this.#framesAfterPass) this.#framesAfterPass = 0
    const isMending = this.#triedMends < this.#mends && this.#blockedPasses === 0 && this.#mayFence
    if (isMending || this.#isPassDue(frames)) this.#startPass()
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
   * To be called now and then: backfills what a quiet database still has in its WAL, and cuts a
   * file that is much larger than needed.
   */
  onIdle(): void {
    const frames = this.#host.walFrames()
    const isQuiet = frames === this.#framesAtIdle
    this.#framesAtIdle = frames
    this.#quietRounds = isQuiet ? this.#quietRounds + 1 : 0
    if (!isQuiet) return
    if (this.#isTidy) return this.#cutIfLarge()
    if (this.#blockedPasses <= PATIENCE || ++this.#idleRounds % BLOCKED_IDLE_ROUNDS === 0)
      this.#startPass()
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

  #isPassDue(frames: number): boolean {
    const { softWalFrames } = this.#limits
    const isPastBound = this.#fences.isPastBound(this.#bytesOf(frames))
    if (this.#running || (frames < softWalFrames && !isPastBound)) return false
    if (this.#blockedPasses <= PATIENCE)
      return (isPastBound && this.#mayFence) || this.#host.clock.nowMs() >= this.#restUntilMs
    const shift = Math.min(this.#blockedPasses - PATIENCE, MAX_BLOCKED_SHIFT)
    return frames - this.#framesAfterPass >= softWalFrames << shift
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
        // Captured in the midst of it, and told to nobody.
        if (this.#host.walFrames() > this.#walIndex.backfilledFrames()) this.#isTidy = false
      })
  }

  async #pass(): Promise<void> {
    const { clock } = this.#host
    const startMs = clock.nowMs()
    const mends = this.#mends
    this.#isTidy = true
    const load = this.#load()
    const fence = this.#blockedPasses > PATIENCE ? 'never' : this.#fences.choose(load, startMs)
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
    // One reader after the other may be in the way of each pass; one that lingers lets none get on.
    this.#blockedPasses = pass.isBlocked && backfilledFrames === 0 ? this.#blockedPasses + 1 : 0
    this.#framesAfterPass = this.#host.walFrames()
    this.#restUntilMs = complete ? 0 : endMs + REST * (endMs - startMs)
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

  get #mayFence(): boolean {
    return this.#fences.mayFence(this.#host.clock.nowMs())
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

  /** Whether moving the guard lets a checkpoint of somebody else get on. */
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
   * Until the WAL starts over, a recovery would lay the frames that it finds over the file, which
   * is newer: a malformed database. The guard on READ_LOCK(0) keeps all that is committed meanwhile
   * from being backfilled, so nothing is truncated that was not captured. While a reader lingers it
   * is tried again when the database is quiet.
   */
  async #startOver(mends: number): Promise<void> {
    const [result] = await this.#parts.thread.attempt(TRUNCATE)
    this.#triedMends = mends
    if (!checkpointCounts(result).busy) this.#mended = mends
  }

  /**
   * A checkpoint of ours that holds the write lock for as long as the file system takes to cut the
   * file.
   */
  #cutIfLarge(): void {
    if (this.#quietRounds < CUT_AFTER_ROUNDS || this.#guard.slot !== 0) return
    const { files, thread } = this.#parts
    const tooLarge = CUT_ABOVE_LIMITS * this.#limits.hardWalFrames * frameBytes(files.pageSize)
    if (walFileBytes(files) <= tooLarge || isReadByOthers(locksOf(files.shm), process.pid)) return
    this.#start(() => thread.attempt(TRUNCATE))
  }
}

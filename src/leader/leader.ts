/**
 * The engine of a leading node: capture, checkpoints, history and the sessions of its replicas.
 *
 * When commits were lost to capture (UNKNOWN_CHANGE, WAL_BROKEN) it scans the database again and
 * begins a new epoch; replicas then compare pages. When the file itself is gone, it fails for good.
 */
import type { WebSocket } from 'ws'
import type { Standing } from '../../proto/lineage.ts'
import { asWalcastError, keyOf, messageOf, WalcastError } from '../errors.ts'
import { Acknowledgements } from '../feed/acknowledgements.ts'
import { segmentBytes } from '../feed/batch.ts'
import type { ReplicaFeed } from '../feed/replicaFeed.ts'
import { closeSync, fdatasyncSync } from '../platform/files.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import {
  adoptDatabase,
  type DatabaseFiles,
  requireSafeHost,
  requireSoundSchema,
  walFileBytes,
} from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { isStillThere } from '../sqlite/pinnedFiles.ts'
import { PositionLog } from '../sqlite/positionLog.ts'
import { ReadGuard } from '../sqlite/readGuard.ts'
import { close, type SqliteThread } from '../sqlite/sqliteThread.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { Capture } from './capture.ts'
import { CaptureRun } from './captureRun.ts'
import { CHECKPOINT_CONNECTIONS, Checkpointer, type CheckpointerHost } from './checkpointer.ts'
import { type FeedingEngine, feedOf } from './leaderFeed.ts'
import type { LeaderOptions, LeaderStatus } from './leaderOptions.ts'
import { LedHistory } from './ledHistory.ts'
import { readAheadOf } from './readAhead.ts'
import { rebuildBatches } from './rebuiltBatches.ts'
import type { StartPoint } from './startPoint.ts'
import {
  askBeforeLeading,
  findStart,
  type LedDatabase,
  ledFrom,
  type StartupCause,
  TXID_RESERVE,
} from './startup.ts'
import { WriteFence } from './writeFence.ts'

/** With the fence taken the second finds all; without, writers may go on. */
const DRAIN_ROUNDS = 4
const OWN_CONNECTIONS = [...ReadGuard.connections, ...CHECKPOINT_CONNECTIONS]

export class Leader {
  readonly #options: LeaderOptions
  readonly #thread: SqliteThread
  readonly #feed: ReplicaFeed
  readonly #history: LedHistory
  /** What replicas hold, and who waits for that. */
  readonly acknowledgements: Acknowledgements
  #files!: DatabaseFiles
  #positions!: PositionLog
  #guard!: ReadGuard
  #checkpointer!: Checkpointer
  #scanned!: LedDatabase
  #fence!: WriteFence
  #run!: CaptureRun
  #timer: Timer | undefined
  #restarting: Promise<void> | undefined
  #ticks = 0
  #stopped = false
  /** Nothing is committed here any more by this engine. */
  #hasHandedOver = false

  private constructor(options: LeaderOptions, thread: SqliteThread) {
    this.#options = options
    this.#thread = thread
    this.acknowledgements = new Acknowledgements(options.maxAckWaits, {
      db: options.db,
      epoch: () => this.#capture.epoch,
      contains: (position) =>
        this.#history.contains(position) || this.#capture.hasCounted(position),
      known: () => options.replicas.direct(),
    })
    this.#history = new LedHistory(options.identity, {
      standing: () => this.position,
      checksum: () => (this.#capture.isOpen ? '' : this.#capture.checksum),
      records: () => this.#positions.read(),
    })
    this.#feed = feedOf(options, this.#history, this.#feedingEngine(), this.acknowledgements)
  }

  /**
   * Opens the database, settles where it stands and begins to capture. Throws the catalogue's
   * start-up errors. `thread` stays the caller's.
   */
  static async open(options: LeaderOptions, thread: SqliteThread): Promise<Leader> {
    const leader = new Leader(options, thread)
    await requireSafeHost(thread)
    leader.#files = await adoptDatabase(thread, options.path, (mode) =>
      options.log.info({ path: options.path, from: mode }, 'switched the database to WAL mode'),
    )
    leader.#fence = new WriteFence(thread, options.path)
    const seen = await askBeforeLeading(leader.#fence, leader.#files, options).catch((error) => {
      closeSync(leader.#files.walFd)
      throw error
    })
    await requireSoundSchema(thread, options.path)
    leader.#positions = new PositionLog(`${options.stateFolder}/positions`, options.ops)
    await leader.#guardWal()
    await leader.#begin({ forced: undefined, seen })
    leader.#timer = setRepeatingTimer(() => leader.#tick(), options.heartbeatMs)
    return leader
  }

  /**
   * Goes on with a database whose write lock this process holds, in the epoch of the node file.
   * Others may write once `admitWriters` has resolved. What throws leaves it to the caller as it
   * was. `thread` stays the caller's.
   */
  static async takeOver(
    options: LeaderOptions,
    thread: SqliteThread,
    held: HeldDatabase,
  ): Promise<Leader> {
    const leader = new Leader(options, thread)
    leader.#files = held.files
    leader.#positions = held.positions
    leader.#fence = new WriteFence(thread, options.path, true)
    try {
      await leader.#guardWal()
      leader.#scanned = ledFrom(held, segmentBytes(held.files.pageSize, options.batchBytes))
      leader.#startCapture({ epoch: options.identity.epoch(), txid: held.position.txid })
    } catch (error) {
      await thread.attempt(...OWN_CONNECTIONS.map(close))
      throw error
    }
    leader.#timer = setRepeatingTimer(() => leader.#tick(), options.heartbeatMs)
    options.observer.onEpoch(options.identity.epoch())
    return leader
  }

  async #guardWal(): Promise<void> {
    const [thread, files, host] = [this.#thread, this.#files, this.#checkpointerHost()]
    const guard = await ReadGuard.begin(thread, files.path, files.shm)
    this.#guard = guard
    this.#checkpointer = await Checkpointer.open(
      { thread, guard, files, host },
      this.#options.checkpoint,
    )
  }

  /** Whether no connection of any process can write. */
  get isFenced(): boolean {
    return this.#fence.isTaken
  }

  /**
   * Ends checkpoints, so that the fence need not wait for one. They begin again with
   * `admitWriters`.
   */
  async endCheckpoints(): Promise<void> {
    await this.#checkpointer.stop()
  }

  /**
   * From now on no connection of any process can write. Insists for `timeoutMs`. Throws
   * FENCE_FAILED.
   */
  async takeFence(timeoutMs: number): Promise<void> {
    await this.#checkpointer.stop()
    await this.#fence.take(timeoutMs)
  }

  /** Lets others write, for the first time or again. */
  async admitWriters(): Promise<void> {
    // Capture may have lost its place meanwhile: what begins anew has a checkpointer of its own.
    await this.#restarting
    await this.#fence.release()
    // One checkpointer at a time: this one was not stopped when writers had been let in before.
    await this.#checkpointer.stop()
    this.#guard.lookUp()
    this.#checkpointer = this.#checkpointer.reopen()
  }

  /**
   * Captures everything that is committed. When capture loses its place, it is drained again after
   * it has begun anew: with the fence taken nothing follows. Checkpoints end. Throws what capture
   * throws, STARTING when it does not go on.
   */
  async drain(): Promise<{
    readonly epoch: number
    readonly txid: number
    readonly checksum: string
  }> {
    for (let round = 1; ; round++) {
      await this.#restarting
      await this.#checkpointer.stop()
      try {
        if (!this.#run.isOn) throw new WalcastError('STARTING')
        await this.#run.readToEnd(true)
        const { epoch, txid, checksum } = this.#capture
        return { epoch, txid, checksum }
      } catch (error) {
        if (!this.#restarting || round === DRAIN_ROUNDS) throw error
      }
    }
  }

  /** A node of the cluster came, moved or was forgotten. */
  tellMember(member: Parameters<ReplicaFeed['tellMember']>[0]): void {
    this.#feed.tellMember(member)
  }

  /**
   * Gives the database to the engine of another role, with the write lock. Only after `takeFence`
   * and `drain`. Replicas are sent to `next`.
   */
  async handOver(next: Parameters<ReplicaFeed['moveTo']>[0]): Promise<HeldDatabase> {
    this.#stopped = true
    cancelTimer(this.#timer)
    this.#run.stopWaking()
    await this.#restarting
    this.#run.stopWaking()
    if (!this.#fence.isTaken || !this.#run.isOn || this.#capture.isOpen)
      throw new WalcastError('INTERNAL', {
        detail: 'a database is handed over only fenced and drained',
      })
    this.#run.end()
    this.#hasHandedOver = true
    this.acknowledgements.stop()
    this.#capture.recordPosition()
    this.#feed.moveTo(next)
    await this.#thread.run(...OWN_CONNECTIONS.map(close))
    const { walIndex, sums, frames } = this.#scanned
    const { epoch, incarnation, txid } = this.#capture
    return {
      files: this.#files,
      walIndex,
      sums,
      frames,
      positions: this.#positions,
      position: { epoch, incarnation, txid },
    }
  }

  get #capture(): Capture {
    return this.#run.capture
  }

  get status(): LeaderStatus {
    const { pageSize } = this.#files
    return {
      epoch: this.#capture.epoch,
      txid: this.#capture.txid,
      checksum: this.#capture.checksum,
      pageSize,
      pages: this.#scanned.sums.pages,
      walBytes: this.#walBytes,
      walFileBytes: walFileBytes(this.#files),
      historyBytes: this.#feed.historyBytes,
      capturing: this.#run.isOn,
      replicas: this.#feed.replicas(),
    }
  }

  /** Live: it moves on with each batch. */
  get position(): Standing {
    return this.#capture
  }

  /** What is on disk is compared with these; undefined while capture begins anew. */
  get scrubbed(): CheckedPages | undefined {
    return this.#run.isOn ? this.#pages() : undefined
  }

  /** Takes in what was committed meanwhile. */
  look(): void {
    this.#run.look(this.#options.clock.nowMs())
  }

  /** Handed to replicas' sockets and not yet taken by the network. */
  get bufferedBytes(): number {
    return this.#feed.bufferedBytes
  }

  /** Takes over an upgraded connection. */
  accept(socket: WebSocket, remoteAddress: string): void {
    const refusal = this.#stopped || !this.#run.isOn ? new WalcastError('STOPPING') : undefined
    this.#feed.accept(socket, remoteAddress, refusal)
  }

  /**
   * A position that contains every commit made before the call. Throws STARTING while capture
   * begins anew, and what capture throws.
   */
  async settle(): Promise<{ readonly epoch: number; readonly txid: number }> {
    if (this.#hasHandedOver) return { epoch: this.#capture.epoch, txid: this.#capture.txid }
    return this.#run.settle()
  }

  /** Replicas send no more requests; commits still reach them. */
  announceStop(): void {
    this.#feed.announceStop()
  }

  /** Captures what is left, tells the replicas, and stops. The database stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true
    cancelTimer(this.#timer)
    this.#run.stopWaking()
    await this.#restarting
    this.#run.stopWaking()
    await this.#checkpointer.stop()
    if (this.#run.isOn && this.#thread.isAlive) await this.#captureLast()
    this.#feed.stop()
    this.acknowledgements.stop()
    this.#run.end()
    await this.#thread.attempt(...[...OWN_CONNECTIONS, 'keeper'].map(close))
    // So that a clean stop means what it says: what was shipped is durable here too.
    fdatasyncSync(this.#files.walFd)
    this.#positions.close(true)
    closeSync(this.#files.walFd)
  }

  async #captureLast(): Promise<void> {
    try {
      await this.#run.readToEnd(true)
      this.#capture.recordPosition()
    } catch (error) {
      this.#options.log.warn(
        { error: messageOf(error) },
        'the last look failed; the next start begins a new epoch',
      )
    }
  }

  /**
   * Scans the database and goes on from what is found. `forced` begins a new epoch whatever is
   * found.
   */
  async #begin(cause: StartupCause): Promise<void> {
    const { db, batchBytes, historyBytes, clock } = this.#options
    const [files, positions, guard] = [this.#files, this.#positions, this.#guard]
    const { scanned, start, isBackfilled } = await findStart(
      { options: this.#options, thread: this.#thread, files, positions, guard, fence: this.#fence },
      cause,
    )
    this.#scanned = scanned
    if (!start.newEpoch) {
      const limits = { db, batchBytes, limitBytes: historyBytes / 2, nowMs: clock.nowMs() }
      for (const each of rebuildBatches(files, scanned, start, limits)) this.#feed.remember(each)
    }
    this.#startCapture(start)
    if (isBackfilled) this.#checkpointer.mend()
    this.#options.observer.onEpoch(start.epoch)
  }

  #startCapture(start: Pick<StartPoint, 'epoch' | 'txid'>): void {
    const { db, clock, identity, log } = this.#options
    const { pageSize } = this.#files
    const incarnation = identity.incarnation()
    const maxFramesBehind = this.#options.checkpoint.maxWalBytes / frameBytes(pageSize)
    const readAhead = readAheadOf(this.#feed, this.#files.shm, clock, maxFramesBehind)
    const capture = new Capture(
      {
        ...this.#scanned,
        db,
        epoch: start.epoch,
        incarnation,
        pageSize,
        walFd: this.#files.walFd,
        txid: start.txid,
      },
      {
        clock,
        mayReset: () => this.#guard.mayReset,
        onFrame: (salt1, frame) => this.#guard.captured.set(salt1, frame),
        mayReadAhead: (next) => readAhead.may(next),
        record: (position) => this.#positions.append(position),
        publish: (batch) => {
          this.#feed.publish(batch)
          this.#options.observer.onBatch(batch)
        },
        onUnverified: (frames) => {
          this.#options.observer.onUnverified(frames)
          this.#checkpointer.mend()
        },
      },
    )
    const wake = { walPath: this.#files.walPath, options: this.#options.wake }
    this.#run = new CaptureRun(capture, this.#scanned.reader, wake, {
      clock,
      log,
      isAlive: () => this.#thread.isAlive,
      onCaptured: () => this.#checkpointer.onCaptured(),
      onFailed: (error) => this.#onCaptureFailed(error),
    })
    if (!this.#stopped) this.#run.start()
  }

  #onCaptureFailed(error: unknown): void {
    const key = keyOf(error)
    if (key !== 'UNKNOWN_CHANGE' && key !== 'WAL_BROKEN') {
      const fatal = asWalcastError(error)
      this.#run.end()
      return this.#options.observer.onFatal(fatal)
    }
    this.#restarting ??= this.#restart(error).finally(() => {
      this.#restarting = undefined
    })
  }

  /** Begins a new epoch after commits were lost to capture. */
  async #restart(cause: unknown): Promise<void> {
    this.#options.log.error(
      { error: messageOf(cause) },
      'capture lost its place; beginning a new epoch',
    )
    this.#run.end()
    this.#feed.restart(new WalcastError('STARTING'))
    this.acknowledgements.endAll()
    try {
      await this.#checkpointer.stop()
      await this.#guard.renew()
      await this.#begin({ forced: messageOf(cause), seen: [] })
      this.#checkpointer = this.#checkpointer.reopen()
    } catch (error) {
      this.#options.observer.onFatal(asWalcastError(error))
    }
  }

  #tick(): void {
    this.#ticks++
    if (!isStillThere(this.#files.database))
      return this.#onCaptureFailed(new WalcastError('DB_REPLACED', { path: this.#files.path }))
    if (!this.#run.isOn) return
    const { identity, log } = this.#options
    const { txid } = this.#capture
    this.#feed.heartbeat()
    if (this.#ticks % 2 === 0) this.#checkpointer.onIdle()
    if (identity.txidCeiling() < txid + TXID_RESERVE / 2) {
      identity
        .raiseCeiling(txid + TXID_RESERVE)
        .catch((error) => log.error({ error: messageOf(error) }, 'cannot write the node file'))
    }
  }

  get #walBytes(): number {
    return this.#capture.walFrames * frameBytes(this.#files.pageSize)
  }

  #checkpointerHost(): CheckpointerHost {
    const { clock, observer, log } = this.#options
    return {
      clock,
      walFrames: () => this.#capture.walFrames,
      txid: () => this.#capture.txid,
      isBetweenTransactions: () => !this.#capture.isOpen,
      readToEnd: (force) => this.#run.readToEnd(force),
      onPass: (pass) => observer.onPass(pass),
      onFailure: (error) => {
        if (this.#stopped || !this.#run.isOn) return
        if (keyOf(error) === 'UNKNOWN_CHANGE') return this.#onCaptureFailed(error)
        log.warn({ error: messageOf(error) }, 'a checkpoint failed; it is tried again')
      },
    }
  }

  #feedingEngine(): FeedingEngine {
    return {
      pageSize: () => this.#files.pageSize,
      position: () => this.#position(),
      pages: () => this.#pages(),
      heartbeat: () => ({ db: this.#options.db, ...this.#run.tell(), walBytes: this.#walBytes }),
      look: () => this.look(),
      onRoom: () => this.#run.lookOn(),
    }
  }

  #pages(): CheckedPages {
    const { sums, frames } = this.#scanned
    return { files: this.#files, sums, frames }
  }

  #position() {
    const { epoch, incarnation, txid, checksum, isOpen } = this.#capture
    return { epoch, incarnation, txid, checksum, isOpen, pages: this.#scanned.sums.pages }
  }
}

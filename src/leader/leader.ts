/**
 * The engine of a leading node: one database that is captured, and the replicas that it feeds.
 */
import type { WebSocket } from 'ws'
import type { Standing } from '../../proto/lineage.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { Acknowledgements } from '../feed/acknowledgements.ts'
import { segmentBytes } from '../feed/batch.ts'
import type { ReplicaFeed } from '../feed/replicaFeed.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { walFileBytes } from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import { CapturedDatabase, type CaptureStart, type DrainedPosition } from './capturedDatabase.ts'
import { type FeedingEngine, feedOf } from './leaderFeed.ts'
import type { LeaderOptions, LeaderStatus } from './leaderOptions.ts'
import { LedHistory } from './ledHistory.ts'
import { closeOwn, type OpenDatabase, openHeld, openToLead } from './openDatabase.ts'
import { findStart, ledFrom, TXID_RESERVE } from './startup.ts'

export class Leader {
  readonly #options: LeaderOptions
  readonly #feed: ReplicaFeed
  readonly #database: CapturedDatabase
  /** What replicas hold, and who waits for that. */
  readonly acknowledgements: Acknowledgements
  #timer: Timer | undefined
  #ticks = 0
  #stopped = false

  private constructor(options: LeaderOptions, open: OpenDatabase, start: CaptureStart) {
    this.#options = options
    const capture = () => this.#database.capture
    const history = new LedHistory(options.identity, {
      standing: () => this.position,
      checksum: () => (capture().isOpen ? '' : capture().checksum),
      records: () => this.#database.records(),
    })
    this.acknowledgements = new Acknowledgements(options.maxAckWaits, {
      db: options.db,
      epoch: () => capture().epoch,
      contains: (position) => history.contains(position) || capture().hasCounted(position),
      known: () => options.replicas.direct(),
      counts: options.countsReplica,
    })
    this.#feed = feedOf(options, history, this.#feedingEngine(), this.acknowledgements)
    this.#database = new CapturedDatabase(options, open, start, {
      feed: this.#feed,
      onRestart: () => {
        this.#feed.restart(new WalcastError('STARTING'))
        this.acknowledgements.endAll()
      },
    })
  }

  /**
   * Opens the database, settles where it stands and begins to capture. Throws the catalogue's
   * start-up errors. `thread` stays the caller's.
   */
  static async open(options: LeaderOptions, thread: SqliteThread): Promise<Leader> {
    const { open, seen } = await openToLead(options, thread)
    const found = await findStart({ ...open, options }, { forced: undefined, seen })
    const leader = new Leader(options, open, found)
    leader.#database.begin(found)
    leader.#beginTicking(options.heartbeatMs)
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
    const { identity, batchBytes } = options
    try {
      const open = await openHeld(options, thread, held)
      const scanned = ledFrom(held, segmentBytes(held.files.pageSize, batchBytes))
      const start = { epoch: identity.epoch(), txid: held.position.txid }
      const leader = new Leader(options, open, { scanned, start })
      leader.#database.goOn()
      leader.#beginTicking(options.heartbeatMs)
      return leader
    } catch (error) {
      await thread.attempt(...closeOwn())
      throw error
    }
  }

  /** Once nothing of a start can throw any more: nobody could stop the timer then. */
  #beginTicking(everyMs: number): void {
    this.#timer = setRepeatingTimer(() => this.#tick(), everyMs)
  }

  /** Whether no connection of any process can write. */
  get isFenced(): boolean {
    return this.#database.isFenced
  }

  /**
   * Ends checkpoints, so that the fence need not wait for one. They begin again with
   * `admitWriters`.
   */
  endCheckpoints(): Promise<void> {
    return this.#database.endCheckpoints()
  }

  /**
   * From now on no connection of any process can write. Insists for `timeoutMs`. Throws
   * FENCE_FAILED.
   */
  takeFence(timeoutMs: number): Promise<void> {
    return this.#database.takeFence(timeoutMs)
  }

  /** Lets others write, for the first time or again. */
  admitWriters(): Promise<void> {
    return this.#database.admitWriters()
  }

  /**
   * Captures everything that is committed. When capture loses its place, it is drained again after
   * it has begun anew: with the fence taken nothing follows. Checkpoints end. Throws what capture
   * throws, STARTING when it does not go on.
   */
  drain(): Promise<DrainedPosition> {
    return this.#database.drain()
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
    await this.#database.end()
    this.acknowledgements.stop()
    this.#feed.moveTo(next)
    return this.#database.release()
  }

  get status(): LeaderStatus {
    const { files, capture, run, walBytes } = this.#database
    const { epoch, txid, checksum } = capture
    return {
      epoch,
      txid,
      checksum,
      pageSize: files.pageSize,
      pages: this.#database.pages().sums.pages,
      walBytes,
      walFileBytes: walFileBytes(files),
      historyBytes: this.#feed.historyBytes,
      capturing: run.isOn,
      replicas: this.#feed.replicas(),
    }
  }

  /** Live: it moves on with each batch. */
  get position(): Standing {
    return this.#database.capture
  }

  /** Where the database stands, with its state checksum; undefined while capture begins anew. */
  get state() {
    if (!this.#database.run.isOn) return undefined
    const { pageSize } = this.#database.files
    return { ...this.#database.position(), pageSize, source: this.#database.pages() }
  }

  /** Messages of the batches after a position; undefined unless all of them are kept. */
  batchesAfter(at: { readonly txid: number; readonly checksum: string }): Buffer[] | undefined {
    return this.#feed.batchesAfter(at)
  }

  /** The pages to compare with what is on disk; undefined while capture begins anew. */
  get scrubbed(): CheckedPages | undefined {
    return this.#database.run.isOn ? this.#database.pages() : undefined
  }

  /** Captures new commits. */
  look(): void {
    this.#database.run.look(this.#options.clock.nowMs())
  }

  /** Handed to replicas' sockets and not yet taken by the network. */
  get bufferedBytes(): number {
    return this.#feed.bufferedBytes
  }

  /** Takes over an upgraded connection. */
  accept(socket: WebSocket, remoteAddress: string): void {
    const isFeeding = !this.#stopped && this.#database.run.isOn
    const refusal = isFeeding ? undefined : new WalcastError('STOPPING')
    this.#feed.accept(socket, remoteAddress, refusal)
  }

  /**
   * A position that contains every commit made before the call. Throws STARTING while capture
   * begins anew, and what capture throws.
   */
  settle(): Promise<{ readonly epoch: number; readonly txid: number }> {
    return this.#database.settle()
  }

  /** Replicas send no more requests; commits still reach them. */
  announceStop(): void {
    this.#feed.announceStop()
  }

  /** Captures what is left, tells the replicas, and stops. The database stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true
    cancelTimer(this.#timer)
    await this.#database.captureLast()
    this.#feed.stop()
    this.acknowledgements.stop()
    await this.#database.close()
  }

  #tick(): void {
    this.#ticks++
    if (!this.#database.requireFile()) return
    this.#feed.heartbeat()
    if (this.#ticks % 2 === 0) this.#database.checkpointWhenIdle()
    this.#raiseCeiling(this.#database.capture.txid)
  }

  #raiseCeiling(txid: number): void {
    const { identity, log } = this.#options
    if (identity.txidCeiling() >= txid + TXID_RESERVE / 2) return
    identity
      .raiseCeiling(txid + TXID_RESERVE)
      .catch((error) =>
        log.error(
          { error: messageOf(error) },
          'cannot write the node file; retrying with the next heartbeat',
        ),
      )
  }

  #feedingEngine(): FeedingEngine {
    const { db } = this.#options
    return {
      pageSize: () => this.#database.files.pageSize,
      position: () => this.#database.position(),
      pages: () => this.#database.pages(),
      // The look of `tell` comes first: it may find more of the WAL.
      heartbeat: () => ({ db, ...this.#database.run.tell(), walBytes: this.#database.walBytes }),
      look: () => this.look(),
      onRoom: () => this.#database.run.lookOn(),
    }
  }
}

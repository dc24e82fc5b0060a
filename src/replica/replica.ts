/** The engine of a replica: its copy, and the connection to whoever feeds it. */
import { NOWHERE, type Standing } from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import { isFurther, type Position } from '../../proto/position.ts'
import { WalcastError } from '../errors.ts'
import { makeFolder } from '../platform/fileOps.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { requireSafeHost } from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { PositionLog } from '../sqlite/positionLog.ts'
import type { RottenPage } from '../sqlite/scrub/scrubPass.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import type { Copy } from './copy/copy.ts'
import { CopySlot, type CopySlotHost } from './copy/copySlot.ts'
import { CopyTrust } from './copy/copyTrust.ts'
import { Divergence } from './diverged/divergence.ts'
import type { KeptBundles } from './diverged/keptFolder.ts'
import { LagTracker } from './lag.ts'
import type { Downstream, ReplicaOptions } from './replicaOptions.ts'
import { Upstream } from './upstream.ts'

export class Replica {
  readonly #options: ReplicaOptions
  readonly lag: LagTracker
  readonly #slot: CopySlot
  readonly #trust = new CopyTrust()
  readonly #divergence: Divergence
  readonly #upstream: Upstream
  /** The furthest position that the folder had on record when this process began. */
  readonly #stoodAt: Position | undefined
  #idleTimer: Timer | undefined
  #stopping: Promise<void> | undefined

  private constructor(
    options: ReplicaOptions,
    thread: SqliteThread,
    held: HeldDatabase | undefined,
  ) {
    this.#options = options
    this.lag = new LagTracker(options.clock)
    const positions =
      held?.positions ?? new PositionLog(`${options.stateFolder}/positions`, options.ops)
    this.#stoodAt = positions.found.reduce<Position | undefined>(furthest, undefined)
    this.#slot = new CopySlot({ ...options, thread, positions }, this.#copyHost())
    this.#divergence = new Divergence({
      ...options,
      node: options.identity.node,
      onDropped: (kind) => options.observer.onKeptDropped(kind),
    })
    this.#upstream = new Upstream({
      options,
      thread,
      slot: this.#slot,
      trust: this.#trust,
      divergence: this.#divergence,
      lag: this.lag,
      hasLed: held !== undefined,
    })
  }

  /**
   * Opens the copy, if there is one. Throws the start-up errors of the catalogue and has then
   * changed nothing. `thread` stays the caller's.
   */
  static async open(options: ReplicaOptions, thread: SqliteThread): Promise<Replica> {
    const { path, identity } = options
    await requireSafeHost(thread)
    const exists = await CopySlot.look(path, identity.cluster(), thread)
    makeFolder(options.stateFolder)
    const replica = new Replica(options, thread, undefined)
    if (exists) await replica.#slot.adopt()
    return replica
  }

  /** Takes over a database that this process has led until now, or gave up leading. */
  static async takeOver(
    options: ReplicaOptions,
    thread: SqliteThread,
    held: HeldDatabase,
  ): Promise<Replica> {
    const replica = new Replica(options, thread, held)
    await replica.#slot.takeOver(held)
    return replica
  }

  /** Begins to connect. `downstream` passes on what arrives to replicas of this node's own. */
  start(downstream: Downstream): void {
    this.#upstream.start(downstream)
    this.#idleTimer = setRepeatingTimer(() => this.#onTick(), this.#options.idleMs)
  }

  /** What this copy had and its leader lacked. */
  get bundles(): KeptBundles {
    return this.#divergence
  }

  get #copy(): Copy | undefined {
    return this.#slot.copy
  }

  get position(): Standing {
    return this.#slot.whole?.applier.position ?? NOWHERE
  }

  /**
   * Where this copy once stood, if that is further than now: an operator has put it back since, or
   * the machine lost what was not synced.
   */
  get stoodAt(): Position | undefined {
    return this.#stoodAt && isFurther(this.#stoodAt, this.position) ? this.#stoodAt : undefined
  }

  /** Whether the copy is whole and not known to differ from the leader's. Cheap. */
  get canRead(): boolean {
    return this.#slot.whole !== undefined && this.#trust.isGood
  }

  get status() {
    const applier = this.#slot.whole?.applier
    const { state, leader, lastError, queuedBytes, silentMs } = this.#upstream
    return {
      state,
      ...this.position,
      checksum: applier?.checksum ?? '',
      pageSize: this.#slot.whole?.pageSize ?? 0,
      pages: applier?.pages ?? 0,
      walBytes: this.#copy?.walBytes ?? 0,
      walFileBytes: this.#copy?.walFileBytes ?? 0,
      queuedBytes,
      hasCopy: this.#slot.whole !== undefined,
      /** A new copy with pages of another size is arriving, to take the place of this one. */
      isReplacing: this.#slot.isReplacing,
      leaderPageSize: leader.pageSize,
      /** False from when its content is known to differ until a resync has repaired it. */
      isTrusted: this.#trust.isGood,
      leaderNode: leader.source,
      follows: leader.node,
      connected: this.#upstream.isConnected,
      silentMs,
      sync: this.#upstream.resyncProgress,
      lastError,
      kept: this.#divergence.kept,
    }
  }

  /** The scrub compares the disk with these; undefined while a transaction or a resync arrives. */
  get scrubbed(): Copy['pages'] | undefined {
    const copy = this.#copy
    const isSettled = copy && !copy.applier.isOpen && this.#upstream.state !== 'syncing'
    return isSettled ? copy.pages : undefined
  }

  /** Repairs rotten pages by a comparison with the leader. False when that cannot begin now. */
  repair(rotten: readonly RottenPage[]): boolean {
    // Without a leader readers would lose the whole copy for the sake of some pages.
    const canRepair = this.#upstream.state === 'streaming' && this.scrubbed !== undefined
    if (!canRepair || !this.#copy?.admit(rotten)) return false
    this.#trust.onRotten()
    const { path } = this.#options
    this.#upstream.reconnect(new WalcastError('PAGES_ROTTEN', { path, count: rotten.length }))
    return true
  }

  /** Reads the whole copy again and compares it with the leader. */
  distrust(): void {
    this.#trust.onMismatch()
    const { path } = this.#options
    this.#upstream.reconnect(new WalcastError('PAGES_ROTTEN', { path, count: 'unknown' }))
  }

  /**
   * The state that replicas of this node's own are fed from. Undefined while the copy is not whole,
   * while a resync changes it, and until the leader is known: replicas are told where it is.
   */
  get feedable() {
    const copy = this.#copy
    const { state, leader } = this.#upstream
    if (!copy || !this.#trust.isGood || state === 'syncing' || leader.source === '')
      return undefined
    const { position, checksum, pages, isOpen } = copy.applier
    return { ...position, checksum, pages, isOpen, source: copy.pages, pageSize: copy.pageSize }
  }

  /** The leader, however many replicas lie between. */
  get source(): { readonly node: string; readonly address: string; readonly incarnation: string } {
    const { source: node, sourceAddress: address, incarnation } = this.#upstream.leader
    return { node, address, incarnation }
  }

  /** Tells the leader of a replica that this one feeds. */
  reportBelow(below: Omit<Body<'below'>, 'db'>): void {
    this.#upstream.tell('below', { db: this.#options.db, ...below })
  }

  /**
   * Tells the leader what a replica that this one feeds has seen. False when that is impossible
   * now.
   */
  reportSeen(seen: Omit<Body<'seen'>, 'db'>): boolean {
    return this.#upstream.tell('seen', { db: this.#options.db, ...seen })
  }

  /** Asks the leader for its clock and position. */
  ping(): void {
    this.#upstream.ping()
  }

  /** HOST:PORT that it connects to; undefined when it knows none. */
  get leaderAddress(): string | undefined {
    return this.#upstream.address
  }

  /** Connects to the leader at this address from now on. */
  follow(leader: string): void {
    this.#upstream.follow(leader)
  }

  /** Must precede `handOver`; see Copy. */
  async holdLock(timeoutMs: number): Promise<void> {
    await this.#copy?.checkpoints.holdLock(timeoutMs)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /**
   * Handles what has arrived and gives the copy, with its write lock, to the engine of another
   * role. Without a whole copy it closes everything and returns undefined. Throws SQLITE_BUSY when
   * the lock was lost.
   */
  async handOver(timeoutMs: number): Promise<HeldDatabase | undefined> {
    this.#endBackground()
    const leftBytes = await this.#upstream.finish(timeoutMs)
    if (leftBytes > 0)
      this.#options.log.error(
        { bytes: leftBytes },
        'could not apply everything received in time; giving up the rest',
      )
    return this.#slot.handOver()
  }

  async #stop(): Promise<void> {
    this.#endBackground()
    await this.#upstream.stop()
    await this.#slot.close()
  }

  #endBackground(): void {
    cancelTimer(this.#idleTimer)
    this.#divergence.stop()
  }

  #copyHost(): CopySlotHost {
    const { log, observer } = this.#options
    return {
      hold: () => this.#upstream.hold(),
      onCheckpoint: (checkpoint) => observer.onCheckpoint(checkpoint),
      onDurable: (syncMs) => observer.onDurable(syncMs),
      onStray: (error, same) => {
        observer.onStray()
        log.error({ error: error.line }, 'the copy was written by something else')
        if (!same) this.#trust.onStray()
        this.#upstream.reconnect(error)
      },
      onFatal: (error) => observer.onFatal(error),
      onOpened: (copy, isMended) => {
        this.lag.onAt(copy.applier.position.txid)
        if (copy.isBlank) this.#trust.onBlank()
        else this.#trust.onOpened(copy.isAsRecorded, isMended)
      },
    }
  }

  #onTick(): void {
    const { clock, idleMs, path, observer } = this.#options
    if (this.#copy && !this.#copy.isThere)
      return observer.onFatal(new WalcastError('DB_REPLACED', { path }))
    if (clock.nowMs() - this.#upstream.lastBatchMs > idleMs) this.#copy?.checkpoints.onIdle()
  }
}

function furthest(known: Position | undefined, { epoch, txid }: Position): Position {
  return known && !isFurther({ epoch, txid }, known) ? known : { epoch, txid }
}

/**
 * The engine of a replica: its copy, the conversation with whoever feeds it, and what of both is
 * told.
 */
import { durationOf } from '../../proto/fields.ts'
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
import { Acknowledger } from './acknowledger.ts'
import { BatchReceiver } from './batchReceiver.ts'
import type { Copy } from './copy/copy.ts'
import { CopySlot, type CopySlotHost } from './copy/copySlot.ts'
import { CopyTrust } from './copy/copyTrust.ts'
import { Divergence } from './diverged/divergence.ts'
import { Handshake } from './handshake.ts'
import { LagTracker } from './lag.ts'
import type { Downstream, ReplicaOptions } from './replicaOptions.ts'
import { Resync } from './resync.ts'
import { Subscription } from './subscription.ts'
import { UpstreamSession } from './upstreamSession.ts'

export class Replica {
  readonly #options: ReplicaOptions
  readonly #subscription: Subscription
  readonly lag: LagTracker
  readonly #slot: CopySlot
  readonly #divergence: Divergence
  readonly #resync: Resync
  readonly #acks: Acknowledger
  readonly #meeting: Handshake
  readonly #streamed: BatchReceiver
  readonly #trust = new CopyTrust()
  /** The furthest position that the folder has on record from before this process. */
  readonly #stoodAt: Position | undefined
  readonly #conversation: UpstreamSession
  #pingTimer: Timer | undefined
  #idleTimer: Timer | undefined
  #stopping: Promise<void> | undefined

  private constructor(
    options: ReplicaOptions,
    thread: SqliteThread,
    held: HeldDatabase | undefined,
  ) {
    this.#options = options
    this.lag = new LagTracker(options.clock)
    this.#meeting = new Handshake(options)
    const positions =
      held?.positions ?? new PositionLog(`${options.stateFolder}/positions`, options.ops)
    this.#stoodAt = positions.found.reduce<Position | undefined>(furthest, undefined)
    this.#slot = new CopySlot({ ...options, thread, positions }, this.#copyHost())
    this.#subscription = new Subscription(options.subscription, {
      clock: options.clock,
      upgradeHeaders: () => options.upgradeHeaders(this.lag.offset.offsetMs),
      onOpen: () => this.#conversation.sayHello(),
      onMessage: (message, receivedMs, bytes) =>
        this.#conversation.onMessage(message, receivedMs, bytes),
      onHeard: (nowMs) => this.lag.onHeard(nowMs),
      onLeaderClock: (leaderMs, sentMs, receivedMs) =>
        this.lag.offset.add(sentMs, leaderMs, receivedMs),
      onClosed: (error) => this.#conversation.onClosed(error),
    })
    this.#divergence = new Divergence({
      ...options,
      node: options.identity.node,
      onDropped: (kind) => options.observer.onKeptDropped(kind),
    })
    this.#resync = new Resync({
      db: options.db,
      slot: this.#slot,
      subscription: this.#subscription,
      divergence: this.#divergence,
      log: options.log,
    })
    this.#acks = new Acknowledger({
      copy: () => this.#slot.copy,
      isLevel: () => this.#conversation.state === 'streaming' && this.#trust.isGood,
      lagMs: () => durationOf(this.lag.recentLagMs),
      send: (ack) => this.#subscription.send('ack', { db: options.db, ...ack }),
      onSyncFailed: (detail) =>
        options.log.error({ error: detail }, 'the copy could not be synced'),
    })
    const { clock, observer } = options
    const [slot, lag, acks] = [this.#slot, this.lag, this.#acks]
    const streamed = new BatchReceiver({ slot, lag, acks, clock, observer })
    this.#streamed = streamed
    this.#conversation = new UpstreamSession({
      options,
      thread,
      subscription: this.#subscription,
      slot,
      lag,
      acks,
      trust: this.#trust,
      meeting: this.#meeting,
      streamed,
      resync: this.#resync,
      divergence: this.#divergence,
      hasLed: held !== undefined,
      ping: () => this.ping(),
    })
  }

  /**
   * Opens what is there and begins to connect. Throws the catalogue's start-up errors and has
   * touched nothing then. `thread` stays the caller's.
   */
  static async open(options: ReplicaOptions, thread: SqliteThread): Promise<Replica> {
    const { path, identity } = options
    await requireSafeHost(thread)
    const exists = await CopySlot.look(path, identity.cluster(), thread)
    makeFolder(options.stateFolder)
    const replica = new Replica(options, thread, undefined)
    if (exists) await replica.#slot.adopt()
    replica.#start()
    return replica
  }

  /** Goes on with a database that this process has led until now, or gave up leading. */
  static async takeOver(
    options: ReplicaOptions,
    thread: SqliteThread,
    held: HeldDatabase,
  ): Promise<Replica> {
    const replica = new Replica(options, thread, held)
    await replica.#slot.takeOver(held)
    replica.#start()
    return replica
  }

  #start(): void {
    const { pingMs, idleMs } = this.#options
    this.#subscription.start()
    this.#pingTimer = setRepeatingTimer(() => this.ping(), pingMs)
    this.#idleTimer = setRepeatingTimer(() => this.#onTick(), idleMs)
  }

  get #copy(): Copy | undefined {
    return this.#slot.copy
  }

  get position(): Standing {
    return this.#slot.whole?.applier.position ?? NOWHERE
  }

  /**
   * Where this copy once stood, if that is further than now: it was put back since, or the machine
   * lost what was not synced.
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
    return {
      state: this.#conversation.state,
      ...this.position,
      checksum: applier?.checksum ?? '',
      pageSize: this.#slot.whole?.pageSize ?? 0,
      pages: applier?.pages ?? 0,
      walBytes: this.#copy?.walBytes ?? 0,
      walFileBytes: this.#copy?.walFileBytes ?? 0,
      queuedBytes: this.#subscription.queuedBytes,
      hasCopy: this.#slot.whole !== undefined,
      /** One with pages of another size is fetched, to take its place. */
      isReplacing: this.#slot.isReplacing,
      leaderPageSize: this.#meeting.leader.pageSize,
      /** False from the moment its content is known to differ until it has been repaired. */
      isTrusted: this.#trust.isGood,
      leaderNode: this.#meeting.leader.source,
      follows: this.#meeting.leader.node,
      connected: this.#subscription.isOpen && this.#conversation.state !== 'connecting',
      silentMs: this.#subscription.silentMs,
      sync: this.#conversation.state === 'syncing' ? this.#resync.progress : undefined,
      lastError: this.#conversation.lastError,
      kept: this.#divergence.kept,
    }
  }

  /** What is on disk is compared with these; undefined while more is under way than their state. */
  get scrubbed(): Copy['pages'] | undefined {
    const copy = this.#copy
    return copy && !copy.applier.isOpen && this.#conversation.state !== 'syncing'
      ? copy.pages
      : undefined
  }

  /**
   * Has pages that are not what was written brought by a comparison with the leader. False when
   * that cannot begin now.
   */
  repair(rotten: readonly RottenPage[]): boolean {
    // Without a leader readers would lose the whole copy for the sake of some pages.
    if (this.#conversation.state !== 'streaming' || !this.scrubbed || !this.#copy?.admit(rotten))
      return false
    this.#trust.onRotten()
    this.#streamed.downstream?.onUnsettled()
    const { path } = this.#options
    this.#subscription.fail(new WalcastError('PAGES_ROTTEN', { path, count: rotten.length }))
    return true
  }

  /** Has the whole copy read again and compared with the leader. */
  distrust(): void {
    this.#trust.onMismatch()
    this.#streamed.downstream?.onUnsettled()
    this.#subscription.fail(
      new WalcastError('PAGES_ROTTEN', { path: this.#options.path, count: 'unknown' }),
    )
  }

  /**
   * Where its own replicas are fed from; undefined while the copy is not whole, or is being brought
   * to another state.
   */
  get feedable() {
    const copy = this.#copy
    // Whoever is fed is told where the leader is: not before that is known.
    if (
      !copy ||
      !this.#trust.isGood ||
      this.#conversation.state === 'syncing' ||
      this.#meeting.leader.source === ''
    )
      return undefined
    const { position, checksum, pages, isOpen } = copy.applier
    return { ...position, checksum, pages, isOpen, source: copy.pages, pageSize: copy.pageSize }
  }

  /** The leader, however many replicas lie between. */
  get source(): { readonly node: string; readonly address: string; readonly incarnation: string } {
    const { source: node, sourceAddress: address, incarnation } = this.#meeting.leader
    return { node, address, incarnation }
  }

  /** Hears what arrives from now on. */
  set downstream(downstream: Downstream) {
    this.#streamed.downstream = downstream
  }

  /** Tells the leader of a replica that this one feeds. */
  reportBelow(below: Omit<Body<'below'>, 'db'>): void {
    if (this.#conversation.state === 'streaming')
      this.#subscription.send('below', { db: this.#options.db, ...below })
  }

  /**
   * Tells the leader what a replica that this one feeds has seen. False when it cannot be told now.
   */
  reportSeen(seen: Omit<Body<'seen'>, 'db'>): boolean {
    if (this.#conversation.state !== 'streaming') return false
    this.#subscription.send('seen', { db: this.#options.db, ...seen })
    return true
  }

  /** Asks the leader for its clock and position. */
  ping(): void {
    this.#subscription.send('ping', { db: this.#options.db, timeMs: this.#options.clock.nowMs() })
  }

  /** HOST:PORT of the node that it connects to; undefined when it knows none. */
  get leaderAddress(): string | undefined {
    return this.#subscription.leader
  }

  /** Connects to the leader at this address from now on. */
  follow(leader: string): void {
    this.#subscription.follow(leader)
  }

  /** Before `handOver`; see Copy. */
  async holdLock(timeoutMs: number): Promise<void> {
    await this.#copy?.holdLock(timeoutMs)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /**
   * Handles what was received and gives the copy to the engine of another role, with its write
   * lock. Undefined, with everything closed, when there is no whole copy. Throws SQLITE_BUSY when
   * the lock was lost.
   */
  async handOver(timeoutMs: number): Promise<HeldDatabase | undefined> {
    this.#stopTimers()
    const leftBytes = await this.#subscription.finish(timeoutMs)
    if (leftBytes > 0)
      this.#options.log.error(
        { bytes: leftBytes },
        'not all that was received could be applied in time: it is given up',
      )
    this.#conversation.stop()
    return this.#slot.handOver()
  }

  async #stop(): Promise<void> {
    this.#conversation.stop()
    this.#stopTimers()
    await this.#subscription.stop()
    await this.#slot.close()
  }

  #stopTimers(): void {
    this.#acks.reset()
    cancelTimer(this.#pingTimer)
    cancelTimer(this.#idleTimer)
    this.#divergence.stop()
  }

  #copyHost(): CopySlotHost {
    const { log, observer } = this.#options
    return {
      hold: () => this.#subscription.hold(),
      onCheckpoint: (checkpoint) => observer.onCheckpoint(checkpoint),
      onDurable: (syncMs) => observer.onDurable(syncMs),
      onStray: (error, same) => {
        observer.onStray()
        this.#streamed.downstream?.onUnsettled()
        log.error({ error: error.line }, 'the copy was written by something else')
        if (!same) this.#trust.onStray()
        this.#subscription.fail(error)
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
    if (clock.nowMs() - this.#streamed.lastBatchMs > idleMs) this.#copy?.onIdle()
  }
}

function furthest(known: Position | undefined, { epoch, txid }: Position): Position {
  return known && !isFurther({ epoch, txid }, known) ? known : { epoch, txid }
}

/**
 * The engine of a replica.
 *
 *   connecting ── welcome(resume) ───────────────────────────────────────────> streaming
 *       │     └── welcome(sync) ──> syncing: groups, differ, have, pages, synced ──┘ │
 *       └<──────────── any failure, after a delay ───────────────────────────────────┘
 */
import { durationOf } from '../../proto/fields.ts'
import type { Body, Message } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { makeFolder } from '../fileOps.ts'
import { requireSafeHost } from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { PositionLog } from '../sqlite/positionLog.ts'
import type { RottenPage } from '../sqlite/scrubPass.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import { Acknowledger } from './acknowledger.ts'
import type { ReplicaPosition } from './applier.ts'
import type { Copy } from './copy.ts'
import { CopySlot, type CopySlotHost } from './copySlot.ts'
import { CopyTrust } from './copyTrust.ts'
import { Divergence } from './divergence.ts'
import { LagTracker } from './lag.ts'
import { errorOf, FATAL_AT_FIRST, REFUSED } from './leaderErrors.ts'
import { Meeting } from './meeting.ts'
import type { Downstream, ReplicaOptions } from './replicaOptions.ts'
import { Resync } from './resync.ts'
import { Streamed } from './streamed.ts'
import { Subscription } from './subscription.ts'

export type ReplicaState = 'connecting' | 'syncing' | 'streaming' | 'stopped'

/** A connection that streams after this long is in order. */
const SETTLED_MS = 1000

export class Replica {
  readonly #options: ReplicaOptions
  readonly #thread: SqliteThread
  readonly #subscription: Subscription
  readonly lag: LagTracker
  readonly #slot: CopySlot
  readonly #divergence: Divergence
  readonly #resync: Resync
  readonly #acks: Acknowledger
  #state: ReplicaState = 'connecting'
  readonly #meeting: Meeting
  readonly #streamed: Streamed
  readonly #trust = new CopyTrust()
  /** It had a database of this cluster before it came to follow: what speaks against its first leader is not fatal. */
  readonly #hasLed: boolean
  #lastError: WalcastError | undefined
  #pingTimer: NodeJS.Timeout | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #stopping: Promise<void> | undefined

  private constructor(options: ReplicaOptions, thread: SqliteThread, held: HeldDatabase | undefined) {
    this.#options = options
    this.#thread = thread
    this.lag = new LagTracker(options.clock)
    this.#hasLed = held !== undefined
    this.#meeting = new Meeting(options)
    const positions = held?.positions ?? new PositionLog(`${options.stateFolder}/positions`, options.ops)
    this.#slot = new CopySlot({ ...options, thread, positions }, this.#copyHost())
    this.#subscription = new Subscription(options.subscription, {
      clock: options.clock,
      upgradeHeaders: () => options.upgradeHeaders(this.lag.offset.offsetMs),
      onOpen: () => this.#sayHello(),
      onMessage: (message, receivedMs, bytes) => this.#onMessage(message, receivedMs, bytes),
      onHeard: (nowMs) => this.lag.onHeard(nowMs),
      onLeaderClock: (leaderMs, sentMs, receivedMs) => this.lag.offset.add(sentMs, leaderMs, receivedMs),
      onClosed: (error) => this.#onClosed(error),
    })
    this.#divergence = new Divergence({ ...options, node: options.identity.node })
    this.#resync = new Resync({
      db: options.db,
      slot: this.#slot,
      subscription: this.#subscription,
      divergence: this.#divergence,
      log: options.log,
    })
    this.#acks = new Acknowledger({
      copy: () => this.#slot.copy,
      isLevel: () => this.#state === 'streaming' && this.#trust.isGood,
      lagMs: () => durationOf(this.lag.recentLagMs),
      send: (ack) => this.#subscription.send('ack', { db: options.db, ...ack }),
      onSyncFailed: (detail) => options.log.error({ error: detail }, 'the copy could not be synced'),
    })
    const { clock, observer } = options
    const [slot, lag, acks] = [this.#slot, this.lag, this.#acks]
    this.#streamed = new Streamed({ slot, lag, acks, clock, observer })
  }

  /** Opens what is there and begins to connect. Throws the catalogue's start-up errors and has touched nothing then. `thread` stays the caller's. */
  static async open(options: ReplicaOptions, thread: SqliteThread): Promise<Replica> {
    const { path, identity } = options
    const exists = CopySlot.look(path, identity.cluster())
    await requireSafeHost(thread)
    makeFolder(options.stateFolder)
    const replica = new Replica(options, thread, undefined)
    if (exists) await replica.#slot.adopt()
    replica.#start()
    return replica
  }

  /** Goes on with a database that this process has led until now, or gave up leading. */
  static async takeOver(options: ReplicaOptions, thread: SqliteThread, held: HeldDatabase): Promise<Replica> {
    const replica = new Replica(options, thread, held)
    await replica.#slot.takeOver(held)
    replica.#start()
    return replica
  }

  #start(): void {
    const { pingMs, idleMs } = this.#options
    this.#subscription.start()
    this.#pingTimer = setInterval(() => this.ping(), pingMs)
    this.#idleTimer = setInterval(() => this.#onTick(), idleMs)
  }

  get #copy(): Copy | undefined {
    return this.#slot.copy
  }

  get position(): ReplicaPosition {
    return this.#copy?.applier.position ?? { epoch: 0, txid: 0 }
  }

  /** Whether the copy is whole and not known to differ from the leader's. Cheap. */
  get canRead(): boolean {
    return this.#copy !== undefined && this.#trust.isGood
  }

  get status() {
    const applier = this.#copy?.applier
    return {
      state: this.#state,
      epoch: applier?.position.epoch ?? 0,
      txid: applier?.position.txid ?? 0,
      checksum: applier?.checksum ?? '',
      pageSize: this.#copy?.pageSize ?? 0,
      pages: applier?.pages ?? 0,
      walBytes: this.#copy?.walBytes ?? 0,
      queuedBytes: this.#subscription.queuedBytes,
      hasCopy: this.#copy !== undefined,
      /** False from the moment its content is known to differ until it has been repaired. */
      isTrusted: this.#trust.isGood,
      leaderNode: this.#meeting.leader.source,
      follows: this.#meeting.leader.node,
      connected: this.#subscription.isOpen && this.#state !== 'connecting',
      sync: this.#state === 'syncing' ? this.#resync.progress : undefined,
      lastError: this.#lastError,
      kept: this.#divergence.kept,
    }
  }

  /** What is on disk is compared with these; undefined while more is under way than their state. */
  get scrubbed(): Copy['pages'] | undefined {
    const copy = this.#copy
    return copy && !copy.applier.isOpen && this.#state !== 'syncing' ? copy.pages : undefined
  }

  /** Has pages that are not what was written brought by a comparison with the leader. False when that cannot begin now. */
  repair(rotten: readonly RottenPage[]): boolean {
    // Without a leader readers would lose the whole copy for the sake of some pages.
    if (this.#state !== 'streaming' || !this.scrubbed || !this.#copy?.admit(rotten)) return false
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
    this.#subscription.fail(new WalcastError('PAGES_ROTTEN', { path: this.#options.path, count: 'unknown' }))
  }

  /** Where its own replicas are fed from; undefined while the copy is not whole, or is being brought to another state. */
  get feedable() {
    const copy = this.#copy
    // Whoever is fed is told where the leader is: not before that is known.
    if (!copy || !this.#trust.isGood || this.#state === 'syncing' || this.#meeting.leader.source === '')
      return undefined
    const { position, checksum, pages, isOpen } = copy.applier
    return { ...position, checksum, pages, isOpen, source: copy.pages, pageSize: copy.pageSize }
  }

  /** The leader, however many replicas lie between. */
  get source(): { readonly node: string; readonly address: string } {
    return { node: this.#meeting.leader.source, address: this.#meeting.leader.sourceAddress }
  }

  /** Hears what arrives from now on. */
  set downstream(downstream: Downstream) {
    this.#streamed.downstream = downstream
  }

  /** Tells the leader of a replica that this one feeds. */
  reportBelow(below: Omit<Body<'below'>, 'db'>): void {
    if (this.#state === 'streaming') this.#subscription.send('below', { db: this.#options.db, ...below })
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
   * Handles what was received and gives the copy to the engine of another role, with its write lock. Undefined, with everything
   * closed, when there is no whole copy. Throws SQLITE_BUSY when the lock was lost.
   */
  async handOver(timeoutMs: number): Promise<HeldDatabase | undefined> {
    this.#stopTimers()
    const leftBytes = await this.#subscription.finish(timeoutMs)
    if (leftBytes > 0)
      this.#options.log.error(
        { bytes: leftBytes },
        'not all that was received could be applied in time: it is given up',
      )
    this.#state = 'stopped'
    return this.#slot.handOver()
  }

  async #stop(): Promise<void> {
    this.#state = 'stopped'
    this.#stopTimers()
    await this.#subscription.stop()
    await this.#slot.close()
  }

  #stopTimers(): void {
    this.#acks.reset()
    clearInterval(this.#pingTimer)
    clearInterval(this.#idleTimer)
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
      onOpened: (copy) => {
        this.lag.onAt(copy.applier.position.txid)
        this.#trust.onOpened(copy.isAsRecorded)
      },
    }
  }

  #sayHello(): void {
    if (this.#state !== 'stopped') this.#state = 'connecting'
    this.#copy?.applier.discardBatch()
    const lagMs = durationOf(this.lag.lagMs())
    this.#subscription.send('hello', this.#meeting.hello(this.#copy, !this.#trust.isDoubtful, lagMs))
  }

  #onMessage(message: Message, receivedMs: number, bytes: Buffer): void | Promise<void> {
    const { db } = this.#options
    if (message.type !== 'error' && message.body.db !== db)
      throw new WalcastError('UNKNOWN_DATABASE', { db: message.body.db })
    try {
      return this.#handle(message, receivedMs, bytes)
    } finally {
      // Counted afterwards: readers wait for a batch, not for a counter.
      this.#options.observer.onReceived(message.payload.length)
    }
  }

  #handle(message: Message, receivedMs: number, bytes: Buffer): void | Promise<void> {
    switch (message.type) {
      case 'batch':
        this.#expect('streaming', 'a batch')
        if (!this.#thread.isAlive) throw new WalcastError('STOPPING')
        return this.#streamed.onBatch(message.body, message.payload, receivedMs, bytes)
      case 'heartbeat':
        return this.#onHeartbeat(message.body)
      case 'pong':
        return this.lag.offset.add(message.body.pingMs, message.body.timeMs, receivedMs)
      case 'welcome':
        return this.#onWelcome(message.body)
      case 'resync':
        this.#expect('streaming', 'a resync')
        this.#meeting.onResync(message.body.pages)
        return this.#beginSync(message.body.reason)
      case 'differ':
        this.#expect('syncing', 'differ')
        return this.#resync.onDiffer(message.body, message.payload)
      case 'pages':
        this.#expect('syncing', 'pages')
        return this.#resync.onPages(message.body, message.payload)
      case 'synced':
        this.#expect('syncing', 'synced')
        return this.#onSynced(message.body, message.payload)
      case 'stopping':
        this.#options.log.info('the leader is stopping')
        return this.#options.observer.onLeaderStopping()
      case 'ask':
        return this.#acks.onAsk(message.body)
      case 'epoch':
        return this.#meeting.onEpoch(message.body)
      case 'member':
        return this.#options.observer.onMember(message.body)
      case 'moved':
        return this.#options.observer.onMoved(message.body)
      case 'error':
        throw errorOf(message.body, this.#subscription.leader ?? '')
      case 'hello':
      case 'groups':
      case 'have':
      case 'below':
      case 'ack':
      case 'ping':
        throw new WalcastError('MESSAGE_BAD', { detail: `a leader does not send ${message.type}` })
    }
  }

  async #onWelcome(welcome: Body<'welcome'>): Promise<void> {
    const { identity, log, clock, observer } = this.#options
    this.#expect('connecting', 'a welcome')
    await this.#meeting.adopt(welcome, this.#copy)
    const { node, source, sourceAddress } = welcome
    if (this.#meeting.onWelcome(welcome, clock.nowMs())) this.#streamed.downstream?.onUnsettled()
    this.lag.onConnected(welcome.heartbeatMs)
    // What feeds this node may be a replica itself; requests go to the leader.
    observer.onConnected(source === node ? '' : sourceAddress)
    this.ping()
    const { mode, reason, epoch, txid } = welcome
    log.info({ leader: node, mode, reason: reason || undefined, epoch, txid }, 'connected to the leader')
    if (mode === 'sync') {
      this.#trust.onCompared(welcome.contains)
      return this.#beginSync(reason)
    }
    this.#copy?.applier.discard()
    if (this.#copy && epoch !== this.position.epoch) this.#enterEpoch(this.#copy, epoch)
    this.#trust.onLevel()
    this.#state = 'streaming'
    this.#divergence.onLevel(welcome.checksum)
    identity.onLevel(epoch, source)
    if (source === node) this.lag.onLeaderAt(txid)
  }

  /** The leader has this very state in its own epoch. */
  #enterEpoch(copy: Copy, epoch: number): void {
    this.#streamed.downstream?.onUnsettled()
    copy.applier.enterEpoch(epoch)
    this.#options.observer.onLeaderAt()
  }

  /** Tells the leader which pages are here, so that it sends the others. */
  #beginSync(reason: string): Promise<void> {
    this.#state = 'syncing'
    this.#streamed.downstream?.onUnsettled()
    return this.#resync.begin({
      reason,
      leader: this.#meeting.leader,
      isDoubtful: this.#trust.isDoubtful,
      divergence: this.#trust.divergence,
    })
  }

  async #onSynced(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    await this.#resync.onSynced(synced, payload)
    this.#trust.onLevel()
    this.#state = 'streaming'
    this.#divergence.onLevel(synced.checksum)
    this.#options.identity.onLevel(synced.epoch, this.#meeting.leader.source)
    this.lag.onAt(synced.txid)
    this.#copy?.onApplied()
    this.#options.observer.onSynced()
    this.#acks.onSynced()
  }

  #expect(state: ReplicaState, what: string): void {
    if (this.#state !== state)
      throw new WalcastError('MESSAGE_BAD', { detail: `${what} came while ${this.#state}` })
  }

  /** A connection that fails soon, on a full disk for example, backs off, and its error stays to be seen. */
  #onHeartbeat(heartbeat: Body<'heartbeat'>): void {
    const settledMs = this.#options.clock.nowMs() - (this.#meeting.welcomedMs ?? 0)
    if (this.#state === 'streaming' && settledMs > SETTLED_MS) {
      this.#subscription.settled()
      this.#lastError = undefined
    }
    this.#streamed.onHeartbeat(heartbeat)
  }

  #onTick(): void {
    const { clock, idleMs, path, observer } = this.#options
    if (this.#copy && !this.#copy.isThere) return observer.onFatal(new WalcastError('DB_REPLACED', { path }))
    if (clock.nowMs() - this.#streamed.lastBatchMs > idleMs) this.#copy?.onIdle()
  }

  #onClosed(error: WalcastError): void {
    const { observer, log } = this.#options
    this.#streamed.downstream?.onDisconnected()
    this.lag.onDisconnected()
    this.#acks.reset()
    if (this.#state === 'stopped') return
    // A state that does not verify is never resumed from: the pages are compared next time.
    if (error.key === 'STATE_MISMATCH') {
      this.#trust.onMismatch()
      this.#slot.abandonFirst()
    }
    if (REFUSED.has(error.key)) observer.onRefused(error.key)
    if (!this.#hasLed && this.#meeting.welcomedMs === undefined && FATAL_AT_FIRST.has(error.key))
      return observer.onFatal(error)
    if (this.#state !== 'connecting' || this.#lastError?.code !== error.code)
      log.warn({ error: error.line }, 'not connected to the leader; trying again')
    this.#state = 'connecting'
    this.#lastError = error
    observer.onDisconnected(error.key)
  }
}

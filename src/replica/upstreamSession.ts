/**
 * The conversation between a replica and whoever feeds it, one connection after another.
 *
 *   connecting ── welcome(resume) ──────────────────────────────────> streaming
 *     ^    └── welcome(sync) ──> syncing ── synced ──────────────────────┘ │
 *     │                            ^  groups, differ, have, pages          │
 *     │                            └──────────────── resync ───────────────┤
 *     └──────────── any failure, after a delay ────────────────────────────┘
 *
 * A full disk is such a failure. Nothing of the batch is visible then (`copy/applier.ts`), and the
 * replica connects again, each time later, until the disk has room. `connectionErrors.ts` tells
 * which failures end the replica instead.
 */
import { durationOf } from '../../proto/fields.ts'
import { MAX_TEXT_CHARS } from '../../proto/limits.ts'
import type { Body, Message } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import type { Acknowledger } from './acknowledger.ts'
import type { BatchReceiver } from './batchReceiver.ts'
import { errorOf, FatalErrors, REFUSED } from './connectionErrors.ts'
import type { Copy } from './copy/copy.ts'
import type { CopySlot } from './copy/copySlot.ts'
import type { CopyTrust } from './copy/copyTrust.ts'
import type { Divergence } from './diverged/divergence.ts'
import type { Handshake } from './handshake.ts'
import type { LagTracker } from './lag.ts'
import type { Downstream, ReplicaOptions } from './replicaOptions.ts'
import type { Resync } from './resync.ts'
import type { Subscription } from './subscription.ts'

export type ReplicaState = 'connecting' | 'syncing' | 'streaming' | 'stopped'

export interface UpstreamSessionParts {
  readonly options: Pick<ReplicaOptions, 'db' | 'log' | 'clock' | 'observer' | 'access' | 'claims'>
  readonly thread: SqliteThread
  readonly subscription: Subscription
  readonly slot: CopySlot
  readonly lag: LagTracker
  readonly acks: Acknowledger
  readonly trust: CopyTrust
  readonly handshake: Handshake
  readonly receiver: BatchReceiver
  readonly resync: Resync
  readonly divergence: Divergence
  readonly downstream: Downstream
  /** This node had a database of the cluster before it came to follow (see FatalErrors). */
  readonly hasLed: boolean
  /** Asks the leader for its clock and position. */
  ping(): void
}

/** A connection that streams after this time works. */
const SETTLED_MS = 1000

export class UpstreamSession {
  readonly #parts: UpstreamSessionParts
  #state: ReplicaState = 'connecting'
  #lastError: WalcastError | undefined
  readonly #fatal: FatalErrors
  /** HOST:PORT of the present connection. The leader to follow may be another one by now. */
  #address = ''

  constructor(parts: UpstreamSessionParts) {
    this.#parts = parts
    this.#fatal = new FatalErrors(parts.options.clock, parts.hasLed)
  }

  get state(): ReplicaState {
    return this.#state
  }

  /** Why the last connection ended; undefined once the present one works. */
  get lastError(): WalcastError | undefined {
    return this.#lastError
  }

  /** The replica ends. Later messages change nothing. */
  stop(): void {
    this.#state = 'stopped'
  }

  /** A connection is open. */
  sayHello(): void {
    if (this.#state !== 'stopped') this.#state = 'connecting'
    this.#address = this.#parts.subscription.leader ?? ''
    this.#copy?.applier.discardBatch()
    const lagMs = durationOf(this.#parts.lag.lagMs())
    this.#parts.subscription.send(
      'hello',
      this.#parts.handshake.hello(this.#parts.slot.whole, this.#parts.trust.isGood, lagMs),
    )
  }

  /** An error that it throws ends the connection. */
  onMessage(message: Message, receivedMs: number, bytes: Buffer): void | Promise<void> {
    const { db, claims } = this.#parts.options
    if (message.type !== 'error' && message.body.db !== db)
      throw new WalcastError('UNKNOWN_DATABASE', { db: message.body.db })
    claims.require(message.body)
    try {
      return this.#handle(message, receivedMs, bytes)
    } finally {
      // After the work: readers wait for a batch, not for a counter.
      this.#parts.options.observer.onReceived(message.payload.length)
    }
  }

  #handle(message: Message, receivedMs: number, bytes: Buffer): void | Promise<void> {
    switch (message.type) {
      case 'batch':
        this.#expect('streaming', 'a batch')
        if (!this.#parts.thread.isAlive) throw new WalcastError('STOPPING')
        return this.#parts.receiver.onBatch(message.body, message.payload, receivedMs, bytes)
      case 'heartbeat':
        return this.#onHeartbeat(message.body)
      case 'pong':
        return this.#parts.lag.offset.add(message.body.pingMs, message.body.timeMs, receivedMs)
      case 'welcome':
        return this.#onWelcome(message.body)
      case 'resync':
        this.#expect('streaming', 'a resync')
        this.#parts.handshake.onResync(message.body.pages)
        return this.#beginSync(message.body.reason)
      case 'differ':
        this.#expect('syncing', 'differ')
        return this.#parts.resync.onDiffer(message.body, message.payload)
      case 'pages':
        this.#expect('syncing', 'pages')
        return this.#parts.resync.onPages(message.body, message.payload)
      case 'synced':
        this.#expect('syncing', 'synced')
        return this.#onSynced(message.body, message.payload)
      case 'stopping':
        this.#parts.options.log.info('the leader is stopping')
        return this.#parts.options.observer.onLeaderStopping()
      case 'ask':
        return this.#parts.acks.onAsk(message.body)
      case 'incarnation':
        return this.#parts.handshake.onIncarnation(message.body)
      case 'member':
        return this.#parts.options.observer.onMember(message.body)
      case 'moved':
        return this.#parts.options.observer.onMoved(message.body)
      case 'twin':
        return this.#parts.downstream.onTwin(message.body)
      case 'error':
        throw errorOf(message.body, this.#parts.subscription.leader ?? '')
      case 'hello':
      case 'groups':
      case 'have':
      case 'below':
      case 'seen':
      case 'ack':
      case 'ping':
        throw new WalcastError('MESSAGE_BAD', { detail: `a leader does not send ${message.type}` })
    }
  }

  async #onWelcome(welcome: Body<'welcome'>): Promise<void> {
    const { log, clock, observer, access } = this.#parts.options
    this.#expect('connecting', 'a welcome')
    const address = this.#address
    const { connectionId } = this.#parts.subscription
    this.#requireStill(address, connectionId)
    await this.#parts.handshake.adopt(welcome, this.#parts.slot.whole, address)
    this.#requireStill(address, connectionId)
    access.apply()
    const { node, source, sourceAddress } = welcome
    this.#fatal.onWelcome()
    if (this.#parts.handshake.onWelcome(welcome, clock.nowMs()))
      this.#parts.downstream.onUnsettled()
    this.#parts.lag.onConnected(welcome.heartbeatMs)
    this.#parts.lag.onWelcome(welcome)
    // A relay may feed this node. Requests go to the leader itself.
    observer.onConnected(source === node ? '' : sourceAddress, address)
    this.#parts.ping()
    log.info(
      {
        leader: welcome.node,
        mode: welcome.mode,
        reason: plainText(welcome.reason, MAX_TEXT_CHARS) || undefined,
        epoch: welcome.epoch,
        txid: welcome.txid,
      },
      'connected to the leader',
    )
    if (welcome.mode === 'sync') {
      this.#parts.trust.onCompared(welcome.contains)
      return this.#beginSync(welcome.reason)
    }
    const copy = this.#copy
    copy?.applier.discard()
    if (copy && welcome.incarnation !== copy.applier.position.incarnation)
      this.#enter(copy, welcome)
    this.#parts.trust.onLevel()
    this.#state = 'streaming'
    this.#parts.divergence.onLevel(welcome.checksum)
  }

  /**
   * A welcome counts only on its own connection, and only while that leader is the one to follow.
   * Otherwise it would be taken for the next leader's.
   */
  #requireStill(address: string, connectionId: number): void {
    const { subscription } = this.#parts
    if (subscription.leader === address && subscription.connectionId === connectionId) return
    throw new WalcastError('LEADER_UNREACHABLE', {
      address,
      detail: 'the connection ended with its welcome',
    })
  }

  /** The leader has the state of this copy in its own incarnation. */
  #enter(copy: Copy, welcome: Body<'welcome'>): void {
    this.#parts.downstream.onUnsettled()
    copy.applier.enter(welcome)
    this.#parts.options.observer.onLeaderAt()
  }

  /** Sends the leader the checksums of the pages here, so that it sends what differs. */
  #beginSync(reason: string): Promise<void> {
    this.#state = 'syncing'
    this.#parts.downstream.onUnsettled()
    return this.#parts.resync.begin({
      reason: plainText(reason, MAX_TEXT_CHARS),
      leader: this.#parts.handshake.leader,
      isDoubtful: this.#parts.trust.isDoubtful,
      divergence: () => this.#parts.trust.divergence,
    })
  }

  async #onSynced(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    await this.#parts.resync.onSynced(synced, payload)
    this.#parts.handshake.onSynced()
    this.#parts.trust.onLevel()
    this.#state = 'streaming'
    this.#parts.divergence.onLevel(synced.checksum)
    this.#parts.lag.onAt(synced.txid)
    this.#copy?.checkpoints.onApplied()
    this.#parts.options.observer.onSynced()
    this.#parts.acks.onSynced()
  }

  #expect(state: ReplicaState, what: string): void {
    if (this.#state !== state)
      throw new WalcastError('MESSAGE_BAD', { detail: `${what} came while ${this.#state}` })
  }

  /**
   * A connection that fails soon, on a full disk for example, keeps its back-off and its error.
   * After SETTLED_MS of streaming both are reset.
   */
  #onHeartbeat(heartbeat: Body<'heartbeat'>): void {
    const settledMs = this.#parts.options.clock.nowMs() - (this.#parts.handshake.welcomedMs ?? 0)
    if (this.#state === 'streaming' && settledMs > SETTLED_MS) {
      this.#parts.subscription.settled()
      this.#lastError = undefined
    }
    this.#parts.receiver.onHeartbeat(heartbeat)
  }

  /** The connection ended, or could not be made. */
  onClosed(error: WalcastError): void {
    const { observer, log } = this.#parts.options
    this.#parts.downstream.onDisconnected()
    this.#parts.lag.onDisconnected()
    this.#parts.acks.reset()
    if (this.#state === 'stopped') return
    // Never resume from a state that does not verify. The next connection compares the pages.
    if (error.key === 'STATE_MISMATCH') {
      this.#parts.trust.onMismatch()
      this.#parts.slot.abandonFirst()
    }
    if (error.key === 'WRONG_PAGE_SIZE') this.#parts.handshake.onOtherPageSize()
    if (REFUSED.has(error.key)) observer.onRefused(error.key)
    const isFirst = this.#parts.handshake.welcomedMs === undefined
    if (this.#fatal.isFatal(error, isFirst)) return observer.onFatal(error)
    if (this.#state !== 'connecting' || this.#lastError?.code !== error.code)
      log.warn({ error: error.line }, 'not connected to the leader; reconnecting')
    this.#state = 'connecting'
    this.#lastError = error
    observer.onDisconnected(error.key)
  }

  get #copy(): Copy | undefined {
    return this.#parts.slot.copy
  }
}

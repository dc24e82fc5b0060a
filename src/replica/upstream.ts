/**
 * A replica's side towards whoever feeds it: the connection, and the parts that speak over it. Made
 * once for a replica; the connections come and go.
 */
import { durationOf } from '../../proto/fields.ts'
import type { Body, MessageType } from '../../proto/messages.ts'
import type { WalcastError } from '../errors.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'
import { Acknowledger } from './acknowledger.ts'
import { BatchReceiver } from './batchReceiver.ts'
import type { CopySlot } from './copy/copySlot.ts'
import type { CopyTrust } from './copy/copyTrust.ts'
import type { Divergence } from './diverged/divergence.ts'
import { Handshake, type MetLeader } from './handshake.ts'
import type { LagTracker } from './lag.ts'
import type { Downstream, ReplicaOptions } from './replicaOptions.ts'
import { Resync, type ResyncProgress } from './resync.ts'
import { Subscription } from './subscription.ts'
import { type ReplicaState, UpstreamSession } from './upstreamSession.ts'

export interface UpstreamParts {
  readonly options: ReplicaOptions
  readonly thread: SqliteThread
  readonly slot: CopySlot
  readonly trust: CopyTrust
  readonly divergence: Divergence
  readonly lag: LagTracker
  /** This node had a database of the cluster before it came to follow. */
  readonly hasLed: boolean
}

export class Upstream {
  readonly #parts: UpstreamParts
  readonly #subscription: Subscription
  readonly #handshake: Handshake
  readonly #resync: Resync
  readonly #acks: Acknowledger
  /** These three are undefined until `start`. */
  #downstream: Downstream | undefined
  #receiver: BatchReceiver | undefined
  #session: UpstreamSession | undefined
  #pingTimer: Timer | undefined

  constructor(parts: UpstreamParts) {
    this.#parts = parts
    const { options, slot, trust, divergence, lag } = parts
    const { db, log, clock } = options
    this.#handshake = new Handshake(options)
    this.#subscription = new Subscription(options.subscription, {
      clock,
      dial: (address, timeoutMs) => options.dial(address, timeoutMs, lag.offset.offsetMs),
      onOpen: () => this.#session?.sayHello(),
      onMessage: (message, receivedMs, bytes) =>
        this.#session?.onMessage(message, receivedMs, bytes),
      onHeard: (nowMs) => lag.onHeard(nowMs),
      onLeaderClock: (leaderMs, sentMs, receivedMs) => lag.offset.add(sentMs, leaderMs, receivedMs),
      onClosed: (error) => this.#session?.onClosed(error),
    })
    this.#resync = new Resync({ db, slot, subscription: this.#subscription, divergence, log })
    this.#acks = new Acknowledger({
      copy: () => slot.copy,
      isLevel: () => this.#session?.state === 'streaming' && trust.isGood,
      lagMs: () => durationOf(lag.recentLagMs),
      send: (ack) => this.#subscription.send('ack', { db, ...ack }),
      onSyncFailed: (detail) => log.error({ error: detail }, 'could not sync the copy'),
    })
  }

  /** Begins to connect. `downstream` hears what arrives. */
  start(downstream: Downstream): void {
    const { options, slot, lag } = this.#parts
    const { clock, observer, pingMs } = options
    const acks = this.#acks
    this.#downstream = downstream
    this.#receiver = new BatchReceiver({ slot, lag, acks, clock, observer, downstream })
    this.#session = new UpstreamSession({
      ...this.#parts,
      subscription: this.#subscription,
      acks,
      handshake: this.#handshake,
      receiver: this.#receiver,
      resync: this.#resync,
      downstream,
      ping: () => this.ping(),
    })
    this.#subscription.start()
    this.#pingTimer = setRepeatingTimer(() => this.ping(), pingMs)
  }

  get state(): ReplicaState {
    return this.#session?.state ?? 'connecting'
  }

  /** Why the last connection ended; undefined once the present one works. */
  get lastError(): WalcastError | undefined {
    return this.#session?.lastError
  }

  /** What the last welcome said of the leader. */
  get leader(): MetLeader {
    return this.#handshake.leader
  }

  /** HOST:PORT that it connects to; undefined when it knows none. */
  get address(): string | undefined {
    return this.#subscription.leader
  }

  /** A leader has welcomed this replica, and the connection is open. */
  get isConnected(): boolean {
    return this.#subscription.isOpen && this.state !== 'connecting'
  }

  /** Bytes received and not yet handled. */
  get queuedBytes(): number {
    return this.#subscription.queuedBytes
  }

  /** See Subscription. */
  get silentMs(): number {
    return this.#subscription.silentMs
  }

  /** Undefined unless pages are being compared. */
  get resyncProgress(): ResyncProgress | undefined {
    return this.state === 'syncing' ? this.#resync.progress : undefined
  }

  /** When the last batch came; 0 before the first. */
  get lastBatchMs(): number {
    return this.#receiver?.lastBatchMs ?? 0
  }

  /** Connects to the leader at this address from now on. */
  follow(leader: string): void {
    this.#subscription.follow(leader)
  }

  /** Asks the leader for its clock and position. */
  ping(): void {
    const { db, clock } = this.#parts.options
    this.#subscription.send('ping', { db, timeMs: clock.nowMs() })
  }

  /** Sends a message if batches stream now. Returns false otherwise. */
  tell<T extends MessageType>(type: T, body: Body<T>): boolean {
    if (this.state !== 'streaming') return false
    this.#subscription.send(type, body)
    return true
  }

  /** Holds messages back until the returned function is called. */
  hold(): () => void {
    return this.#subscription.hold()
  }

  /** Closes the connection because of `error` and opens another one. Replicas below start over. */
  reconnect(error: WalcastError): void {
    this.#downstream?.onUnsettled()
    this.#subscription.fail(error)
  }

  /**
   * Handles what has arrived for at most `timeoutMs`, and stops. Returns the bytes that were not
   * handled.
   */
  async finish(timeoutMs: number): Promise<number> {
    this.#endTimers()
    const leftBytes = await this.#subscription.finish(timeoutMs)
    this.#session?.stop()
    return leftBytes
  }

  async stop(): Promise<void> {
    this.#session?.stop()
    this.#endTimers()
    await this.#subscription.stop()
  }

  #endTimers(): void {
    this.#acks.reset()
    cancelTimer(this.#pingTimer)
  }
}

/**
 * The leader's side of one replica's connection.
 *
 *   hello -> resume ------------------------------------------------------> streaming
 *        \-> compare: groups*, differ*, have* -> sync: pages*, synced -----> streaming
 *   streaming -> compare, when history no longer has the replica's place (message resync)
 *
 * A slow replica costs a cursor: past `maxBufferedBytes` it is not fed, and what it then misses it
 * gets from history or by comparing pages. It never holds up another session.
 */
import type { WebSocket } from 'ws'
import { decode, encode } from '../../proto/codec.ts'
import type { Body, MessageType } from '../../proto/messages.ts'
import { refusedFrame } from '../../proto/socketErrors.ts'
import { keyOf, WalcastError } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import type { CapturedBatch } from './batch.ts'
import type { BatchHistory, HistoryPlace } from './batchHistory.ts'
import { ComparisonServer } from './comparisonServer.ts'
import { greetings, type HandshakeHost, placeOf, requireFeedable, seenOf } from './handshake.ts'
import { HeartbeatSender, type HeartbeatSenderHost } from './heartbeatSender.ts'
import { HistoryCursor } from './historyCursor.ts'
import type { PageServer } from './pageServer.ts'
import { SILENCE_MS } from './processes.ts'
import { errorOf, type ReplicaMessage, requireFromReplica } from './replicaMessages.ts'
import { SendQueue, type SendQueueLimits } from './sendQueue.ts'

export interface ReplicaSessionOptions extends SendQueueLimits {
  readonly helloTimeoutMs: number
}

export interface ReplicaSessionHost extends HandshakeHost, HeartbeatSenderHost {
  readonly history: BatchHistory
  nowMs(): number
  newPageServer(session: ReplicaSession): PageServer
  onHello(session: ReplicaSession): void
  onAck(session: ReplicaSession): void
  onBelow(session: ReplicaSession, below: Body<'below'>): void
  /** The replica has taken something. */
  onTaken(): void
  onClosed(session: ReplicaSession, error: unknown): void
  onBadMessage(error: unknown): void
  onSent(bytes: number): void
}

export type SessionState = 'hello' | 'closing' | 'comparing' | 'syncing' | 'streaming' | 'closed'

export class ReplicaSession {
  readonly #host: ReplicaSessionHost
  readonly remoteAddress: string
  #state: SessionState = 'hello'
  #comparing: ComparisonServer | undefined
  readonly #outbox: SendQueue
  readonly #cursor: HistoryCursor
  readonly #heartbeats: HeartbeatSender
  readonly #helloTimer: Timer
  readonly #silenceMs: number
  #isStopping = false
  node = ''
  /** Random id of the replica's process. */
  instance = ''
  /** When that came up, by this node's clock, ms. */
  upSinceMs = 0
  advertise = ''
  epoch = 0
  txid = 0
  lagMs = 0
  lastSeenMs = 0
  /** The last acknowledgement. */
  acked: Body<'ack'> | undefined

  constructor(
    socket: WebSocket,
    remoteAddress: string,
    host: ReplicaSessionHost,
    options: ReplicaSessionOptions,
  ) {
    this.#host = host
    this.remoteAddress = remoteAddress
    this.lastSeenMs = host.nowMs()
    this.#outbox = new SendQueue(socket, options, {
      onSent: (bytes) => host.onSent(bytes),
      onRoom: () => this.#onRoom(),
    })
    this.#cursor = new HistoryCursor(host.history, this.#outbox, {
      onLost: () => this.#resync(),
      onResumed: () => this.#onRoom(),
    })
    this.#heartbeats = new HeartbeatSender(this.#outbox, host)
    this.#silenceMs = options.stallMs
    const late = new WalcastError('STALLED', { seconds: options.helloTimeoutMs / 1000 })
    this.#helloTimer = setTimer(() => this.#outbox.cut(late), options.helloTimeoutMs)
    socket.on('message', (data) => this.#receive(data as Buffer))
    socket.on('error', (error) => this.#onSocketError(error))
    socket.on('close', () => this.#closed())
  }

  get state(): SessionState {
    return this.#state
  }

  /** Whether it was sent everything there is. */
  get isLevel(): boolean {
    return this.#state === 'streaming' && this.#cursor.isAtEnd
  }

  /**
   * Whether it is worth waiting for within a huge transaction: it streams, is alive, and lacks
   * something before `place`. The speed of its link does not matter.
   */
  isOnItsWayTo(place: HistoryPlace): boolean {
    if (this.#state !== 'streaming') return false
    return this.#host.nowMs() - this.lastSeenMs <= SILENCE_MS && this.#cursor.isBefore(place)
  }

  /** All pages were sent, and there is no position yet at which the copy could end. */
  get isCopyWaiting(): boolean {
    return this.#state === 'syncing' && (this.#comparing?.server.isWaiting ?? false)
  }

  /** It asked where the leader stands, and the answer may be older than the question. */
  get isWaiting(): boolean {
    return this.#heartbeats.isWaiting
  }

  get bufferedBytes(): number {
    return this.#outbox.bufferedBytes
  }

  get takenBytes(): number {
    return this.#outbox.takenBytes
  }

  /** A batch was captured; its message is in history already. */
  onCaptured(batch: Pick<CapturedBatch, 'pageNumbers'>): void {
    if (this.#state === 'streaming') this.#cursor.feed()
    else if (this.#state === 'syncing' || this.#state === 'comparing')
      this.#comparing?.server.onCaptured(batch.pageNumbers)
  }

  send<T extends MessageType>(type: T, body: Body<T>): void {
    this.#outbox.write(encode(type, body))
  }

  /** Sends a heartbeat, or cuts off a replica that has been silent for too long. */
  heartbeat(body: Body<'heartbeat'>): void {
    if (this.#state === 'hello' || this.#state === 'closing') return
    const silentMs = this.#host.nowMs() - this.lastSeenMs
    if (silentMs > this.#silenceMs)
      return this.#outbox.cut(new WalcastError('STALLED', { seconds: Math.round(silentMs / 1000) }))
    this.#heartbeats.send(body)
  }

  /** Sends a message of this node's own accord, once the replica was welcomed. */
  tell<T extends 'member' | 'moved' | 'twin'>(type: T, body: Body<T>): void {
    if (this.#state !== 'hello' && this.#state !== 'closing' && this.#state !== 'closed')
      this.send(type, body)
  }

  /** Sends it once. What is captured until the end still follows. */
  announceStop(body: Body<'stopping'>): void {
    if (this.#isStopping || this.#state === 'closing' || this.#state === 'closed') return
    this.#isStopping = true
    this.send('stopping', body)
  }

  /** Sends and waits until the socket has room again. */
  sendAndDrain(message: Buffer, onTaken: () => void): Promise<void> {
    return this.#outbox.writeAndWait(message, onTaken)
  }

  /** Sends the last page images; the batches captured from now on follow. */
  finishSync(message: Buffer): void {
    if (this.#state !== 'syncing') return
    this.#comparing = undefined
    this.#outbox.write(message)
    this.#stream(this.#host.history.nextSequence)
  }

  /** Closes the connection and tells the other side why. */
  fail(error: unknown): void {
    if (this.#state === 'closed' || this.#state === 'closing') return
    this.#state = 'closing'
    const key = keyOf(error) ?? 'INTERNAL'
    const message = error instanceof Error ? error.message.slice(0, 1000) : ''
    this.#outbox.end(error, encode('error', { db: this.#host.db, code: key, message }), key)
  }

  terminate(): void {
    this.#outbox.cut()
  }

  #onRoom(): void {
    if (this.#state !== 'streaming') return
    this.#cursor.feed()
    this.#host.onTaken()
  }

  #onSocketError(error: Error): void {
    const refused = refusedFrame(error)
    if (refused) this.#host.onBadMessage(refused)
    this.fail(refused ?? error)
  }

  #closed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    cancelTimer(this.#helloTimer)
    this.#outbox.closed()
    this.#host.onClosed(this, this.#outbox.error)
  }

  #receive(data: Buffer): void {
    if (this.#state === 'closed' || this.#state === 'closing') return
    this.lastSeenMs = this.#host.nowMs()
    try {
      this.#handle(requireFromReplica(decode(data), this.#host, this.#state !== 'hello'))
    } catch (error) {
      this.#host.onBadMessage(error)
      this.fail(error)
    }
  }

  #handle(message: ReplicaMessage): void {
    switch (message.type) {
      case 'hello':
        return this.#onHello(message.body)
      case 'groups':
        return this.#expectComparing('groups').takeGroups(message.body, message.payload)
      case 'have':
        return this.#expectComparing('have').takeHave(message.body, message.payload)
      case 'below':
        if (message.body.node !== this.node) this.#host.onBelow(this, message.body)
        return
      case 'seen':
        return void this.#host.onUnknownHistory(seenOf(message.body), message.body.leader)
      case 'ack':
        return this.#onAck(message.body)
      case 'ping':
        return this.#heartbeats.onPing(message.body.timeMs)
      case 'error':
        this.#outbox.onTold(errorOf(message.body))
    }
  }

  #onHello(hello: Body<'hello'>): void {
    const host = this.#host
    requireFeedable(hello, host)
    cancelTimer(this.#helloTimer)
    this.node = hello.node
    this.instance = hello.instance
    this.upSinceMs = host.nowMs() - hello.upMs
    this.advertise = hello.advertise
    this.epoch = hello.epoch
    this.txid = hello.txid
    this.lagMs = hello.lagMs
    host.onHello(this)
    const sequence = placeOf(hello, host)
    for (const message of greetings(hello, host, sequence)) this.#outbox.write(message)
    if (sequence === undefined) this.#awaitGroups()
    else this.#stream(sequence)
  }

  #stream(sequence: number): void {
    this.#state = 'streaming'
    this.#cursor.moveTo(sequence)
    this.#cursor.feed()
  }

  #resync(): void {
    const { db, epoch } = this.#host
    const reason = 'history does not reach back far enough'
    this.send('resync', { db, epoch, pages: this.#host.position().pages, reason })
    this.#awaitGroups()
  }

  #awaitGroups(): void {
    this.#state = 'comparing'
    this.#comparing = new ComparisonServer(this.#host.db, this.#host.newPageServer(this), {
      write: (message) => this.#outbox.write(message),
      onSending: () => {
        this.#state = 'syncing'
      },
      onFailed: (error) => this.fail(error),
    })
  }

  #expectComparing(what: string): ComparisonServer {
    if (this.#state === 'comparing' && this.#comparing) return this.#comparing
    throw new WalcastError('MESSAGE_BAD', { detail: `${what} were not asked for` })
  }

  #onAck(ack: Body<'ack'>): void {
    this.epoch = ack.epoch
    this.txid = ack.txid
    this.lagMs = ack.lagMs
    this.acked = ack
    this.#host.onAck(this)
  }
}

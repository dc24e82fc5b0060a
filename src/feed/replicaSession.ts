/**
 * The leader's side of one replica's connection.
 *
 *   hello ──> resume ──────────────────────────────────────────> streaming ──┐ history no longer has its place
 *        └──> sync: groups* ─> differ* ─> have* ─> pages* ─> synced ─────────┘<───────────── resync
 *
 * A slow replica costs a cursor: past `maxBufferedBytes` it is not fed, and what it then misses it
 * gets from history or by comparing pages. It never holds up another session.
 */
import type { WebSocket } from 'ws'
import { decode, encode } from '../../proto/codec.ts'
import type { Body, Message, MessageType } from '../../proto/messages.ts'
import { refusedFrame } from '../../proto/socketErrors.ts'
import { isErrorCode, keyOf, WalcastError } from '../errors.ts'
import { cancelTimer, onNextTurn, setTimer, type Timer } from '../platform/time.ts'
import type { CapturedBatch } from './batch.ts'
import type { BatchHistory, HistoryPlace } from './batchHistory.ts'
import { ComparisonServer } from './comparisonServer.ts'
import { type HandshakeHost, placeOf, requireFeedable, seenOf, welcomeFor } from './handshake.ts'
import type { PageServer } from './pageServer.ts'
import { SendQueue, type SendQueueLimits } from './sendQueue.ts'

export interface ReplicaSessionOptions extends SendQueueLimits {
  readonly helloTimeoutMs: number
}

export interface ReplicaSessionHost extends HandshakeHost {
  readonly history: BatchHistory
  nowMs(): number
  /** The leader's clock, as far as it is known here. */
  leaderMs(): number
  heartbeat(): Body<'heartbeat'>
  /** A replica wants to know where the leader stands. */
  onPing(): void
  newPageServer(session: ReplicaSession): PageServer
  onHello(session: ReplicaSession): void
  onAck(session: ReplicaSession): void
  onBelow(session: ReplicaSession, below: Body<'below'>): void
  /** It has taken something. */
  onTaken(): void
  onClosed(session: ReplicaSession, error: unknown): void
  onBadMessage(error: unknown): void
  onSent(bytes: number): void
}

/**
 * A replica asks for the clock every 2 s: one that is silent for so long is not waited for, nor
 * does it hold its id against another process.
 */
export const SILENT_MS = 6000

export type SessionState = 'hello' | 'closing' | 'comparing' | 'syncing' | 'streaming' | 'closed'

export class ReplicaSession {
  readonly #socket: WebSocket
  readonly #host: ReplicaSessionHost
  readonly remoteAddress: string
  #state: SessionState = 'hello'
  #sequence = 0
  #chunk = 0
  #comparing: ComparisonServer | undefined
  readonly #outbox: SendQueue
  readonly #helloTimer: Timer
  readonly #silenceMs: number
  #error: unknown
  #isStopping = false
  #isPausing = false
  /** The network has not taken the last heartbeat. */
  #isTelling = false
  /** It asked where the leader stands, and what it was told may be older than its question. */
  isWaiting = false
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
    this.#socket = socket
    this.#host = host
    this.remoteAddress = remoteAddress
    this.lastSeenMs = host.nowMs()
    this.#outbox = new SendQueue(socket, options, {
      onSent: (bytes) => host.onSent(bytes),
      onRoom: () => this.#onRoom(),
      onStalled: (error) => this.#stalled(error),
    })
    const { helloTimeoutMs, stallMs } = options
    this.#silenceMs = stallMs
    const late = new WalcastError('STALLED', { seconds: helloTimeoutMs / 1000 })
    this.#helloTimer = setTimer(() => this.#stalled(late), helloTimeoutMs)
    socket.on('message', (data) => this.#receive(data as Buffer))
    socket.on('error', (error) => this.#onSocketError(error))
    socket.on('close', () => this.#closed())
  }

  get state(): SessionState {
    return this.#state
  }

  /** Fed with everything there is. */
  get isLevel(): boolean {
    if (this.#state !== 'streaming') return false
    const { history } = this.#host
    const entry = history.get(this.#sequence)
    if (entry) return !entry.complete && this.#chunk >= entry.chunks.length
    return this.#sequence >= history.nextSequence
  }

  /**
   * Streaming, with something before `place` still to be sent, and alive: worth waiting for within
   * a huge transaction. How fast its link is does not matter. One that takes nothing at all for too
   * long is cut off.
   */
  isOnItsWayTo({ sequence, chunk }: HistoryPlace): boolean {
    if (this.#state !== 'streaming' || this.#host.nowMs() - this.lastSeenMs > SILENT_MS)
      return false
    return this.#sequence < sequence || (this.#sequence === sequence && this.#chunk < chunk)
  }

  /** It has been sent all pages, and no position is there at which that could end. */
  get isCopyWaiting(): boolean {
    return this.#state === 'syncing' && (this.#comparing?.server.isWaiting ?? false)
  }

  get bufferedBytes(): number {
    return this.#outbox.bufferedBytes
  }

  get takenBytes(): number {
    return this.#outbox.takenBytes
  }

  /** A batch was captured; its message is in history already. */
  onCaptured(batch: Pick<CapturedBatch, 'pageNumbers'>): void {
    if (this.#state === 'syncing' || this.#state === 'comparing')
      this.#comparing?.server.onCaptured(batch.pageNumbers)
    if (this.#state === 'streaming') this.#feed()
  }

  send<T extends MessageType>(type: T, body: Body<T>): void {
    this.#outbox.write(encode(type, body))
  }

  /**
   * Sends a heartbeat. While batches leave no room, one at a time: a replica on a slow link still
   * hears how far it is behind. A replica that has been silent for too long is cut off.
   */
  heartbeat(body: Body<'heartbeat'>): void {
    if (this.#state === 'hello' || this.#state === 'closing') return
    const silentMs = this.#host.nowMs() - this.lastSeenMs
    if (silentMs > this.#silenceMs)
      return this.#stalled(new WalcastError('STALLED', { seconds: Math.round(silentMs / 1000) }))
    this.isWaiting = false
    if (this.#isTelling && !this.#outbox.hasRoom) return
    this.#isTelling = true
    this.#outbox.write(encode('heartbeat', body), () => {
      this.#isTelling = false
    })
  }

  /** A message of its own accord, to whoever was welcomed. */
  tell<T extends 'member' | 'moved' | 'twin'>(type: T, body: Body<T>): void {
    if (this.#state !== 'hello' && this.#state !== 'closing' && this.#state !== 'closed')
      this.send(type, body)
  }

  /** Once; what was captured until the end still follows. */
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
    this.#error = error
    const key = keyOf(error) ?? 'INTERNAL'
    if (this.#outbox.isOpen) {
      this.send('error', {
        db: this.#host.db,
        code: key,
        message: error instanceof Error ? error.message.slice(0, 1000) : '',
      })
      this.#socket.close(4000, key)
    }
    const socket = this.#socket
    setTimer(() => socket.terminate(), 1000).unref()
  }

  terminate(): void {
    this.#socket.terminate()
  }

  #onRoom(): void {
    if (this.#state !== 'streaming') return
    this.#feed()
    this.#host.onTaken()
  }

  #stalled(error: WalcastError): void {
    this.#error = error
    this.#socket.terminate()
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
    this.#host.onClosed(this, this.#error)
  }

  #receive(data: Buffer): void {
    if (this.#state === 'closed' || this.#state === 'closing') return
    this.lastSeenMs = this.#host.nowMs()
    try {
      this.#handle(decode(data))
    } catch (error) {
      this.#host.onBadMessage(error)
      this.fail(error)
    }
  }

  #handle(message: Message): void {
    if (message.type !== 'error' && message.body.db !== this.#host.db)
      throw new WalcastError('UNKNOWN_DATABASE', { db: message.body.db })
    if (this.#state === 'hello' && message.type !== 'hello' && message.type !== 'error')
      throw new WalcastError('MESSAGE_BAD', { detail: `${message.type} came before hello` })
    switch (message.type) {
      case 'hello':
        return this.#onHello(message.body)
      case 'groups':
        return this.#onGroups(message.body, message.payload)
      case 'have':
        return this.#onHave(message.body, message.payload)
      case 'below':
        return this.#onBelow(message.body)
      case 'seen':
        return void this.#host.onUnknownHistory(seenOf(message.body), message.body.leader)
      case 'ack':
        return this.#onAck(message.body)
      case 'ping':
        return this.#pong(message.body.timeMs)
      case 'error': {
        const { code, message: text } = message.body
        this.#error = isErrorCode(code)
          ? new WalcastError(code, { message: text })
          : new WalcastError('INTERNAL', { detail: text })
        return
      }
      case 'welcome':
      case 'batch':
      case 'differ':
      case 'pages':
      case 'synced':
      case 'resync':
      case 'heartbeat':
      case 'pong':
      case 'stopping':
      case 'ask':
      case 'incarnation':
      case 'member':
      case 'moved':
      case 'twin':
        throw new WalcastError('MESSAGE_BAD', { detail: `a replica does not send ${message.type}` })
    }
  }

  /**
   * The clock, and where the leader stands: a replica that asks may want to know that it misses
   * nothing.
   */
  #pong(pingMs: number): void {
    if (!this.#outbox.hasRoom) return
    this.send('pong', { db: this.#host.db, pingMs, timeMs: this.#host.leaderMs() })
    if (this.#state === 'hello') return
    this.send('heartbeat', this.#host.heartbeat())
    this.isWaiting = true
    this.#host.onPing()
  }

  #onHello(hello: Body<'hello'>): void {
    if (this.#state !== 'hello') throw new WalcastError('MESSAGE_BAD', { detail: 'a second hello' })
    const host = this.#host
    requireFeedable(hello, host)
    cancelTimer(this.#helloTimer)
    this.node = hello.node
    this.instance = hello.instance
    this.upSinceMs = this.#host.nowMs() - hello.upMs
    this.advertise = hello.advertise
    this.epoch = hello.epoch
    this.txid = hello.txid
    this.lagMs = hello.lagMs
    host.onHello(this)
    const sequence = placeOf(hello, host)
    this.#welcome(hello, sequence)
    if (sequence === undefined) return this.#awaitGroups()
    this.#stream(sequence)
  }

  /**
   * The incarnations go before: a replica keeps them together with the epoch that it is welcomed
   * into.
   */
  #welcome(hello: Body<'hello'>, sequence: number | undefined): void {
    const host = this.#host
    const { db } = host
    for (const begun of host.lineage()) this.send('incarnation', { db, ...begun })
    this.send('welcome', welcomeFor(hello, host, sequence))
    for (const member of host.members())
      if (member.node !== hello.node) this.send('member', { db, ...member, gone: false })
  }

  #stream(sequence: number): void {
    this.#state = 'streaming'
    this.#sequence = sequence
    this.#chunk = 0
    this.#feed()
  }

  #feed(): void {
    const { history } = this.#host
    while (this.#sequence < history.nextSequence && this.#outbox.hasRoom && !this.#isPausing) {
      const step = this.#chunk === 0 ? history.compacted(this.#sequence) : undefined
      if (step) {
        this.#sequence = step.nextSequence
        this.#outbox.write(step.message)
        this.#pause()
        continue
      }
      const entry = history.get(this.#sequence)
      const message = entry?.chunks[this.#chunk]
      if (!entry || (!message && this.#chunk < entry.chunks.length))
        return this.#resync('history does not reach back far enough')
      if (!message && !entry.complete) return
      this.#chunk++
      if (entry.complete && this.#chunk >= entry.chunks.length) {
        this.#sequence++
        this.#chunk = 0
      }
      if (message) this.#outbox.write(message)
    }
  }

  /** A step back to the present takes its time: others are fed before the next. */
  #pause(): void {
    this.#isPausing = true
    onNextTurn(() => {
      this.#isPausing = false
      this.#onRoom()
    })
  }

  #resync(reason: string): void {
    const { db, epoch } = this.#host
    this.send('resync', { db, epoch, pages: this.#host.position().pages, reason })
    this.#awaitGroups()
  }

  #awaitGroups(): void {
    const { db } = this.#host
    this.#state = 'comparing'
    this.#comparing = new ComparisonServer(db, this.#host.newPageServer(this), (message) =>
      this.#outbox.write(message),
    )
  }

  #onGroups(groups: Body<'groups'>, sums: Buffer): void {
    const comparing = this.#expectComparing('groups')
    if (comparing.takeGroups(groups, sums)) void this.#sync(comparing.server)
  }

  #onHave(have: Body<'have'>, sums: Buffer): void {
    const comparing = this.#expectComparing('have')
    if (comparing.takeHave(have, sums)) void this.#sync(comparing.server)
  }

  #expectComparing(what: string): ComparisonServer {
    if (this.#state === 'comparing' && this.#comparing) return this.#comparing
    throw new WalcastError('MESSAGE_BAD', { detail: `${what} were not asked for` })
  }

  async #sync(server: PageServer): Promise<void> {
    this.#state = 'syncing'
    try {
      await server.run()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Not of the one that tells. */
  #onBelow(below: Body<'below'>): void {
    if (below.node === '') throw new WalcastError('MESSAGE_BAD', { detail: 'below without a node' })
    if (below.node !== this.node) this.#host.onBelow(this, below)
  }

  #onAck(ack: Body<'ack'>): void {
    this.epoch = ack.epoch
    this.txid = ack.txid
    this.lagMs = ack.lagMs
    this.acked = ack
    this.#host.onAck(this)
  }
}

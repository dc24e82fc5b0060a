/**
 * The replica's connection to its leader. When it ends, the replica opens the next one after a
 * back-off, until it is stopped.
 *
 * Messages that arrived before a connection ended are handled before the next one opens: the leader
 * may be gone for good, and they may be the last copies of its commits.
 */
import type { IncomingMessage } from 'node:http'
import { encode } from '../../proto/codec.ts'
import { MAX_TEXT_CHARS } from '../../proto/limits.ts'
import type { Body, MessageType } from '../../proto/messages.ts'
import { refusedFrame } from '../../proto/socketErrors.ts'
import { asWalcastError, messageOf, WalcastError } from '../errors.ts'
import { WebSocket } from '../platform/sockets.ts'
import { cancelTimer, setRepeatingTimer, setTimer, type Timer } from '../platform/time.ts'
import { type MessageHandler, MessageQueue } from './messageQueue.ts'
import { ReconnectPause } from './reconnectPause.ts'
import { StreamDialer } from './streamDialer.ts'
import { type DialStream, readRefusal, requestStream, type StreamDial } from './streamUpgrade.ts'

/** The replica cuts off a leader that does not answer a close after this time. */
const CLOSE_MS = 200
const CLOSE_CODE = 4000
export interface SubscriptionOptions {
  /** Name of the database in messages. */
  readonly db: string
  /** HOST:PORT of the leader; undefined when none is known yet. */
  readonly leader: string | undefined
  readonly reconnectMinMs: number
  readonly reconnectMaxMs: number
  readonly handshakeTimeoutMs: number
  /** After this much silence the replica opens a new connection. */
  readonly silenceMs: number
  /** Bytes received and not yet handled at which the replica stops reading. */
  readonly maxQueuedBytes: number
}

export interface SubscriptionHost extends MessageHandler {
  readonly dial: DialStream
  onOpen(): void
  /** A node that refused the upgrade told its clock. */
  onLeaderClock(leaderMs: number, sentMs: number, receivedMs: number): void
  onClosed(error: WalcastError): void
}

export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #host: SubscriptionHost
  readonly #pause: ReconnectPause
  readonly #queue: MessageQueue
  #socket: WebSocket | undefined
  readonly #dialer: StreamDialer
  #lastHeardMs = 0
  #connectMs = 0
  #timer: Timer | undefined
  #silence: Timer | undefined
  #error: WalcastError | undefined
  #stopped = false
  /** The replica handles what it has and reads nothing more. */
  #isFinishing = false
  #connectionId = 0
  #leader: string | undefined
  /** The socket of a connection that ended while messages still waited. */
  #ended: WebSocket | undefined
  /** The connection is being closed to connect to another leader. */
  #isMoving = false
  /** Resolves the wait of `finish`. */
  #onIdle: () => void = () => {}

  constructor(options: SubscriptionOptions, host: SubscriptionHost) {
    this.#options = options
    this.#leader = options.leader
    this.#host = host
    this.#dialer = new StreamDialer(host.dial, options.handshakeTimeoutMs)
    this.#pause = new ReconnectPause(options.reconnectMinMs, options.reconnectMaxMs)
    this.#queue = new MessageQueue(options.maxQueuedBytes, host, {
      onFailed: (error) => this.fail(asWalcastError(error)),
      onDrained: () => this.#onDrained(),
    })
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Changes whenever a connection begins or ends. */
  get connectionId(): number {
    return this.#connectionId
  }

  /** Bytes received and not yet handled. */
  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /**
   * Time since the last message. 0 while messages wait: the silence may be this node's, which has
   * stopped reading.
   */
  get silentMs(): number {
    const isReading = this.#socket !== undefined && this.#queue.isIdle
    return isReading ? this.#host.clock.nowMs() - this.#lastHeardMs : 0
  }

  start(): void {
    this.#connect()
    this.#silence = setRepeatingTimer(
      () => this.#checkSilence(),
      Math.max(100, this.#options.silenceMs / 4),
    )
  }

  /** HOST:PORT of the leader. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Connects to this leader now, and from now on. */
  follow(leader: string): void {
    const isNew = leader !== this.#leader
    if (this.#stopped || (!isNew && (this.#socket || this.#dialer.isDialing))) return
    this.#leader = leader
    this.#pause.reset()
    cancelTimer(this.#timer)
    this.#dialer.cancel()
    if (!this.#socket) return this.#connectLater(undefined, 0)
    this.#isMoving = true
    this.#socket.terminate()
  }

  /**
   * Reads nothing more, handles what has arrived for at most `timeoutMs`, and stops. Returns the
   * bytes that were not handled.
   */
  async finish(timeoutMs: number): Promise<number> {
    this.#isFinishing = true
    this.#dialer.cancel()
    this.#socket?.pause()
    let timer: Timer | undefined
    await new Promise<void>((resolve) => {
      timer = setTimer(resolve, timeoutMs)
      this.#onIdle = resolve
      this.#queue.drain()
    })
    cancelTimer(timer)
    const leftBytes = this.queuedBytes
    await this.stop()
    return leftBytes
  }

  /** Resolves when the message that is being handled has been. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#dialer.cancel()
    cancelTimer(this.#timer)
    cancelTimer(this.#silence)
    this.#socket?.close(1001)
    this.#socket?.terminate()
    await this.#queue.handled()
  }

  send<T extends MessageType>(type: T, body: Body<T>, payload?: Uint8Array): void {
    if (!this.isOpen) return
    const message = payload
      ? encode(type, body, payload.length, (target) => target.set(payload))
      : encode(type, body)
    this.#socket?.send(message, { binary: true, compress: false })
  }

  /** The connection works, so the next reconnect is quick again. */
  settled(): void {
    this.#pause.reset()
  }

  /** Tells the leader why, closes the connection and opens another one after a back-off. */
  fail(error: WalcastError): void {
    if (this.#error) return this.#queue.clear()
    this.send('error', {
      db: this.#options.db,
      code: error.key,
      message: error.message.slice(0, MAX_TEXT_CHARS),
    })
    this.#error = error
    this.#queue.clear()
    const socket = this.#socket
    socket?.close(CLOSE_CODE, error.key)
    setTimer(() => socket?.terminate(), CLOSE_MS).unref()
  }

  /** Bytes that the network has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  /** Holds messages back until the returned function is called. */
  hold(): () => void {
    return this.#queue.hold()
  }

  /** Waits for the messages of the last connection, too. */
  #connectLater(error?: WalcastError, afterMs = this.#pause.nextMs(error)): void {
    const connect = () => {
      if (this.#queue.isBusy) this.#connectLater()
      else this.#connect()
    }
    this.#timer = setTimer(connect, afterMs)
  }

  #connect(): void {
    const leader = this.#leader
    if (leader === undefined || this.#isFinishing) return
    this.#error = undefined
    this.#connectionId++
    this.#lastHeardMs = this.#host.clock.nowMs()
    this.#connectMs = this.#lastHeardMs
    this.#dialer.dial(leader, {
      onDialed: (dialed) => this.#open(leader, dialed),
      onFailed: (error) => {
        this.#connectionId++
        this.#host.onClosed(error)
        this.#connectLater(error)
      },
    })
  }

  #open(leader: string, dialed: StreamDial | undefined): void {
    const socket = requestStream(leader, this.#options.handshakeTimeoutMs, dialed)
    this.#socket = socket
    socket.on('open', () => {
      // `finish` could not pause a socket that was not open yet.
      if (this.#isFinishing) socket.terminate()
      else this.#host.onOpen()
    })
    socket.on('message', (data) => {
      if (socket !== this.#socket || this.#error) return
      this.#lastHeardMs = this.#host.clock.nowMs()
      if (!this.#queue.take(data as Buffer, this.#lastHeardMs)) socket.pause()
    })
    socket.on('unexpected-response', (_request, response) => {
      void this.#onRefused(socket, response, leader)
    })
    socket.on('error', (error) => {
      const unreachable = () =>
        new WalcastError('LEADER_UNREACHABLE', { address: leader, detail: messageOf(error) }, error)
      this.#error ??= refusedFrame(error) ?? unreachable()
    })
    socket.on('close', () => this.#closed(socket))
  }

  #checkSilence(): void {
    const { silentMs } = this
    if (silentMs > this.#options.silenceMs)
      this.fail(new WalcastError('STALLED', { seconds: Math.round(silentMs / 1000) }))
  }

  /** The leader answered the upgrade request with an error. */
  async #onRefused(socket: WebSocket, response: IncomingMessage, leader: string): Promise<void> {
    const refused = await readRefusal(response, leader)
    if (refused) this.#error ??= refused.error
    if (refused && refused.timeMs > 0)
      this.#host.onLeaderClock(refused.timeMs, this.#connectMs, this.#host.clock.nowMs())
    socket.terminate()
  }

  #onDrained(): void {
    if (this.#queue.isIdle) this.#onAllHandled()
    if (this.#queue.hasRoom && !this.#isFinishing && this.#socket?.isPaused) this.#socket.resume()
  }

  #onAllHandled(): void {
    const ended = this.#ended
    this.#ended = undefined
    if (ended) this.#closed(ended)
    this.#onIdle()
  }

  #closed(socket: WebSocket): void {
    if (socket !== this.#socket) return
    if (!this.#stopped && !this.#queue.isEmpty) {
      this.#ended = socket
      return
    }
    this.#socket = undefined
    this.#connectionId++
    this.#queue.clear()
    const address = this.#leader ?? ''
    const error =
      this.#error ??
      new WalcastError('LEADER_UNREACHABLE', { address, detail: 'the connection was closed' })
    this.#host.onClosed(error)
    if (this.#stopped) return
    if (error.key === 'STARTING' || error.key === 'STOPPING') this.#pause.reset()
    this.#connectLater(error, this.#isMoving ? 0 : undefined)
    this.#isMoving = false
  }
}

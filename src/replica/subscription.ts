/**
 * The replica's connection to its leader: opened again and again, with back-off, until it is
 * stopped.
 */
import type { IncomingMessage } from 'node:http'
import { decode, encode } from '../../proto/codec.ts'
import {
  MAX_MESSAGE_BYTES,
  MAX_TEXT_CHARS,
  PROTOCOL_VERSIONS,
  STREAM_PATH,
  SUBPROTOCOL_PREFIX,
} from '../../proto/limits.ts'
import type { Body, Message, MessageType } from '../../proto/messages.ts'
import { refusedFrame } from '../../proto/socketErrors.ts'
import { asWalcastError, type ErrorCode, isErrorCode, messageOf, WalcastError } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import type { Clock } from '../platform/clock.ts'
import { WebSocket } from '../platform/sockets.ts'
import { cancelTimer, setRepeatingTimer, setTimer, type Timer } from '../platform/time.ts'

/** A leader that does not answer a close is cut off after this. */
const CLOSE_MS = 200
const CLOSE_CODE = 4000
/** What ends when somebody has made room: each try costs both sides what is sent in vain. */
const WAITS_FOR_PEOPLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DISK_FULL',
  'WRITE_FAILED',
  'DIVERGED_UNKEPT',
])
/** The pause is so many times as long then. */
const PATIENCE = 5

export interface SubscriptionOptions {
  /** Name of the database in messages. */
  readonly db: string
  /** HOST:PORT of the leader; undefined when none is known yet. */
  readonly leader: string | undefined
  readonly reconnectMinMs: number
  readonly reconnectMaxMs: number
  readonly handshakeTimeoutMs: number
  /** Silence after which the connection is opened again. */
  readonly silenceMs: number
  /** Bytes received and not yet handled, past which reading stops for a while. */
  readonly maxQueuedBytes: number
}

export interface SubscriptionHost {
  readonly clock: Clock
  /** Headers of the upgrade request: the node's signature. */
  upgradeHeaders(): Record<string, string>
  onOpen(): void
  /**
   * One message at a time; the next comes when the promise, if any, is done. Throws to close the
   * connection.
   */
  onMessage(message: Message, receivedMs: number, bytes: Buffer): void | Promise<void>
  /** The leader lives, and what it sends is being handled. */
  onHeard(nowMs: number): void
  /** The leader's clock, from a refusal. */
  onLeaderClock(leaderMs: number, sentMs: number, receivedMs: number): void
  onClosed(error: WalcastError): void
}

interface Queued {
  readonly data: Buffer
  readonly receivedMs: number
}

export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #host: SubscriptionHost
  readonly #backoff: Backoff
  #socket: WebSocket | undefined
  #queue: Queued[] = []
  #queuedBytes = 0
  #busy = false
  #handling: Promise<void> = Promise.resolve()
  #holds = 0
  #lastHeardMs = 0
  #connectMs = 0
  #timer: Timer | undefined
  #silence: Timer | undefined
  #error: WalcastError | undefined
  #stopped = false
  /** What came is handled, and nothing more is taken. */
  #isFinishing = false
  #connectionId = 0
  #leader: string | undefined
  /** Its connection has ended, and what came before that is still being handled. */
  #ended: WebSocket | undefined
  /** The connection is closed for the sake of another leader. */
  #isMoving = false
  /** Of who waits until everything that came is handled. */
  #onIdle: () => void = () => {}

  constructor(options: SubscriptionOptions, host: SubscriptionHost) {
    this.#options = options
    this.#leader = options.leader
    this.#host = host
    this.#backoff = new Backoff(options.reconnectMinMs, options.reconnectMaxMs)
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Changes whenever a connection begins or ends: whether the one that is meant is still there. */
  get connectionId(): number {
    return this.#connectionId
  }

  /** Bytes received and not yet handled. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /**
   * Since anything came; 0 while not everything that came is handled, and nothing more may be
   * taken.
   */
  get silentMs(): number {
    const isHandling = this.#busy || this.#holds > 0 || this.#queue.length > 0
    return !this.#socket || isHandling ? 0 : this.#host.clock.nowMs() - this.#lastHeardMs
  }

  start(): void {
    this.#connect()
    this.#silence = setRepeatingTimer(
      () => this.#checkSilence(),
      Math.max(100, this.#options.silenceMs / 4),
    )
  }

  /** HOST:PORT of the leader that it connects to. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Connects to this leader from now on, at once. */
  follow(leader: string): void {
    const isNew = leader !== this.#leader
    if (this.#stopped || (!isNew && this.#socket)) return
    this.#leader = leader
    this.#backoff.reset()
    cancelTimer(this.#timer)
    if (!this.#socket) return this.#connectLater(undefined, 0)
    this.#isMoving = true
    this.#socket.terminate()
  }

  /**
   * Takes nothing more, handles what came, at most for `timeoutMs`, and stops. Gives the bytes that
   * were not handled.
   */
  async finish(timeoutMs: number): Promise<number> {
    this.#isFinishing = true
    this.#socket?.pause()
    let timer: Timer | undefined
    await new Promise<void>((resolve) => {
      timer = setTimer(resolve, timeoutMs)
      this.#onIdle = resolve
      this.#drain()
    })
    cancelTimer(timer)
    const leftBytes = this.#queuedBytes
    await this.stop()
    return leftBytes
  }

  /** Resolves when the message that is being dealt with has been. */
  async stop(): Promise<void> {
    this.#stopped = true
    cancelTimer(this.#timer)
    cancelTimer(this.#silence)
    this.#socket?.close(1001)
    this.#socket?.terminate()
    await this.#handling
  }

  send<T extends MessageType>(type: T, body: Body<T>, payload?: Uint8Array): void {
    if (!this.isOpen) return
    const message = payload
      ? encode(type, body, payload.length, (target) => target.set(payload))
      : encode(type, body)
    this.#socket?.send(message, { binary: true, compress: false })
  }

  /** The connection works: the next reconnect is quick again. */
  settled(): void {
    this.#backoff.reset()
  }

  /** Tells the leader why, closes this connection and opens another after a delay. */
  fail(error: WalcastError): void {
    if (this.#error) return this.#forgetQueue()
    this.send('error', {
      db: this.#options.db,
      code: error.key,
      message: error.message.slice(0, MAX_TEXT_CHARS),
    })
    this.#error = error
    this.#forgetQueue()
    const socket = this.#socket
    socket?.close(CLOSE_CODE, error.key)
    setTimer(() => socket?.terminate(), CLOSE_MS).unref()
  }

  /** Bytes that the network has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  /** Holds back messages until the function it gives is called. */
  hold(): () => void {
    this.#holds++
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holds--
      this.#drain()
    }
  }

  /** Not before what the last connection brought has been dealt with. */
  #connectLater(error?: WalcastError, afterMs = this.#backoff.nextMs()): void {
    const connect = () => {
      if (this.#busy) this.#connectLater()
      else this.#connect()
    }
    const times = error && WAITS_FOR_PEOPLE.has(error.key) ? PATIENCE : 1
    this.#timer = setTimer(connect, times * afterMs)
  }

  #connect(): void {
    const leader = this.#leader
    if (leader === undefined || this.#isFinishing) return
    const { handshakeTimeoutMs: handshakeTimeout } = this.#options
    const protocols = PROTOCOL_VERSIONS.map((version) => `${SUBPROTOCOL_PREFIX}${version}`)
    this.#error = undefined
    this.#connectionId++
    this.#lastHeardMs = this.#host.clock.nowMs()
    this.#connectMs = this.#lastHeardMs
    const options = {
      handshakeTimeout,
      headers: this.#host.upgradeHeaders(),
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
    }
    const socket = new WebSocket(`ws://${leader}${STREAM_PATH}`, protocols, options)
    this.#socket = socket
    socket.on('open', () => {
      // One that is not open yet cannot be paused.
      if (this.#isFinishing) socket.terminate()
      else this.#host.onOpen()
    })
    socket.on('message', (data) => this.#receive(socket, data as Buffer))
    socket.on('unexpected-response', (_request, response) =>
      this.#refused(socket, response, leader),
    )
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

  /** The leader answered the upgrade with an error of the catalogue. */
  #refused(socket: WebSocket, response: IncomingMessage, leader: string): void {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      if (text.length < 4096) text += part
    })
    response.on('end', () => {
      const refused = refusal(text, response.statusCode ?? 0, leader)
      this.#error ??= refused.error
      if (refused.timeMs > 0)
        this.#host.onLeaderClock(refused.timeMs, this.#connectMs, this.#host.clock.nowMs())
      socket.terminate()
    })
    response.on('error', () => socket.terminate())
  }

  #receive(socket: WebSocket, data: Buffer): void {
    if (socket !== this.#socket || this.#error) return
    const receivedMs = this.#host.clock.nowMs()
    this.#lastHeardMs = receivedMs
    if (!this.#busy && this.#holds === 0 && this.#queue.length === 0)
      return this.#handle({ data, receivedMs })
    this.#queue.push({ data, receivedMs })
    this.#queuedBytes += data.length
    if (this.#queuedBytes > this.#options.maxQueuedBytes) socket.pause()
  }

  #handle(queued: Queued): void {
    try {
      this.#host.onHeard(this.#host.clock.nowMs())
      const done = this.#host.onMessage(decode(queued.data), queued.receivedMs, queued.data)
      if (done) this.#wait(done)
    } catch (error) {
      this.#failWith(error)
    }
  }

  #wait(done: Promise<void>): void {
    this.#busy = true
    this.#handling = done
      .catch((error) => this.#failWith(error))
      .finally(() => {
        this.#busy = false
        this.#drain()
      })
  }

  #failWith(error: unknown): void {
    this.fail(asWalcastError(error))
  }

  #drain(): void {
    while (!this.#busy && this.#holds === 0) {
      const next = this.#queue.shift()
      if (!next) break
      this.#queuedBytes -= next.data.length
      this.#handle(next)
    }
    if (!this.#busy && this.#holds === 0) this.#settled()
    const hasRoom = this.#queuedBytes <= this.#options.maxQueuedBytes / 2
    if (hasRoom && !this.#isFinishing && this.#socket?.isPaused) this.#socket.resume()
  }

  /** Everything that came is handled. */
  #settled(): void {
    const ended = this.#ended
    this.#ended = undefined
    if (ended) this.#closed(ended)
    this.#onIdle()
  }

  #closed(socket: WebSocket): void {
    if (socket !== this.#socket) return
    // What came before the end counts: the leader may be gone for good.
    if (!this.#stopped && this.#queue.length > 0) {
      this.#ended = socket
      return
    }
    this.#socket = undefined
    this.#connectionId++
    this.#forgetQueue()
    const address = this.#leader ?? ''
    const error =
      this.#error ??
      new WalcastError('LEADER_UNREACHABLE', { address, detail: 'the connection was closed' })
    this.#host.onClosed(error)
    if (this.#stopped) return
    if (error.key === 'STARTING' || error.key === 'STOPPING') this.#backoff.reset()
    this.#connectLater(error, this.#isMoving ? 0 : undefined)
    this.#isMoving = false
  }

  #forgetQueue(): void {
    this.#queue = []
    this.#queuedBytes = 0
  }
}

/** What a leader's refusal of the upgrade says: JSON with `code`, `message` and its clock. */
function refusal(
  text: string,
  status: number,
  address: string,
): { readonly error: WalcastError; readonly timeMs: number } {
  let answer: { code?: unknown; message?: unknown; timeMs?: unknown } = {}
  try {
    answer = Object(JSON.parse(text))
  } catch {
    answer = {}
  }
  const key = String(answer.code ?? '').replace(/^WALCAST_/, '')
  const timeMs = typeof answer.timeMs === 'number' ? answer.timeMs : 0
  // The public side of a node has no stream; a node's private side always has.
  if (isErrorCode(key) && key !== 'NOT_FOUND')
    return {
      error: new WalcastError(key, { message: String(answer.message ?? ''), address }),
      timeMs,
    }
  const detail = `${status} where a node takes replicas`
  return { error: new WalcastError('NODE_ANSWER', { url: address, detail }), timeMs }
}

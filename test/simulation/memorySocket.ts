/**
 * One end of a WebSocket in memory: what of `ws` the source uses, over a link of the simulated
 * network.
 */
import { EventEmitter } from 'node:events'
import type { WebSocket } from 'ws'
import type { Carried, Host, Network } from './network.ts'
import type { Answered } from './nodeRequests.ts'

const CLOSED: Carried = { kind: 'closed' }
const CLOSE: Carried = { kind: 'close' }
const RESET: Carried = { kind: 'reset' }

export class MemorySocket extends EventEmitter {
  static readonly CONNECTING = 0
  static readonly OPEN = 1
  static readonly CLOSING = 2
  static readonly CLOSED = 3
  readonly CONNECTING = 0
  readonly OPEN = 1
  readonly CLOSING = 2
  readonly CLOSED = 3
  readonly host: Host
  readonly isClient: boolean
  readonly #network: Network
  #peer: MemorySocket | undefined
  readyState = 0
  bufferedAmount = 0
  isPaused = false
  /** Sent and not taken by the network. */
  #outgoing: Carried[] = []
  #isTaking = false
  /** Arrived and not read. */
  #unread: Carried[] = []
  #unreadBytes = 0
  /** When what was taken last arrives: nothing overtakes it. */
  #lastArrivalMs = 0

  constructor(network: Network, host: Host, isClient: boolean) {
    super()
    this.#network = network
    this.host = host
    this.isClient = isClient
  }

  get peer(): MemorySocket | undefined {
    return this.#peer
  }

  /** As the type of the library: the source uses no more of it than is here. */
  get asWebSocket(): WebSocket {
    return this as unknown as WebSocket
  }

  send(bytes: Uint8Array, _options: unknown, onTaken: () => void = () => {}): void {
    if (this.readyState !== this.OPEN) return
    // The sender may use its buffer again.
    this.bufferedAmount += bytes.length
    this.#outgoing.push({ kind: 'message', bytes: Buffer.from(bytes), onTaken })
    this.pump()
  }

  close(_code?: number, _reason?: string): void {
    if (this.readyState === this.CONNECTING)
      return this.refuse(new Error('WebSocket was closed before the connection was established'))
    if (this.readyState !== this.OPEN) return
    this.readyState = this.CLOSING
    this.#outgoing.push(CLOSE)
    this.pump()
  }

  terminate(): void {
    if (this.readyState === this.CLOSED) return
    if (this.readyState === this.CONNECTING)
      return this.refuse(new Error('WebSocket was closed before the connection was established'))
    this.abandon()
    this.#end()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.#network.scheduler.after(0, () => this.#read(), this.host)
  }

  join(peer: MemorySocket): void {
    this.#peer = peer
  }

  open(): void {
    if (this.readyState !== this.CONNECTING) return
    this.readyState = this.OPEN
    this.emit('open')
  }

  /** The connection is not made. */
  refuse(error: Error): void {
    this.readyState = this.CLOSED
    this.abandon()
    this.#network.scheduler.after(
      0,
      () => {
        this.emit('error', error)
        this.emit('close')
      },
      this.host,
    )
  }

  /** The other side answers something else than that it takes the connection. */
  refuseUpgrade({ status, text }: Answered): void {
    if (this.readyState !== this.CONNECTING) return
    const response = Object.assign(new EventEmitter(), { statusCode: status, setEncoding() {} })
    this.emit('unexpected-response', undefined, response)
    response.emit('data', text)
    response.emit('end')
  }

  /** It has ended by itself; what was under way is lost. */
  vanish(): void {
    if (this.readyState === this.CLOSED) return
    this.#outgoing = []
    this.#network.forget(this)
    this.#end()
  }

  /**
   * Nothing more is said; the other end hears that, once it can be reached. `isSent`: after what
   * the system has taken of a process that has died.
   */
  abandon(isSent = false): void {
    this.readyState = this.CLOSED
    this.#unread = []
    this.#outgoing = [...(isSent ? this.#outgoing : []), RESET]
    if (this.#peer) this.pump()
  }

  #end(): void {
    this.readyState = this.CLOSED
    this.#unread = []
    this.#network.scheduler.after(0, () => this.emit('close'), this.host)
  }

  /** Hands the network what it takes, one after the other. */
  pump(): void {
    const [next] = this.#outgoing
    const peer = this.#peer
    if (!next || !peer || this.#isTaking) return
    if (this.#network.isParted(this.host.address, peer.host.address)) return
    if (next.kind === 'message' && !this.#network.hasWindow(peer.#unreadBytes)) return
    this.#isTaking = true
    const bytes = next.kind === 'message' ? next.bytes.length : 0
    // Also of a process that has died: its system goes on.
    const world = { isAlive: true }
    const taken = () => {
      this.#isTaking = false
      if (this.#outgoing[0] !== next) return this.pump()
      this.#outgoing.shift()
      this.bufferedAmount -= bytes
      this.#carry(next, peer)
      if (next.kind === 'message' && this.host.isAlive)
        this.#network.scheduler.as(this.host, next.onTaken)
      this.pump()
    }
    this.#network.scheduler.after(this.#network.takeMs(bytes), taken, world)
  }

  #carry(carried: Carried, peer: MemorySocket): void {
    const { scheduler } = this.#network
    const atMs = Math.max(scheduler.elapsedMs + this.#network.latencyMs(), this.#lastArrivalMs)
    this.#lastArrivalMs = atMs
    if (carried.kind === 'reset') this.#network.forget(this)
    const arrive = () => peer.#arrive(carried, this.host)
    scheduler.after(atMs - scheduler.elapsedMs, arrive, peer.host)
  }

  #arrive(carried: Carried, from: Host): void {
    if (this.readyState === this.CLOSED) return
    this.#network.arrived(from, this.host, carried)
    this.#unread.push(carried)
    if (carried.kind === 'message') this.#unreadBytes += carried.bytes.length
    this.#read()
  }

  #read(): void {
    while (!this.isPaused && this.readyState !== this.CLOSED) {
      const next = this.#unread.shift()
      if (!next) return
      this.#handle(next)
    }
  }

  #handle(carried: Carried): void {
    switch (carried.kind) {
      case 'message':
        this.#unreadBytes -= carried.bytes.length
        this.#peer?.pump()
        return void this.emit('message', carried.bytes)
      case 'close':
        this.readyState = this.CLOSING
        this.#outgoing = [...this.#outgoing.filter(({ kind }) => kind === 'message'), CLOSED]
        this.pump()
        return this.#end()
      case 'closed':
      case 'reset':
        this.#network.forget(this)
        return this.#end()
    }
  }
}

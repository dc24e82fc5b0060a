/**
 * The network between the nodes of a simulation: ordered links with latency and a bandwidth, cut
 * into partitions now and then. What is sent into a partition waits until it heals, as TCP would
 * send it again; a connection that is reset loses what is under way.
 */
import { TYPE_BY_CODE } from '../../proto/messages.ts'
import { MemorySocket } from './memorySocket.ts'
import type { Answered, Exchange } from './nodeRequests.ts'
import { NOBODY, type Owner, type Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import { digest, type Trace } from './trace.ts'

/** A process that has an address. */
export interface Host extends Owner {
  /** HOST:PORT. */
  readonly address: string
}

/** What listens at an address. */
export interface Listener {
  readonly host: Host
  /** What a replica that connects is answered instead; undefined when it may. */
  refuse(): Answered | undefined
  accept(socket: MemorySocket, remoteAddress: string): void
  /** Answers a request. Never rejects. */
  answer(asker: string, method: string, url: URL): Promise<Answered>
}

/** What a link carries. */
export type Carried =
  | { readonly kind: 'message'; readonly bytes: Buffer; readonly onTaken: () => void }
  | { readonly kind: 'close' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'reset' }

const BYTES_PER_MS = 100_000
/** Received and not read, past which the sender waits. */
const WINDOW_BYTES = 65536
const TYPE_AT = 13

export interface LinkTimes {
  readonly minMs: number
  readonly maxMs: number
}

export class Network {
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #trace: Trace
  readonly #times: LinkTimes
  readonly #listeners = new Map<string, Listener>()
  readonly #partitioned = new Set<string>()
  readonly #sockets = new Set<MemorySocket>()
  /** When a partition last began. */
  partedMs = Number.NEGATIVE_INFINITY
  /** Requests that have a connection. */
  readonly calls = new Set<Exchange>()
  /** Hears of every message that arrives. */
  onMessage: (from: Host, bytes: Buffer) => void = () => {}

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace, times: LinkTimes) {
    this.#scheduler = scheduler
    this.#random = random
    this.#trace = trace
    this.#times = times
  }

  get scheduler(): Scheduler {
    return this.#scheduler
  }

  listen(listener: Listener): void {
    this.#listeners.set(listener.host.address, listener)
  }

  /** Who takes connections there. */
  hostAt(address: string): Host | undefined {
    const host = this.#listeners.get(address)?.host
    return host?.isAlive ? host : undefined
  }

  /** Of the process that listens, in whose event this is. */
  ask(host: Host, asker: string, method: string, url: URL): Promise<Answered> {
    const listener = this.#listeners.get(host.address)
    // It closed its port meanwhile: the connection goes with its process.
    if (listener?.host !== host) return new Promise(() => {})
    return listener.answer(asker, method, url)
  }

  /** Connections to it are refused from now on. */
  close(host: Host): void {
    if (this.#listeners.get(host.address)?.host === host) this.#listeners.delete(host.address)
  }

  /** Nothing gets through between the two, in either direction. */
  part(a: string, b: string): void {
    this.partedMs = this.#scheduler.elapsedMs
    this.#partitioned.add(pairOf(a, b))
  }

  heal(): void {
    this.#partitioned.clear()
    for (const socket of [...this.#sockets]) socket.pump()
  }

  /** Whether everybody has reached everybody since then. */
  isWholeSince(ms: number): boolean {
    return this.#partitioned.size === 0 && this.partedMs < ms
  }

  isParted(a: string, b: string): boolean {
    return this.#partitioned.has(pairOf(a, b))
  }

  /** Connections that are there, in the order in which they were made. */
  get connections(): readonly MemorySocket[] {
    return [...this.#sockets].filter(({ isClient }) => isClient)
  }

  /** Both ends see the connection end; what was under way is lost. */
  cut(socket: MemorySocket): void {
    socket.peer?.vanish()
    socket.vanish()
  }

  /** The system closes the connections of a process that has died. */
  bury(host: Host): void {
    this.close(host)
    const isSent = this.#random.isTrue(0.5)
    for (const socket of [...this.#sockets]) if (socket.host === host) socket.abandon(isSent)
    for (const call of [...this.calls]) {
      const reset = () => call.fail('ECONNRESET')
      if (call.to === host) this.#scheduler.after(this.latencyMs(), reset, call.from)
    }
  }

  forget(socket: MemorySocket): void {
    this.#sockets.delete(socket)
  }

  /** `socket` is of the process whose event happens. */
  dial(socket: MemorySocket, url: string, handshakeTimeoutMs: number): void {
    const address = new URL(url).host
    const from = socket.host
    const wait = () => {
      if (socket.readyState !== socket.CONNECTING) return
      if (this.isParted(from.address, address)) return void this.#scheduler.after(50, wait, from)
      this.#answer(socket, address)
    }
    this.#scheduler.after(this.latencyMs(), wait, from)
    const late = () => {
      if (socket.readyState === socket.CONNECTING)
        socket.refuse(new Error('Opening handshake has timed out'))
    }
    this.#scheduler.after(handshakeTimeoutMs, late, from)
  }

  #answer(socket: MemorySocket, address: string): void {
    const listener = this.#listeners.get(address)
    if (!listener?.host.isAlive) return socket.refuse(new Error(`connect ECONNREFUSED ${address}`))
    const { host } = listener
    const answered = () => {
      const refused = listener.refuse()
      if (!refused) return this.#join(socket, listener)
      this.#trace.add('network', `${address} > ${socket.host.address} ${refused.status}`)
      const refuse = () => socket.refuseUpgrade(refused)
      this.#scheduler.after(this.latencyMs(), refuse, socket.host)
    }
    this.#scheduler.after(0, answered, host)
  }

  #join(socket: MemorySocket, listener: Listener): void {
    const other = new MemorySocket(this, listener.host, false)
    socket.join(other)
    other.join(socket)
    this.#sockets.add(socket)
    this.#sockets.add(other)
    other.open()
    listener.accept(other, socket.host.address)
    this.#scheduler.after(this.latencyMs(), () => socket.open(), socket.host)
  }

  latencyMs(): number {
    return this.#random.between(this.#times.minMs, this.#times.maxMs)
  }

  /** How long the network takes to take these bytes. */
  takeMs(bytes: number): number {
    return bytes / BYTES_PER_MS
  }

  hasWindow(unreadBytes: number): boolean {
    return unreadBytes < WINDOW_BYTES
  }

  arrived(from: Host, to: Host, carried: Carried): void {
    const what =
      carried.kind === 'message'
        ? `${TYPE_BY_CODE.get(carried.bytes[TYPE_AT])} ` +
          `${carried.bytes.length} ${digest(carried.bytes)}`
        : carried.kind
    this.#trace.add('network', `${from.address} > ${to.address} ${what}`)
    if (carried.kind === 'message')
      this.#scheduler.as(NOBODY, () => this.onMessage(from, carried.bytes))
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}

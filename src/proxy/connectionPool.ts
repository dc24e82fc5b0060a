/**
 * Connections to one server. They are kept while idle and bounded in number; the most recently used
 * is taken first. A request that finds none waits for its turn.
 */

import { cancelTimer, monotonicMs, onNextTurn, setTimer, type Timer } from '../platform/time.ts'
import { IdleTrust } from './idleTrust.ts'
import { Wire, type WireDial } from './wire.ts'

export interface ConnectionLimits {
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** How long an idle connection is kept if the server does not say. */
  readonly idleMs: number
}

/**
 * Which idle connections a request may use. `any`: all, since it may be sent again if it meets the
 * close. `sure`: those that the server is known to keep for longer. `none`: only a new one.
 */
export type Reuse = 'any' | 'sure' | 'none'

/** A request that wants a connection. */
export interface Taker {
  readonly reuse: Reuse
  readonly servername: string | undefined
  /** It has given up and gets no connection. */
  readonly isOver: boolean
  /** It has the connection to itself until `release`. */
  start(wire: Wire): void
  /** There is no connection for it. */
  fail(error: Error): void
}

/** Between two looks at idle connections. */
const MAX_LOOK_MS = 500

export class ConnectionPool {
  readonly origin: URL
  readonly #limits: ConnectionLimits
  readonly #dial: (() => WireDial) | undefined
  readonly #open = new Set<Wire>()
  /** The most recently used last. */
  readonly #idle: Wire[] = []
  readonly #waiting = new Set<Taker>()
  readonly trust: IdleTrust
  #sweep: Timer | undefined
  #isClosing = false
  #onEmpty: () => void = () => {}
  readonly #empty: Promise<void>

  /** `dial`: to another node, which proves itself before requests go over the connection. */
  constructor(origin: URL, limits: ConnectionLimits, dial?: () => WireDial) {
    this.origin = origin
    this.#limits = limits
    this.#dial = dial
    this.trust = new IdleTrust(limits.idleMs)
    this.#empty = new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  take(taker: Taker): void {
    if (this.#isClosing) return taker.fail(new Error('no more requests are sent here'))
    this.#take(taker)
  }

  #take(taker: Taker): void {
    const wire = this.#pick(taker)
    if (wire) return this.#reuse(wire, taker)
    if (this.#open.size >= this.#limits.maxConnections) {
      this.#waiting.add(taker)
      // A connection that this request may not use makes room.
      return void this.#idle.shift()?.socket.destroy()
    }
    this.#connect(taker)
  }

  /** A taker that waits gives up. */
  forget(taker: Taker): void {
    this.#waiting.delete(taker)
  }

  /** `isReusable`: the exchange over it is whole. */
  release(wire: Wire, isReusable: boolean): void {
    if (!isReusable || !wire.isUsable || (this.#isClosing && this.#waiting.size === 0))
      return void wire.socket.destroy()
    wire.idleSinceMs = monotonicMs()
    wire.isIdle = true
    const next = this.#next()
    if (!next) return this.#park(wire)
    if (next.servername === wire.servername) return this.#reuse(wire, next)
    this.#waiting.add(next)
    wire.socket.destroy()
  }

  /**
   * Nothing went over it. A connection that was used before is closed: how long it has been idle is
   * no longer known.
   */
  giveBack(wire: Wire): void {
    this.release(wire, wire.idleBeforeMs === undefined)
  }

  /** Lets requests under way and waiting end. Resolves when all connections are closed. */
  drain(): Promise<void> {
    this.#isClosing = true
    for (const wire of this.#idle.splice(0)) wire.socket.destroy()
    this.#checkEmpty()
    return this.#empty
  }

  /** Cuts all connections. */
  close(): Promise<void> {
    for (const taker of this.#waiting) taker.fail(new Error('it was closed'))
    this.#waiting.clear()
    const empty = this.drain()
    for (const wire of this.#open) wire.socket.destroy()
    return empty
  }

  #pick({ reuse, servername }: Taker): Wire | undefined {
    if (reuse === 'none') return undefined
    const nowMs = monotonicMs()
    const sinceMs = nowMs - (reuse === 'any' ? this.trust.keepMs : this.trust.sureMs(nowMs))
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const wire = this.#idle[at]
      if (wire.idleSinceMs < sinceMs) return undefined
      if (wire.servername !== servername || !wire.isUsable) continue
      this.#idle.splice(at, 1)
      return wire
    }
    return undefined
  }

  #reuse(wire: Wire, taker: Taker): void {
    wire.idleBeforeMs = monotonicMs() - wire.idleSinceMs
    if (taker.reuse === 'any') return this.#start(wire, taker)
    // A close that has come by now is seen first, also one right behind an answer.
    afterLook(() => this.#startIfUsable(wire, taker))
  }

  #startIfUsable(wire: Wire, taker: Taker): void {
    const nowMs = monotonicMs()
    if (!wire.isUsable) this.trust.onClosed(wire.idleBeforeMs ?? 0)
    else if (taker.isOver || nowMs - wire.idleSinceMs <= this.trust.sureMs(nowMs))
      return this.#start(wire, taker)
    // This process stood still meanwhile: the server may have closed it.
    else wire.socket.destroy()
    if (!taker.isOver) this.#take(taker)
  }

  #start(wire: Wire, taker: Taker): void {
    if (taker.isOver) return this.giveBack(wire)
    wire.isIdle = false
    wire.socket.ref()
    taker.start(wire)
  }

  #connect(first: Taker): void {
    const wire = new Wire(this.origin, first.servername, this.#dial)
    // Released once it is served: the connection may live for days.
    let taker: Taker | undefined = first
    const { socket } = wire
    let failure: Error | undefined
    this.#open.add(wire)
    const timer = setTimer(
      () => socket.destroy(new Error(`no connection within ${this.#limits.connectTimeoutMs} ms`)),
      this.#limits.connectTimeoutMs,
    )
    const onReady = () => {
      cancelTimer(timer)
      const ready = taker
      taker = undefined
      if (ready) this.#start(wire, ready)
    }
    wire.ready.then(onReady, (error) => {
      failure ??= error
      socket.destroy()
    })
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => {
      cancelTimer(timer)
      this.#open.delete(wire)
      this.#onClosed(wire)
      if (taker && !taker.isOver) taker.fail(failure ?? new Error('the connection was closed'))
      this.#serveNext()
    })
  }

  #park(wire: Wire): void {
    const { socket } = wire
    this.#idle.push(wire)
    socket.unref()
    this.#sweep ??= setTimer(() => this.#lookAtIdle(), MAX_LOOK_MS).unref()
  }

  #onClosed(wire: Wire): void {
    const at = this.#idle.indexOf(wire)
    if (at < 0) return
    this.#idle.splice(at, 1)
    this.trust.onClosed(monotonicMs() - wire.idleSinceMs)
  }

  /**
   * Learns how long the oldest was kept, and closes connections that have been idle for too long.
   */
  #lookAtIdle(): void {
    // A close that came long ago has to be seen first: this process may have stood still.
    afterLook(() => {
      const nowMs = monotonicMs()
      if (this.#idle[0]?.isUsable) this.trust.onKept(nowMs - this.#idle[0].idleSinceMs)
      const { keepMs } = this.trust
      while (this.#idle.length > 0 && nowMs - this.#idle[0].idleSinceMs >= keepMs)
        this.#idle.shift()?.socket.destroy()
      this.#sweep = undefined
      if (this.#idle.length > 0)
        this.#sweep = setTimer(() => this.#lookAtIdle(), Math.min(keepMs, MAX_LOOK_MS)).unref()
    })
  }

  #next(): Taker | undefined {
    for (const taker of this.#waiting) {
      this.#waiting.delete(taker)
      if (!taker.isOver) return taker
    }
    return undefined
  }

  /** A connection has gone: a request that waits may open another one. */
  #serveNext(): void {
    if (this.#open.size < this.#limits.maxConnections) {
      const next = this.#next()
      if (next) return this.#connect(next)
    }
    this.#checkEmpty()
  }

  #checkEmpty(): void {
    if (this.#isClosing && this.#open.size === 0 && this.#waiting.size === 0) this.#onEmpty()
  }
}

/** Node looks at all connections between two turns of the event loop. */
function afterLook(then: () => void): void {
  onNextTurn(() => onNextTurn(then))
}

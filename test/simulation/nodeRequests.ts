/**
 * Requests of nodes to each other over the simulated network. A request that meets a partition
 * waits as long as its sender has patience; some break off, before they are heard or when the
 * answer is on its way, and some are late.
 */

import { NotConnected, type RequestPeer } from '../../src/cluster/peerRequest.ts'
import type { Host, Network } from './network.ts'
import { NOBODY } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import { digest, type Trace } from './trace.ts'

/** What a node answers. */
export interface Answered {
  readonly status: number
  /** JSON. */
  readonly text: string
}

/** While a partition lasts, whether it has ended is looked at so often. */
const RETRY_MS = 50
/** Of all requests, while the network is troubled. */
const LATE = 0.03
const BROKEN = 0.06
const LATE_MS = [50, 1500] as const

export class NodeRequests {
  readonly #network: Network
  readonly #random: SeededRandom
  readonly #trace: Trace
  /** Whether requests are late or break off. */
  isTroubled = false

  constructor(network: Network, random: SeededRandom, trace: Trace) {
    this.#network = network
    this.#random = random
    this.#trace = trace
  }

  /** Of the process whose event happens. */
  readonly request: RequestPeer = (address, { method, path, signal }, connectMs) => {
    const from = this.#network.scheduler.owner as Host
    const url = new URL(path, `http://${address}`)
    return new Promise((resolve, reject) => {
      const exchange = new Exchange({ from, url, method, connectMs, signal }, (outcome) => {
        this.#network.calls.delete(exchange)
        if (outcome instanceof Error) return reject(outcome)
        const { status, text } = outcome
        resolve({ status, headers: {}, body: Buffer.from(text), fingerprint: '' })
      })
      this.#connect(exchange)
    })
  }

  #connect(exchange: Exchange): void {
    const { from, address, connectMs } = exchange
    const { scheduler } = this.#network
    const late = () => exchange.end(new NotConnected('no connection in time'))
    const timer = scheduler.after(connectMs, late, from)
    this.#carry(from.address, address, from, () => {
      if (exchange.isEnded) return
      timer.isCancelled = true
      const host = this.#network.hostAt(address)
      if (!host) return exchange.end(new NotConnected('refused'))
      exchange.to = host
      this.#network.calls.add(exchange)
      this.#send(exchange, host)
    })
  }

  #send(exchange: Exchange, to: Host): void {
    const dice = this.isTroubled ? this.#random.random() : 1
    const lateMs = dice < LATE ? this.#random.between(...LATE_MS) : 0
    const isBroken = dice >= LATE && dice < LATE + BROKEN
    const isHeard = !isBroken || this.#random.isTrue(0.5)
    if (isBroken) this.#reset(exchange)
    if (!isHeard) return
    const hear = () => {
      this.#trace.add('network', `${exchange.from.address} > ${to.address} ${exchange.what}`)
      const asked = this.#network.ask(to, exchange.from.address, exchange.method, exchange.url)
      void asked.then((answer) => this.#answer(exchange, to, answer))
    }
    this.#network.scheduler.after(lateMs, () => {
      this.#carry(exchange.from.address, to.address, to, hear)
    })
  }

  #answer(exchange: Exchange, to: Host, answer: Answered): void {
    const { from } = exchange
    // Also when its process dies now: its system goes on.
    this.#carry(to.address, from.address, from, () => {
      const short = `${answer.status} ${digest(Buffer.from(answer.text))}`
      this.#trace.add('network', `${to.address} > ${from.address} ${short}`)
      exchange.end(answer)
    })
  }

  #reset(exchange: Exchange): void {
    const { from, address } = exchange
    this.#carry(address, from.address, from, () => exchange.fail('ECONNRESET'))
  }

  /** Has `arrive` happen there, once the two can reach each other. */
  #carry(a: string, b: string, owner: Host, arrive: () => void): void {
    const { scheduler } = this.#network
    const tryIt = () => {
      if (this.#network.isParted(a, b)) return void scheduler.after(RETRY_MS, tryIt, NOBODY)
      scheduler.after(this.#network.latencyMs(), arrive, owner)
    }
    tryIt()
  }
}

interface Asked {
  readonly from: Host
  readonly url: URL
  readonly method: string
  readonly connectMs: number
  readonly signal: AbortSignal | undefined
}

/** One request and its answer. */
export class Exchange {
  readonly from: Host
  readonly url: URL
  readonly method: string
  readonly connectMs: number
  readonly #done: (outcome: Answered | Error) => void
  /** Who is asked, once there is a connection. */
  to: Host | undefined
  isEnded = false

  constructor(
    { from, url, method, connectMs, signal }: Asked,
    done: (outcome: Answered | Error) => void,
  ) {
    this.from = from
    this.url = url
    this.method = method
    this.connectMs = connectMs
    this.#done = done
    signal?.addEventListener('abort', () => this.fail('ABORTED'))
  }

  get address(): string {
    return this.url.host
  }

  get what(): string {
    return `${this.method} ${this.url.pathname}`
  }

  end(answer: Answered | Error): void {
    if (this.isEnded) return
    this.isEnded = true
    this.#done(answer)
  }

  fail(code: string): void {
    this.end(Object.assign(new Error(`${code} ${this.address}`), { code }))
  }
}

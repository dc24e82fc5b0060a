/**
 * Sends requests on to another HTTP server and tells exactly how far each got: whether a byte of it
 * was sent, and whether an answer began. Bodies are streamed both ways. It never sends a request
 * twice.
 */
import { ConnectionPool } from './connectionPool.ts'
import { Exchange, type ExchangeLimits } from './exchange.ts'
import type { Outgoing } from './outgoing.ts'
import type { WireDial } from './wire.ts'

export interface UpstreamOptions {
  /** `http://HOST:PORT` or `https://...`; a path in it is not used. */
  readonly origin: string
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** From the last byte of the request to the first of the answer. */
  readonly answerTimeoutMs: number
  /** How long an idle connection is kept if the server does not say. */
  readonly idleMs: number
  /** The server is another node, which proves itself on each new connection. */
  readonly dial?: () => WireDial
  /** The longest head of an answer. */
  readonly maxHeadBytes?: number
}

const MAX_HEAD_BYTES = 64 * 1024

export class Upstream {
  readonly #connections: ConnectionPool
  readonly #limits: ExchangeLimits

  constructor(options: UpstreamOptions) {
    const { answerTimeoutMs, maxHeadBytes = MAX_HEAD_BYTES } = options
    this.#connections = new ConnectionPool(new URL(options.origin), options, options.dial)
    this.#limits = { answerTimeoutMs, maxHeadBytes }
  }

  send(outgoing: Outgoing): Exchange {
    const exchange = new Exchange(outgoing, this.#connections, this.#limits)
    if (!exchange.isOver) this.#connections.take(exchange)
    return exchange
  }

  /** Lets requests under way end, and closes their connections then. */
  drain(): Promise<void> {
    return this.#connections.drain()
  }

  close(): Promise<void> {
    return this.#connections.close()
  }
}

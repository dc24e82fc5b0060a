/**
 * Sends requests on to another HTTP server and tells exactly how far each got: whether a byte of it was sent, and whether
 * an answer began. Bodies are streamed both ways. Nothing is ever sent twice from here.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { Client, type Dispatcher, errors, Pool } from 'undici'
import { messageOf, systemCode } from '../errors.ts'
import type { FlatHeaders } from './headers.ts'
import { Answer } from './relayedAnswer.ts'

export interface UpstreamOptions {
  /** `http://HOST:PORT` or `https://...`; a path in it is not used. */
  readonly origin: string
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** From the last byte of the request to the first of the answer. */
  readonly answerTimeoutMs: number
  /** How long an idle connection is kept when the server does not say: shorter than servers keep theirs. */
  readonly idleMs: number
}

export interface Outgoing {
  readonly method: string
  /** Path with query, as it was received. */
  readonly path: string
  readonly headers: FlatHeaders
  readonly body: Readable | null
}

/** Why no answer came. */
export class SendError extends Error {
  override readonly name = 'SendError'
  /** False: not a byte of it left this node. True: it may have been executed. */
  readonly wasSent: boolean
  /** The request itself cannot be sent on: bad headers or a bad path. */
  readonly isBadRequest: boolean
  readonly isTimeout: boolean

  constructor(cause: Error, wasSent: boolean) {
    super(messageOf(cause), { cause })
    this.wasSent = wasSent
    this.isBadRequest =
      !wasSent && (cause instanceof errors.InvalidArgumentError || cause instanceof errors.NotSupportedError)
    this.isTimeout = cause instanceof errors.HeadersTimeoutError
  }

  get detail(): string {
    return systemCode(this.cause) || this.message
  }
}

/** One connection of a pool. */
class Lane extends Client {
  /**
   * False promises that `drain` will come. For a request that was refused at once, with nothing else under way, it would
   * not: the pool would wait for it for ever, and each such request would take a connection away from all others.
   */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return super.dispatch(options, handler) || this.stats.size === 0
  }
}

export class Upstream {
  readonly #pool: Pool

  constructor(options: UpstreamOptions) {
    this.#pool = new Pool(options.origin, {
      connections: options.maxConnections,
      pipelining: 1,
      connectTimeout: options.connectTimeoutMs,
      headersTimeout: options.answerTimeoutMs,
      bodyTimeout: 0,
      keepAliveTimeout: options.idleMs,
      maxHeaderSize: 64 * 1024,
      factory: (origin, laneOptions) => new Lane(origin, laneOptions),
    })
  }

  send(outgoing: Outgoing): Exchange {
    const exchange = new Exchange()
    const { method, path, headers, body } = outgoing
    try {
      this.#pool.dispatch({ method: method as Dispatcher.HttpMethod, path, headers, body }, exchange)
    } catch (error) {
      exchange.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)))
    }
    return exchange
  }

  /** Lets requests under way end, and closes their connections then. */
  drain(): Promise<void> {
    return this.#pool.close()
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

/** One request under way. */
export class Exchange implements Dispatcher.DispatchHandler {
  /** Resolves at the head of the answer, of whose body only the first bytes are read before it is relayed. Rejects with SendError. */
  readonly answer: Promise<Answer>
  #settle: { resolve(answer: Answer): void; reject(error: SendError): void } = { resolve() {}, reject() {} }
  #controller: Dispatcher.DispatchController | undefined
  #answer: Answer | undefined
  #starts = 0
  #aborted: Error | undefined

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** Gives up: the connection is closed, so that the other side may notice. */
  abort(reason: Error): void {
    if (this.#aborted) return
    this.#aborted = reason
    if (this.#controller) this.#controller.abort(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#starts++ > 0) return controller.abort(new Error('it would have been sent a second time'))
    if (this.#aborted) {
      this.#starts = 0
      controller.abort(this.#aborted)
    }
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText = '',
  ): void {
    if (status < 200) return
    this.#answer = new Answer(controller, status, statusText, headers)
    this.#settle.resolve(this.#answer)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#answer && !this.#answer.take(chunk)) controller.pause()
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#answer?.end(trailers)
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#answer) this.#answer.fail(error)
    else this.#settle.reject(new SendError(error, this.#starts > 0))
  }
}

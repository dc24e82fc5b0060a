/** The application that this node stands in front of (`--upstream`). */
import type { Logger } from 'pino'
import { WalcastError } from '../errors.ts'
import type { Client } from './client.ts'
import { type FlatHeaders, hasPassed, PASS_HEADER, trailersOf, VIA_HEADER } from './headers.ts'
import type { Passes } from './passes.ts'
import type { Answer } from './relayedAnswer.ts'
import type { ReplayableBody } from './replayableBody.ts'
import { isRead } from './routes.ts'
import { SendError } from './sendError.ts'
import { Upstream } from './upstream.ts'

export interface ApplicationOptions {
  readonly url: string
  readonly node: string
  readonly maxConnections: number
  readonly answerTimeoutMs: number
  readonly log: Logger
  /** Marks requests for an application in this process. */
  readonly passes: Passes
  /** A request was answered. Cheap: called for each one. */
  onReached?(): void
  /** A request could not be sent. */
  onUnreachable?(detail: string): void
}

const CONNECT_TIMEOUT_MS = 2000
/**
 * Many servers close an idle connection after 2 to 5 s without notice. This side closes it first.
 */
const IDLE_MS = 1000
/**
 * Tries of a read that met the close of an idle connection, and of a request that met it before a
 * byte was written.
 */
const MAX_TRIES = 3

export class Application {
  readonly url: string
  readonly #node: string
  readonly #upstream: Upstream
  readonly #log: Logger
  readonly #told: Pick<ApplicationOptions, 'onReached' | 'onUnreachable'>
  readonly #passes: Passes
  #isReachable = true

  constructor({
    url,
    node,
    maxConnections,
    answerTimeoutMs,
    log,
    passes,
    ...told
  }: ApplicationOptions) {
    this.url = url
    this.#told = told
    this.#node = node
    this.#passes = passes
    this.#log = log
    this.#upstream = new Upstream({
      origin: new URL(url).origin,
      maxConnections,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      answerTimeoutMs,
      idleMs: IDLE_MS,
    })
  }

  /**
   * Passes a request on and resolves at the head of the answer. Throws APP_UNREACHABLE when nothing
   * was sent, and BAD_REQUEST or FORWARD_LOOP when the request cannot be sent. A write that was
   * sent and has no answer throws OUTCOME_UNKNOWN; a read throws APP_FAILED or APP_SILENT.
   * `detached`: the request goes on when the client leaves.
   */
  async ask(
    client: Client,
    headers: FlatHeaders,
    body: ReplayableBody | undefined,
    detached = false,
  ): Promise<Answer> {
    if (hasPassed(client.request, this.#node))
      throw new WalcastError('FORWARD_LOOP', { node: this.#node })
    const { method, target } = client
    const sent = [...headers, VIA_HEADER, this.#node]
    const isRepeatable = isRead(method) && !body
    for (let tries = 1; ; tries++) {
      const pass = this.#passes.issue()
      const exchange = this.#upstream.send({
        method,
        path: target,
        headers: pass === undefined ? sent : [...sent, PASS_HEADER, pass],
        body: body?.stream() ?? null,
        trailers: () => trailersOf(client.request),
        onInterim: (interim) => client.inform(interim),
        reuse: tries > 1 ? 'none' : isRepeatable ? 'any' : 'sure',
      })
      if (!detached) client.follow(exchange)
      try {
        const answer = await exchange.answer
        this.#onReached()
        return answer
      } catch (error) {
        if (!(error instanceof SendError)) throw error
        const mayRepeat =
          tries < MAX_TRIES &&
          (error.isStale
            ? (body?.canReplay ?? true)
            : isRepeatable && error.wasSent && !error.isTimeout)
        if (mayRepeat && !client.isGone) continue
        if (!error.wasSent && !error.isBadRequest && !client.isGone)
          this.#onUnreachable(error.detail)
        throw this.#failure(method, error)
      } finally {
        this.#passes.revoke(pass)
      }
    }
  }

  drain(): Promise<void> {
    return this.#upstream.drain()
  }

  close(): Promise<void> {
    return this.#upstream.close()
  }

  #onReached(): void {
    this.#told.onReached?.()
    if (this.#isReachable) return
    this.#isReachable = true
    this.#log.info({ url: this.url }, 'the application can be reached again; sending it requests')
  }

  /** Logs once, however many requests fail. */
  #onUnreachable(detail: string): void {
    this.#told.onUnreachable?.(detail)
    if (!this.#isReachable) return
    this.#isReachable = false
    this.#log.warn({ url: this.url, detail }, 'cannot reach the application; its requests wait')
  }

  #failure(method: string, error: SendError): WalcastError {
    const { url } = this
    const { detail } = error
    if (error.isBadRequest) return new WalcastError('BAD_REQUEST', { detail }, error)
    if (!error.wasSent) return new WalcastError('APP_UNREACHABLE', { url, detail }, error)
    if (!isRead(method))
      return new WalcastError(
        'OUTCOME_UNKNOWN',
        { detail: `the application broke off: ${detail}` },
        error,
      )
    return new WalcastError(error.isTimeout ? 'APP_SILENT' : 'APP_FAILED', { url, detail }, error)
  }
}

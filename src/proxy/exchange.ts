/**
 * One request under way to another HTTP server:
 *
 *   waits for a connection ──> sent ──> head of the answer ──> its body, as it is taken ──> over
 *
 * It tells exactly how far the request got: see SendError. Node's own client writes and reads the
 * messages, so that it accepts of an answer what Node's server accepts of a request. An answer may
 * be whole before the request is; the rest of the request is not sent then.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { httpRequest } from '../platform/sockets.ts'
import { cancelTimer, monotonicMs, onNextTurn, setTimer, type Timer } from '../platform/time.ts'
import type { ConnectionPool, Reuse, Taker } from './connectionPool.ts'
import { announcedSeconds } from './idleTrust.ts'
import { type Framing, framingOf, isTarget, type Outgoing, pairsOf } from './outgoing.ts'
import { Answer, type AnswerSource, headersOf } from './relayedAnswer.ts'
import { SendError } from './sendError.ts'
import { servernameOf, type Wire } from './wire.ts'

export interface ExchangeLimits {
  /** From the last byte of the request to the first of the answer. */
  readonly answerTimeoutMs: number
  readonly maxHeadBytes: number
}

const BROKE_OFF = 'the body broke off'

export class Exchange implements Taker, AnswerSource {
  /**
   * Resolves at the head of the answer. Of its body only the first bytes are read before it is
   * relayed. Rejects with SendError.
   */
  readonly answer: Promise<Answer>
  readonly reuse: Reuse
  readonly servername: string | undefined
  readonly #outgoing: Outgoing
  readonly #connections: ConnectionPool
  readonly #limits: ExchangeLimits
  readonly #framing: Framing
  #request: ClientRequest | undefined
  #wire: Wire | undefined
  #response: IncomingMessage | undefined
  #answer: Answer | undefined
  #settle: { resolve(answer: Answer): void; reject(error: SendError): void } = {
    resolve() {},
    reject() {},
  }
  #timer: Timer | undefined
  #isOver = false
  #isSent = false
  #isAnswered = false
  /** This side broke the exchange off, which tells nothing of the other side. */
  #isGivenUp = false
  #keepAlive: string | undefined

  constructor(outgoing: Outgoing, connections: ConnectionPool, limits: ExchangeLimits) {
    this.#outgoing = outgoing
    this.#connections = connections
    this.#limits = limits
    const { origin } = connections
    this.#framing = framingOf(outgoing, origin.host)
    this.reuse = outgoing.reuse ?? 'sure'
    this.servername = origin.protocol === 'https:' ? servernameOf(this.#framing.host) : undefined
    this.answer = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Any client can send such a request: it must not cost a connection.
    if (!isTarget(outgoing))
      this.#reject(
        new Error(`its target is neither a path nor that of a server: ${outgoing.path}`),
        {
          isBadRequest: true,
        },
      )
  }

  /** It no longer wants a connection. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Gives up. The connection is closed, so that the other side may notice. */
  abort(reason: Error): void {
    if (this.#isOver) return
    this.#isGivenUp = true
    if (this.#wire) return void this.#request?.destroy(reason)
    this.#connections.forget(this)
    this.#reject(reason)
  }

  fail(error: Error): void {
    this.#reject(error)
  }

  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  start(wire: Wire): void {
    const { body } = this.#outgoing
    if (body?.destroyed) {
      // The body broke off before this exchange listened to it: no event will come.
      this.#isGivenUp = true
      this.#reject(body.errored ?? new Error(BROKE_OFF))
      return this.#connections.giveBack(wire)
    }
    wire.begin()
    try {
      this.#request = this.#newRequest(wire)
    } catch (error) {
      this.#reject(error instanceof Error ? error : new Error(String(error)), {
        isBadRequest: true,
      })
      return this.#connections.giveBack(wire)
    }
    this.#wire = wire
    if (body) this.#pump(body)
    else this.#endRequest()
  }

  /** Throws when the request cannot be sent. */
  #newRequest({ socket }: Wire): ClientRequest {
    const { method, path } = this.#outgoing
    const outgoing = httpRequest({
      method,
      path,
      headers: this.#framing.headers,
      setHost: false,
      maxHeaderSize: this.#limits.maxHeadBytes,
      // Immediately: a request that waits for its socket would keep the requests before it in
      // memory.
      createConnection: () => socket,
    })
    outgoing.shouldKeepAlive = true
    outgoing.maxHeadersCount = 0
    outgoing.on('response', (response) => this.#onResponse(response))
    outgoing.on('information', (interim) => {
      this.#timer?.refresh()
      this.#outgoing.onInterim?.(interim)
    })
    outgoing.on('error', (error) => this.#onError(error))
    outgoing.on('close', () => this.#onClose())
    return outgoing
  }

  #pump(body: Readable): void {
    const outgoing = this.#request
    const { bytes } = this.#framing
    let passedBytes = 0
    if (!outgoing) return
    const breakOff = (error?: Error | null) => {
      if (this.#isSent) return
      this.#isGivenUp = true
      outgoing.destroy(error ?? new Error(BROKE_OFF))
    }
    body.on('data', (chunk: Buffer) => {
      passedBytes += chunk.length
      if (bytes !== undefined && passedBytes > bytes) return breakOff()
      if (outgoing.write(chunk)) return
      body.pause()
      this.#awaitAnswer()
    })
    outgoing.on('drain', () => {
      if (!this.#isSent) cancelTimer(this.#timer)
      body.resume()
    })
    body.on('end', () => {
      if (bytes !== undefined && passedBytes !== bytes) return breakOff()
      this.#endRequest()
    })
    body.on('error', breakOff)
    body.on('close', breakOff)
    // The server may answer at the head alone while the client holds the body back.
    onNextTurn(() => {
      if (passedBytes === 0 && !this.#isSent && !this.#isOver) outgoing.flushHeaders()
    })
  }

  #endRequest(): void {
    const outgoing = this.#request
    if (!outgoing || this.#isSent) return
    this.#isSent = true
    const trailers = this.#framing.isChunked ? (this.#outgoing.trailers?.() ?? []) : []
    try {
      if (trailers.length > 0) outgoing.addTrailers(pairsOf(trailers))
    } catch (error) {
      return void outgoing.destroy(error instanceof Error ? error : undefined)
    }
    outgoing.end()
    this.#awaitAnswer()
  }

  /** It is the other side's turn now. */
  #awaitAnswer(): void {
    cancelTimer(this.#timer)
    if (!this.#answer)
      this.#timer = setTimer(() => this.#onTimeout(), this.#limits.answerTimeoutMs).unref()
  }

  #onTimeout(): void {
    const error = new Error('no answer in time')
    this.#isGivenUp = true
    this.#reject(error, { isTimeout: true })
    this.#request?.destroy(error)
  }

  #onResponse(response: IncomingMessage): void {
    cancelTimer(this.#timer)
    const { statusCode = 0, statusMessage = '' } = response
    const answer = new Answer(this, statusCode, statusMessage, headersOf(response.rawHeaders))
    this.#response = response
    this.#answer = answer
    if (this.#wire) this.#wire.response = response
    this.#keepAlive = answer.header('keep-alive')
    response.on('data', (chunk: Buffer) => {
      if (!answer.take(chunk)) response.pause()
    })
    response.on('end', () => this.#onEnd(response, answer))
    response.on('error', (error) => answer.fail(error))
    response.on('close', () => {
      if (!this.#isAnswered) answer.fail(new Error('the connection was closed'))
    })
    this.#settle.resolve(answer)
  }

  #onEnd(response: IncomingMessage, answer: Answer): void {
    this.#isAnswered = true
    answer.end(response.trailers)
    if (!this.#isSent) this.#request?.destroy()
  }

  #onError(error: Error): void {
    if (!this.#answer) return this.#reject(error)
    // What follows a whole answer is not part of it.
    if (!this.#response?.complete) this.#answer.fail(error)
  }

  /** The request has let go of the connection. */
  #onClose(): void {
    const wire = this.#wire
    if (!this.#answer) this.#reject(new Error('the connection was closed'))
    this.#isOver = true
    this.#outgoing.body?.destroy()
    if (!wire) return
    const isReusable = this.#isSent && this.#isAnswered && this.#leavesClean()
    this.#learn(wire)
    wire.response = undefined
    this.#wire = undefined
    this.#connections.release(wire, isReusable)
  }

  #learn({ idleBeforeMs }: Wire): void {
    const { trust } = this.#connections
    const seconds = announcedSeconds(this.#keepAlive)
    if (seconds !== undefined) trust.onAnnounced(seconds)
    if (idleBeforeMs !== undefined && this.#answer) trust.onKept(idleBeforeMs)
  }

  /**
   * Whether nothing of this answer can be taken for the next one. Some servers send a body with
   * answers that have none.
   */
  #leavesClean(): boolean {
    const answer = this.#answer
    if (!answer || !this.#request?.shouldKeepAlive || this.#outgoing.method === 'HEAD') return false
    const isBare = answer.status === 204 || answer.status === 304
    return !isBare || (!answer.hasLength && answer.header('transfer-encoding') === undefined)
  }

  #reject(
    error: Error,
    facts: { readonly isBadRequest?: boolean; readonly isTimeout?: boolean } = {},
  ): void {
    if (this.#isOver) return
    cancelTimer(this.#timer)
    const wire = this.#wire
    const wasReused = wire?.idleBeforeMs !== undefined
    const wasSent = wire?.hasWritten ?? false
    if (wire?.idleBeforeMs !== undefined && wasSent && !this.#isGivenUp)
      this.#connections.trust.onLost(wire.idleBeforeMs, monotonicMs())
    this.#isOver = true
    this.#settle.reject(
      new SendError(error, { ...facts, wasSent, wasReused: wasReused && !this.#isGivenUp }),
    )
    this.#outgoing.body?.destroy()
  }
}

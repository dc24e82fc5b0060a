/**
 * The write intake on the private side: requests that other nodes forward, each with a token of its own. A node that
 * does not lead, or stops, executes nothing and says so in a way that lets the sender send the request again.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { asWalcastError, WalcastError } from '../errors.ts'
import { retryAfterOf, sendError } from './answer.ts'
import { type Authenticator, REPLICA_AUTH_HEADER } from './auth.ts'
import { Client } from './client.ts'
import { fromNode, headerOf, NOT_EXECUTED_HEADER } from './headers.ts'
import type { LeaderSide } from './leaderSide.ts'
import { isReserved } from './routes.ts'
import type { NodeView } from './view.ts'

export interface IntakeOptions {
  readonly auth: Authenticator
  readonly view: NodeView
  readonly side: LeaderSide
  readonly maxRequests: number
  onRequest(refused: string | undefined): void
  onFailure(error: WalcastError): void
}

export class Intake {
  readonly #options: IntakeOptions
  /** Connections on which nodes sent requests: a stop waits until they have closed them. */
  readonly #sockets = new Set<Socket>()
  #underWay = 0
  #isStopping = false
  readonly #waiting = new Set<() => void>()

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  get underWay(): number {
    return this.#underWay
  }

  /** Whether a request is for the application: signed by a node, and not for a path of our own. */
  static isFor(request: IncomingMessage): boolean {
    return request.headers[REPLICA_AUTH_HEADER] !== undefined && !isReserved(request.url ?? '/')
  }

  /** Answers every request; never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#track(request.socket)
    const refused = this.refuse(request)
    this.#options.onRequest(refused?.key)
    if (refused) return this.#answerRefused(response, refused)
    this.#underWay++
    try {
      await this.#options.side.execute(new Client(request, response), fromNode(request), true)
    } catch (error) {
      const known = asWalcastError(error)
      if (known.key === 'INTERNAL') this.#options.onFailure(known)
      sendError(response, known, retryAfterOf(known))
    } finally {
      this.#afterAnswer(response)
    }
  }

  /** Why a forwarded request is not taken; undefined when it is. Uses up its token. */
  refuse(request: IncomingMessage): WalcastError | undefined {
    const { auth, view, side, maxRequests } = this.#options
    const token = headerOf(request, REPLICA_AUTH_HEADER)
    const refused = auth.refuseForward(token, request.method ?? 'GET', request.url ?? '/')
    if (refused) return new WalcastError('FORWARD_REFUSED', { detail: refused.message }, refused)
    const { leader: address } = view.status()
    if (view.role() !== 'leader') return new WalcastError('NOT_LEADER', { address, role: view.role() })
    if (this.#isStopping) return new WalcastError('STOPPING')
    if (!side.canExecute) return new WalcastError('NO_APPLICATION')
    if (this.#underWay >= maxRequests) return new WalcastError('TOO_MANY_REQUESTS', { limit: maxRequests })
    return undefined
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Takes nothing more. */
  announceStop(): void {
    this.#isStopping = true
  }

  /** Takes requests again: the application is back. */
  resume(): void {
    this.#isStopping = false
  }

  /** Takes nothing more, and resolves when what was taken is answered, at the latest after `timeoutMs`. */
  finish(timeoutMs: number): Promise<void> {
    return this.#until(() => this.#underWay === 0, timeoutMs)
  }

  /** ... and nodes have closed their connections too, as they do when they are told of the stop. */
  drain(timeoutMs: number): Promise<void> {
    return this.#until(() => this.#underWay === 0 && this.#sockets.size === 0, timeoutMs)
  }

  /** Several may wait at a time: an application that closes beside its node. */
  async #until(isQuiet: () => boolean, timeoutMs: number): Promise<void> {
    this.announceStop()
    const endMs = performance.now() + timeoutMs
    while (!isQuiet()) {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) return
      await this.#nextChange(leftMs)
    }
  }

  async #nextChange(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    let wake: () => void = () => {}
    await new Promise<void>((resolve) => {
      wake = resolve
      timer = setTimeout(resolve, timeoutMs)
      this.#waiting.add(resolve)
    })
    clearTimeout(timer)
    this.#waiting.delete(wake)
  }

  /** A 401 is marked too: a token that a restarted leader refuses is signed again. */
  #answerRefused(response: ServerResponse, refused: WalcastError): void {
    const marked: Record<string, string> = { [NOT_EXECUTED_HEADER]: refused.key, ...retryAfterOf(refused) }
    if (this.#isStopping) marked['connection'] = 'close'
    sendError(response, refused, marked)
  }

  #track(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#onLess()
    })
  }

  #afterAnswer(response: ServerResponse): void {
    const over = () => {
      this.#underWay--
      this.#onLess()
    }
    if (response.writableFinished || response.destroyed) over()
    else response.once('close', over)
  }

  #onLess(): void {
    for (const wake of this.#waiting) wake()
  }
}

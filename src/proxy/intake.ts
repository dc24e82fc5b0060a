/**
 * The write intake on the private side: requests that other nodes forward, each with a token of its
 * own. A node that is not the leader, or stops, executes nothing. It says so in a way that lets the
 * sender send the request again.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { asWalcastError, WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import { REPLICA_AUTH_HEADER } from '../security/requestSignature.ts'
import { type ErrorBody, errorBody, retryAfterOf, sendJson, sendRefusal } from './answer.ts'
import { Client, tellClose, whenOver } from './client.ts'
import type { TrustedProxies } from './clientAddress.ts'
import { Condition } from './condition.ts'
import type { Detour } from './detour.ts'
import { ageFirstAttempt } from './firstAttempt.ts'
import { CLIENT_HEADER, fromNode, headerOf, holdOf, NOT_EXECUTED_HEADER } from './headers.ts'
import {
  IntakeChecks,
  type IntakeChecksOptions,
  type NodeConnections,
  nodeOf,
} from './intakeChecks.ts'
import { LentReads } from './lentReads.ts'
import { endEventStream } from './relayedAnswer.ts'
import { RequestBudget } from './requestBudget.ts'
import { isReserved } from './routes.ts'
import { UnderWay } from './underWay.ts'

export interface IntakeOptions extends IntakeChecksOptions {
  readonly detour: Detour
  readonly lentReads: LentReads
  readonly maxRequests: number
  /** Requests of one other node. */
  readonly maxNodeRequests: number
  readonly proxies: TrustedProxies
  /** HOST:PORT of the leader, where this node is none. */
  leader(): string | undefined
  /** The client of the application gets the answer in the end: what it may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
  /** The application gave no answer, or a broken one. */
  onRefused(error: WalcastError): void
  onRequest(refused: string | undefined): void
  /** The intake takes no more: requests that wait for the application have to hear of it. */
  onStopping(): void
  onFailure(error: WalcastError): void
}

/** How long nodes have to close their connections once they were told of the stop. */
const CLOSE_MS = 1000

export class Intake {
  readonly #options: IntakeOptions
  /** Connections on which nodes sent requests: a stop waits until they have closed them. */
  readonly #sockets = new Set<Socket>()
  readonly #underWay = new UnderWay<ServerResponse>()
  /** Told when an answer is over, or a connection has closed. */
  readonly #rest = new Condition()
  readonly #checks: IntakeChecks
  readonly #budget: RequestBudget

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#checks = new IntakeChecks(options)
    this.#budget = new RequestBudget(options.maxRequests, options.maxNodeRequests)
  }

  /** What a client of the application may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody {
    return this.#options.bodyOf(error)
  }

  get underWay(): number {
    return this.#underWay.size
  }

  /** Whether a request is for the application: signed by a node, and not for a path of our own. */
  static isFor(request: IncomingMessage): boolean {
    return request.headers[REPLICA_AUTH_HEADER] !== undefined && !isReserved(request.url ?? '/')
  }

  /** Answers every request; never throws. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    connections: NodeConnections,
  ): Promise<void> {
    this.#track(request.socket)
    tellClose(request, response)
    const isLent = LentReads.isLent(request)
    const node = nodeOf(request)
    const refused =
      (isLent ? this.#refuseLent(request) : this.refuse(request, connections)) ??
      this.#refuseCrowd(node, connections)
    this.#options.onRequest(refused?.key)
    if (refused) return this.#answerRefused(response, refused)
    const ended = this.#underWay.add(response)
    this.#budget.take(node)
    const { proxies } = this.#options
    try {
      const client = new Client(
        request,
        response,
        proxies.forwardedOrigin(headerOf(request, CLIENT_HEADER)),
      )
      const late = await (isLent ? this.#answerLent(client) : this.#execute(client))
      if (late) this.#answerLate(response, late)
    } catch (error) {
      sendRefusal(response, error, this.#options)
    } finally {
      this.#afterAnswer(response, node, ended)
    }
  }

  #refuseLent(request: IncomingMessage): WalcastError | undefined {
    if (this.#checks.isStopping) return new WalcastError('STOPPING')
    return this.#options.lentReads.refuse(request)
  }

  /**
   * Resolves with why this node's application did not answer. The request only reads: the leader
   * may ask elsewhere, whatever came of it here.
   */
  async #answerLent(client: Client): Promise<WalcastError | undefined> {
    try {
      await this.#options.lentReads.answer(client)
      return undefined
    } catch (error) {
      if (client.response.headersSent) throw error
      return asWalcastError(error)
    }
  }

  /**
   * Resolves with why nothing was executed after all: the application did not accept the request in
   * time, or this node no longer takes it.
   */
  async #execute(client: Client): Promise<WalcastError | undefined> {
    const { side, detour } = this.#options
    const { request } = client
    const headers = fromNode(request)
    const holdMs = holdOf(request)
    const isWrite = holdMs > 0
    for (;;) {
      const triedMs = monotonicMs()
      try {
        await side.execute(client, headers, true, isWrite)
        return undefined
      } catch (error) {
        if (!(await detour.untilTaken(client, error, holdMs, isWrite))) return asWalcastError(error)
        ageFirstAttempt(request, monotonicMs() - triedMs)
        const refused = this.refuseNow(request)
        if (refused) return refused
      }
    }
  }

  /**
   * Why a forwarded request or upgrade is not taken, however many there are; undefined when it is.
   * Uses up its token.
   */
  refuse(request: IncomingMessage, connections: NodeConnections): WalcastError | undefined {
    return this.#checks.refuse(request, connections)
  }

  /** The same for one that was taken and has waited. */
  refuseNow(request: IncomingMessage): WalcastError | undefined {
    return this.#checks.refuseNow(request)
  }

  /** One node must not fill the intake for all others. */
  #refuseCrowd(node: string | undefined, connections: NodeConnections): WalcastError | undefined {
    const { maxRequests } = this.#options
    if (this.#budget.isSpentBy(node) && !connections.giveWay(node))
      return new WalcastError('TOO_MANY_REQUESTS', { limit: this.#budget.maxPerOwner })
    if (this.#budget.isSpent && !connections.giveWay())
      return new WalcastError('TOO_MANY_REQUESTS', { limit: maxRequests })
    return undefined
  }

  get isStopping(): boolean {
    return this.#checks.isStopping
  }

  /** Takes nothing more. */
  announceStop(): void {
    this.#checks.isStopping = true
    this.#options.onStopping()
  }

  /** Takes requests again: the application is back. */
  resume(): void {
    this.#checks.isStopping = false
  }

  /**
   * Takes nothing more. Resolves when what was taken is answered, at the latest after `timeoutMs`.
   */
  async pause(timeoutMs: number): Promise<void> {
    this.announceStop()
    for (const response of this.#underWay.all()) endEventStream(response)
    await this.#rest.until(() => this.#underWay.size === 0, timeoutMs)
  }

  /**
   * Resolves when what was taken is answered, at the latest after `timeoutMs`, and when nodes have
   * closed their connections or had the time to.
   */
  async drain(timeoutMs: number): Promise<void> {
    await this.pause(timeoutMs)
    // A frozen node must not hold up the others, which wait for the next leader.
    await this.#rest.until(() => this.#sockets.size === 0, Math.min(CLOSE_MS, timeoutMs))
  }

  /**
   * A 401 is marked as not executed, too: the sender signs again what a restarted leader refuses.
   */
  #answerRefused(response: ServerResponse, refused: WalcastError, body = errorBody(refused)): void {
    const marked: Record<string, string> = {
      [NOT_EXECUTED_HEADER]: refused.key,
      ...retryAfterOf(refused),
    }
    if (this.#checks.isStopping) marked['connection'] = 'close'
    const leader = refused.key === 'NOT_LEADER' ? { leader: this.#options.leader() } : {}
    sendJson(response, refused.status, { ...body, ...leader }, marked)
  }

  /** A client of the application may get this answer: it has waited as long as it may. */
  #answerLate(response: ServerResponse, late: WalcastError): void {
    this.#options.onRefused(late)
    this.#answerRefused(response, late, this.bodyOf(late))
  }

  #track(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#rest.notify()
    })
  }

  #afterAnswer(response: ServerResponse, node: string | undefined, ended: () => void): void {
    const over = () => {
      this.#budget.give(node)
      ended()
      this.#rest.notify()
    }
    whenOver(response, over)
  }
}

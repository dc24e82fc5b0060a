/**
 * The write intake on the private side: requests that other nodes forward, each with a token of its
 * own. A node that does not lead, or stops, executes nothing and says so in a way that lets the
 * sender send the request again.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { NodeView } from '../api/nodeView.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { cancelTimer, monotonicMs, setTimer, type Timer } from '../platform/time.ts'
import { type Authenticator, REPLICA_AUTH_HEADER, senderOf } from '../security/auth.ts'
import { type ErrorBody, errorBody, retryAfterOf, sendJson, sendRefusal } from './answer.ts'
import { Client, tellClose, whenOver } from './client.ts'
import type { TrustedProxies } from './clientAddress.ts'
import type { Detour } from './detour.ts'
import {
  ageFirstAttempt,
  CLIENT_HEADER,
  fromNode,
  headerOf,
  holdOf,
  INCARNATION_HEADER,
  NOT_EXECUTED_HEADER,
} from './headers.ts'
import type { LeaderSide } from './leaderSide.ts'
import { LentReads } from './lentReads.ts'
import { endEventStream } from './relayedAnswer.ts'
import { RequestBudget } from './requestBudget.ts'
import { isReserved } from './routes.ts'
import { UnderWay } from './underWay.ts'
import type { WriteGate } from './writeGate.ts'

export interface IntakeOptions {
  readonly auth: Authenticator
  readonly view: NodeView
  readonly side: LeaderSide
  readonly detour: Detour
  readonly lentReads: LentReads
  readonly admission: WriteGate
  readonly maxRequests: number
  /** Of one other node. */
  readonly maxNodeRequests: number
  readonly proxies: TrustedProxies
  /** HOST:PORT of this node. */
  readonly address: string
  /** HOST:PORT of the leader, where this node is none. */
  leader(): string | undefined
  /** The highest that this node has led or followed in. */
  epoch(): number
  /**
   * A node that has been in this epoch, above this one's, sent a request: this node leads no more,
   * or never knew that it should not.
   */
  onHigherEpoch(node: string, epoch: number): void
  /** What a client of the application, who gets the answer in the end, may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
  /** The application did not answer, or not in order. */
  onRefused(error: WalcastError): void
  onRequest(refused: string | undefined): void
  /** Nothing more is taken: what waits for the application is to hear of it. */
  onStopping(): void
  onFailure(error: WalcastError): void
}

/** How long nodes that were told of a stop have to close their connections. */
const CLOSE_MS = 1000

export class Intake {
  readonly #options: IntakeOptions
  /** Connections on which nodes sent requests: a stop waits until they have closed them. */
  readonly #sockets = new Set<Socket>()
  readonly #underWay = new UnderWay<ServerResponse>()
  #isStopping = false
  /** Of those who wait for it to come to rest. */
  readonly #looks = new Set<() => void>()

  readonly #budget: RequestBudget
  /** A node has proven itself on this connection. */
  onProven: (socket: Socket, node: string) => void = () => {}
  /** Ends a request that keeps still, of this node if one is named; false when there is none. */
  giveWay: (node?: string) => boolean = () => false

  constructor(options: IntakeOptions) {
    this.#options = options
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
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#track(request.socket)
    tellClose(request, response)
    const isLent = LentReads.isLent(request)
    const node = nodeOf(request)
    const refused =
      (isLent ? this.#refuseLent(request) : this.refuse(request)) ?? this.#refuseCrowd(node)
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
    if (this.#isStopping) return new WalcastError('STOPPING')
    return this.#options.lentReads.refuse(request)
  }

  /**
   * Gives why it was not answered by the application. It only reads: the leader may ask for it
   * elsewhere, whatever came of it.
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
   * Gives why nothing was executed after all: the application did not accept it in time, or this
   * node does not take it any more.
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
  refuse(request: IncomingMessage): WalcastError | undefined {
    const { auth } = this.#options
    const token = headerOf(request, REPLICA_AUTH_HEADER)
    const refused = auth.refuseForward(token, request.method ?? 'GET', request.url ?? '/')
    if (refused) return new WalcastError('FORWARD_REFUSED', { detail: refused.message }, refused)
    this.onProven(request.socket, nodeOf(request) ?? '')
    return this.refuseNow(request)
  }

  /** The same of one that was taken, and has waited. */
  refuseNow(request: IncomingMessage): WalcastError | undefined {
    const { address, admission, view, side } = this.#options
    const token = headerOf(request, REPLICA_AUTH_HEADER)
    const ofOtherEpoch = this.#refuseOtherEpoch(token)
    if (ofOtherEpoch) return ofOtherEpoch
    if (view.role() !== 'leader')
      return new WalcastError('NOT_LEADER', { address, role: view.role() })
    if (this.#isStopping) return new WalcastError('STOPPING')
    // Its position could not be told: as replicas are refused, so are requests.
    const unready = view.refuseReplicas() ?? admission.refuse()
    if (unready) return unready
    const ofOtherIncarnation = this.#refuseOtherIncarnation(headerOf(request, INCARNATION_HEADER))
    if (ofOtherIncarnation) return ofOtherIncarnation
    if (!side.canExecute) return new WalcastError('NO_APPLICATION')
    return undefined
  }

  /** One node does not fill the intake for all others. */
  #refuseCrowd(node: string | undefined): WalcastError | undefined {
    const { maxRequests } = this.#options
    if (node !== undefined && this.#budget.isSpentBy(node) && !this.giveWay(node))
      return new WalcastError('TOO_MANY_REQUESTS', { limit: this.#budget.maxPerOwner })
    if (this.#budget.isSpent && !this.giveWay())
      return new WalcastError('TOO_MANY_REQUESTS', { limit: maxRequests })
    return undefined
  }

  /**
   * Whoever has followed a later leader must not be answered by an earlier one. And a token of an
   * earlier epoch may have been used up at another leader, of which nothing is remembered here: it
   * would be executed again.
   */
  #refuseOtherEpoch(token: string | undefined): WalcastError | undefined {
    const { view, onHigherEpoch } = this.#options
    const mine = this.#options.epoch()
    const sender = senderOf(token)
    if (!sender || sender.epoch === mine || view.role() !== 'leader') return undefined
    if (sender.epoch < mine)
      return new WalcastError('EARLIER_EPOCH', { mine, theirs: sender.epoch })
    onHigherEpoch(sender.node, sender.epoch)
    return new WalcastError('STALE_LEADER', { mine: sender.epoch, theirs: mine })
  }

  /**
   * What is meant for one incarnation is executed by no other. Programs that send nothing twice
   * need not name one.
   */
  #refuseOtherIncarnation(meant: string | undefined): WalcastError | undefined {
    const mine = this.#options.view.incarnation()
    if (meant === undefined || meant === mine) return undefined
    return new WalcastError('OTHER_INCARNATION', { mine, theirs: meant })
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Takes nothing more. */
  announceStop(): void {
    this.#isStopping = true
    this.#options.onStopping()
  }

  /** Takes requests again: the application is back. */
  resume(): void {
    this.#isStopping = false
  }

  /**
   * Takes nothing more and resolves when what was taken is answered, at the latest after
   * `timeoutMs`.
   */
  pause(timeoutMs: number): Promise<void> {
    this.announceStop()
    for (const response of this.#underWay.all()) endEventStream(response)
    return this.#until(() => this.#underWay.size === 0, timeoutMs)
  }

  /**
   * Resolves when what was taken is answered, at the latest after `timeoutMs`, and nodes have
   * closed their connections or had the time to.
   */
  async drain(timeoutMs: number): Promise<void> {
    await this.pause(timeoutMs)
    // One that is frozen must not hold up the others, which wait for the next leader.
    await this.#until(() => this.#sockets.size === 0, Math.min(CLOSE_MS, timeoutMs))
  }

  async #until(check: () => boolean, timeoutMs: number): Promise<void> {
    if (check()) return
    let timer: Timer | undefined
    let look: () => void = () => {}
    await new Promise<void>((resolve) => {
      timer = setTimer(resolve, timeoutMs)
      look = () => {
        if (check()) resolve()
      }
      this.#looks.add(look)
    })
    cancelTimer(timer)
    this.#looks.delete(look)
  }

  /** A 401 is marked too: a token that a restarted leader refuses is signed again. */
  #answerRefused(response: ServerResponse, refused: WalcastError, body = errorBody(refused)): void {
    const marked: Record<string, string> = {
      [NOT_EXECUTED_HEADER]: refused.key,
      ...retryAfterOf(refused),
    }
    if (this.#isStopping) marked['connection'] = 'close'
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
      this.#checkQuiet()
    })
  }

  #afterAnswer(response: ServerResponse, node: string | undefined, ended: () => void): void {
    const over = () => {
      this.#budget.give(node)
      ended()
      this.#checkQuiet()
    }
    whenOver(response, over)
  }

  #checkQuiet(): void {
    for (const look of this.#looks) look()
  }
}

function nodeOf(request: IncomingMessage): string | undefined {
  return senderOf(headerOf(request, REPLICA_AUTH_HEADER))?.node
}

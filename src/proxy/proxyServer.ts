/** The public side of a node: stands before the application (`--proxy`), on leader and replicas. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { NodeView } from '../api/nodeView.ts'
import { asWalcastError, listenError, WalcastError } from '../errors.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { createHttpServer, TcpServer } from '../platform/sockets.ts'
import { cancelTimer, delay, monotonicMs, onNextTurn, setTimer } from '../platform/time.ts'
import {
  type ErrorBody,
  type OwnAnswer,
  readinessAnswer,
  sendJson,
  sendRefusal,
  standbyAnswer,
  standbyError,
} from './answer.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import { Client, type Held, tellClose, whenOver } from './client.ts'
import type { Consistency } from './consistency.ts'
import type { Crowd } from './crowd.ts'
import type { Detour } from './detour.ts'
import { Gate } from './gate.ts'
import { type FlatHeaders, fromClient } from './headers.ts'
import type { LeaderSide } from './leaderSide.ts'
import { endEventStream } from './relayedAnswer.ts'
import type { ReplicaSide } from './replicaSide.ts'
import { targetOf } from './requestTarget.ts'
import { isRead, isUnderAny, type Route, type Routes } from './routes.ts'
import { UnderWay } from './underWay.ts'
import {
  isRelayed,
  refuseUpgrade,
  relayUpgrade,
  takeAsRequest,
  type UpgradeTarget,
} from './upgradeRelay.ts'
import { Upgrading } from './upgrading.ts'
import type { WriteGate } from './writeGate.ts'

/**
 * `holdMs`: how long a request waits for the leader, and for the start of this node, where
 * `maxHeld` of them wait.
 */
export type ProxyLimits = Pick<
  NodeOptions,
  'maxHeaderBytes' | 'requestTimeoutMs' | 'headTimeoutMs' | 'holdMs' | 'maxHeld'
>

export interface ProxyServerOptions {
  readonly host: string
  readonly port: number
  readonly routes: Routes
  readonly view: NodeView
  /** One for each role, as far as the node can have it. */
  readonly leaderSide: LeaderSide
  readonly replicaSide: ReplicaSide
  readonly admission: WriteGate
  readonly watch: ApplicationWatch
  readonly detour: Detour
  readonly consistency: Consistency
  /** A client has seen an epoch after this leader's. Resolves when it is known who leads. */
  onLaterPosition(epoch: number): Promise<void>
  /** Path prefixes that a standby serves all the same. */
  readonly standbyPaths: readonly string[]
  /** How many may come in. */
  readonly crowd: Crowd
  readonly limits: ProxyLimits
  /**
   * Why the application keeps this node from being ready for clients; undefined when it does not. A
   * standby never is.
   */
  unwell(): string | undefined
  /** URL of the application; undefined on a standby without one. */
  upstream(): string | undefined
  /** Where clients find the leader. */
  primaryUrl(): string | undefined
  /**
   * An upgrade that goes to the leader, with a client's headers, and waits until `endMs` there;
   * undefined while none is known.
   */
  leaderUpgrade(path: string, headers: FlatHeaders, endMs: number): UpgradeTarget | undefined
  /** Where upgrades wait for the leader. */
  readonly gate: Gate
  /** What one gets that waited for all of that time. */
  leaderAway(): WalcastError
  /** What a client may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
  onRequest(route: Route): void
  /** Answered by an error of this node's. */
  onRefused(error: WalcastError): void
  onFailure(error: WalcastError): void
}

/** Longer than load balancers keep idle connections (60 s by custom), so that they close first. */
const KEEP_ALIVE_MS = 75_000
/** After a stop, for requests that were on their way on an idle connection. */
const LINGER_MS = 100
/** Between two looks of Node's for heads and requests that take too long. */
const LATE_LOOK_MS = 1000

export class ProxyServer {
  readonly #options: ProxyServerOptions
  readonly #server: Server
  readonly #upgraded = new Set<Socket>()
  readonly #underWay = new UnderWay<ServerResponse>()
  /**
   * Where requests wait until the node can serve: a balancer without checks sends them as soon as
   * this side listens.
   */
  readonly #start: Gate
  #isStopping = false
  /** A connection is closed as soon as nothing is under way on it. */
  #closesIdle = false

  constructor(options: ProxyServerOptions) {
    this.#options = options
    const {
      requestTimeoutMs: requestTimeout,
      headTimeoutMs,
      maxHeld,
      maxHeaderBytes,
    } = options.limits
    this.#start = new Gate({ maxHeld })
    this.#start.close('this node is starting')
    this.#server = createHttpServer(
      {
        requestTimeout,
        headersTimeout: Math.min(headTimeoutMs, requestTimeout),
        connectionsCheckingInterval: LATE_LOOK_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: maxHeaderBytes,
      },
      (request, response) => void this.handle(request, response),
    )
    // Bounded by the bytes of a head: past a number of them Node would leave headers out without a
    // word.
    this.#server.maxHeadersCount = 0
    options.crowd.attach(this.#server)
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
  }

  get address(): string {
    return `${this.#options.host}:${this.#options.port}`
  }

  /** Requests and upgraded connections. */
  get underWay(): number {
    return this.#underWay.size + this.#upgraded.size
  }

  /** Requests that wait until the node has started. */
  get held(): number {
    return this.#start.held
  }

  /** Throws PORT_TAKEN or LISTEN_FAILED. */
  async listen(): Promise<void> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    }).catch((error) => {
      throw listenError('--proxy', this.address, error)
    })
  }

  /** The node is there: requests that waited for it are served. */
  open(): void {
    this.#start.open()
  }

  /**
   * Takes no new connections, lets requests under way end, and closes; cuts what is left after
   * `timeoutMs`.
   */
  async close(timeoutMs: number): Promise<void> {
    this.#isStopping = true
    this.#start.stop()
    if (!this.#server.listening) return
    // Node's own close of an HTTP server cuts idle connections at once, with what is on its way on
    // them.
    const closed = new Promise((resolve) => TcpServer.prototype.close.call(this.#server, resolve))
    await Promise.race([delay(LINGER_MS), closed])
    this.#closesIdle = true
    // Those that have no head yet say so in it; the others are closed when they are over.
    for (const response of this.#underWay.all()) response.shouldKeepAlive = false
    this.#server.close()
    this.#options.crowd.closeUnused()
    const cut = setTimer(() => this.#cutAll(), timeoutMs)
    for (const socket of this.#upgraded) socket.end()
    for (const response of this.#underWay.all()) endEventStream(response)
    await closed
    cancelTimer(cut)
  }

  /** Answers every request; never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { crowd } = this.#options
    if (crowd.overflows(request.socket)) return
    if (this.#isStopping) response.shouldKeepAlive = false
    tellClose(request, response)
    const ended = this.#underWay.add(response)
    const limit = crowd.arrive(response)
    response.once('close', () => {
      ended()
      crowd.leave(response)
      // Not within the event: the connection counts as idle only after it.
      if (this.#closesIdle) onNextTurn(() => this.#server.closeIdleConnections())
    })
    try {
      await this.#route(new Client(request, response, crowd.originOf(request)), limit)
    } catch (error) {
      sendRefusal(response, error, this.#options)
    }
  }

  /** `limit`: why its connection may ask for health only. */
  async #route(client: Client, limit: WalcastError | undefined): Promise<void> {
    const { routes, onRequest, crowd } = this.#options
    const ambiguity = ambiguityOf(client.request)
    if (ambiguity) throw ambiguity
    const route = routes.routeOf(client.method, client.target)
    onRequest(route)
    if (route === 'own') return this.#answerOwn(client)
    if (limit) throw limit
    const leave = crowd.admit(client)
    try {
      if (!this.#start.isOpen && !(await this.#untilStarted(client))) return
      await this.#answer(client, route)
    } finally {
      // A write with a key goes on when its client leaves, and takes its place until then.
      whenOver(client.response, leave)
    }
  }

  async #answer(client: Client, route: Exclude<Route, 'own'>): Promise<void> {
    const { routes, detour } = this.#options
    // The role may change while a request waits: what was not executed then begins anew.
    for (;;)
      try {
        if ((await this.#serve(client, route)) === 'answered') return
      } catch (error) {
        const mayGo = isReadOf(route, client) && !routes.staysHere(client.target)
        if ((await detour.take(client, error, mayGo)) === 'answered') return
      }
  }

  /** False when the client went away. Throws STARTING, STOPPING or TOO_MANY_HELD. */
  async #untilStarted(client: Held): Promise<boolean> {
    const waitMs = client.heldUntilMs(this.#options.limits.holdMs) - monotonicMs()
    const hasStarted = await this.#start.wait(waitMs, client.gone)
    if (!hasStarted && !client.isGone)
      throw new WalcastError(this.#isStopping ? 'STOPPING' : 'STARTING')
    return hasStarted
  }

  async #serve(client: Client, route: Exclude<Route, 'own'>): Promise<'answered' | 'lead'> {
    const { view, leaderSide, replicaSide, admission, standbyPaths, consistency, onLaterPosition } =
      this.#options
    const role = view.role()
    if (role === 'leader') {
      const later = consistency.laterEpoch(client.request)
      if (later !== undefined) await onLaterPosition(later)
      const isWrite = !isReadOf(route, client)
      // From the last look at it on nothing waits: whoever looks for writes inside finds this one.
      while (isWrite && admission.refuse())
        if (!(await admission.admit(client))) return client.isGone ? 'answered' : 'lead'
      if (view.role() !== 'leader') return 'lead'
      await leaderSide.execute(client, fromClient(client.request, client.origin), false, isWrite)
      return 'answered'
    }
    if (role === 'standby' && !isUnderAny(client.target, standbyPaths)) {
      sendOwn(client, standbyAnswer(this.#options.primaryUrl()))
      return 'answered'
    }
    return route === 'forward' ? replicaSide.forward(client) : replicaSide.serve(client)
  }

  #answerOwn(client: Client): void {
    const path = client.target.split('?', 1)[0]
    if (path === '/livez') return sendJson(client.response, 200, { live: true })
    if (path !== '/readyz') throw new WalcastError('NOT_FOUND', { path })
    const { view, unwell } = this.#options
    const why = view.role() === 'standby' ? 'a standby serves no application traffic' : unwell()
    sendOwn(client, readinessAnswer(view, this.#isStopping, why))
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const before = this.#underWay.newest(({ req }) => req.socket === socket)
    // Node's server knows nothing of a turn here: the answer would be lost, or come before others.
    if (before)
      before.once('close', () => !socket.destroyed && this.#takeUpgrade(request, socket, head))
    else this.#takeUpgrade(request, socket, head)
  }

  #takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (!isRelayed(request)) return takeAsRequest(this.#server, request, socket, head)
    this.#relay(request, socket, head).catch((error) => {
      const known = asWalcastError(error)
      this.#options.onRefused(known)
      refuseUpgrade(socket, known, {}, {}, this.#options.bodyOf)
    })
  }

  /** Throws why it is refused. */
  async #relay(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { view, leaderUpgrade, gate, limits } = this.#options
    const path = targetOf(request)
    const client = new Upgrading(socket)
    this.#options.crowd.admitUpgrade(request, socket)
    this.#upgraded.add(socket)
    socket.once('close', () => this.#upgraded.delete(socket))
    if (!this.#start.isOpen && !(await client.waitFor(this.#untilStarted(client)))) return
    const route = this.#requireRoute(request, path)
    const headers = fromClient(request, this.#options.crowd.originOf(request))
    const isForLeader = route === 'forward'
    for (const endMs = client.heldUntilMs(limits.holdMs); ; ) {
      if (isForLeader) await client.waitFor(this.#untilTaken(client, endMs))
      const isHere = !isForLeader || view.role() === 'leader'
      if (isHere) await client.waitFor(this.#untilAccepted(client, endMs, isForLeader))
      if (client.isGone) return
      if (isForLeader && isHere !== (view.role() === 'leader')) continue
      const target = isHere ? this.#own(path, headers) : leaderUpgrade(path, headers, endMs)
      const notTaken = target
        ? await relayUpgrade(request, socket, head, target)
        : 'no leader is known'
      if (notTaken === undefined) return
      if (isHere) this.#options.watch.onUnreachable(notTaken)
      else if (view.role() !== 'leader') gate.close(notTaken)
    }
  }

  /**
   * Waits until this node's application takes an upgrade, or the role has changed. Throws
   * APP_UNREACHABLE or TOO_MANY_HELD.
   */
  async #untilAccepted(client: Upgrading, endMs: number, isWrite: boolean): Promise<void> {
    const { watch, view } = this.#options
    const role = view.role()
    for (let unable = watch.refuse(isWrite); unable; unable = watch.refuse(isWrite)) {
      const isOpen = await watch.wait(client, endMs, isWrite)
      if (client.isGone || view.role() !== role) return
      if (!isOpen) throw unable
    }
  }

  /**
   * Waits until the leader, this node or another one, takes what would be a write. Throws
   * LEADER_AWAY, LEADER_ALONE or TOO_MANY_HELD.
   */
  async #untilTaken(client: Upgrading, endMs: number): Promise<void> {
    const { view, admission, gate, leaderAway } = this.#options
    while (view.role() === 'leader' && admission.refuse() && !client.isGone)
      await admission.admit(client)
    if (view.role() === 'leader' || client.isGone) return
    const isOpen = await gate.wait(endMs - monotonicMs(), client.gone)
    if (!isOpen && !client.isGone) throw leaderAway()
  }

  /** Throws why an upgrade is refused. */
  #requireRoute(request: IncomingMessage, path: string): Route {
    const { routes, view, onRequest, primaryUrl } = this.#options
    const ambiguity = ambiguityOf(request)
    if (ambiguity) throw ambiguity
    const route = routes.routeOf('GET', path)
    onRequest(route)
    if (route === 'own') throw new WalcastError('NOT_FOUND', { path })
    if (this.#isStopping) throw new WalcastError('STOPPING')
    if (view.role() === 'standby') throw standbyError(primaryUrl())
    return route
  }

  /** The application of this node. Throws NO_APPLICATION. */
  #own(path: string, headers: FlatHeaders): UpgradeTarget {
    const origin = this.#options.upstream()
    if (origin === undefined) throw new WalcastError('NO_APPLICATION')
    const { view, bodyOf } = this.#options
    return { origin, path, headers, node: view.status().node, canWait: true, bodyOf }
  }

  #cutAll(): void {
    this.#server.closeAllConnections()
    for (const socket of this.#upgraded) socket.destroy()
  }
}

/** What any node's application may answer. */
function isReadOf(route: Route, { method }: Client): boolean {
  return route !== 'forward' && isRead(method)
}

function sendOwn({ response }: Client, { status, body, headers }: OwnAnswer): void {
  sendJson(response, status, body, headers)
}

/**
 * Why a request is not passed on as it stands: whoever reads it next could read it in another way.
 */
function ambiguityOf({ headers, rawHeaders }: IncomingMessage): WalcastError | undefined {
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return new WalcastError('BAD_REQUEST', {
      detail: `the transfer coding ${coding} is not understood`,
    })
  const hosts = rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'host')
  if (hosts.length > 1)
    return new WalcastError('BAD_REQUEST', { detail: 'it has several Host headers' })
  return undefined
}

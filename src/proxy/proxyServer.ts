/** The public side of a node (`--proxy`): stands before the application, on leader and replicas. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { listenError, WalcastError } from '../errors.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { createHttpServer, TcpServer } from '../platform/sockets.ts'
import { cancelTimer, delay, onNextTurn, setTimer } from '../platform/time.ts'
import { requireUnambiguous } from './ambiguity.ts'
import { type OwnAnswer, readinessAnswer, sendJson, sendRefusal, standbyAnswer } from './answer.ts'
import { Client, tellClose, whenOver } from './client.ts'
import type { Consistency } from './consistency.ts'
import type { Detour } from './detour.ts'
import type { LeaderSide } from './leaderSide.ts'
import type { Leadership } from './leadership.ts'
import { ProxyUpgrades, type ProxyUpgradesParts } from './proxyUpgrades.ts'
import { endEventStream } from './relayedAnswer.ts'
import type { ReplicaSide } from './replicaSide.ts'
import { isRead, isUnderAny, type Route } from './routes.ts'
import { StartGate } from './startGate.ts'
import { UnderWay } from './underWay.ts'

/**
 * `holdMs`: how long a request waits for the leader, or for the start of this node. `maxHeld`: how
 * many may wait for the start.
 */
export type ProxyLimits = Pick<
  NodeOptions,
  'maxHeaderBytes' | 'requestTimeoutMs' | 'headTimeoutMs' | 'holdMs' | 'maxHeld'
>

export interface ProxyServerOptions extends ProxyUpgradesParts {
  readonly host: string
  readonly port: number
  /** One for each role that the node may have. */
  readonly leaderSide: LeaderSide
  readonly replicaSide: ReplicaSide
  readonly detour: Detour
  readonly consistency: Consistency
  readonly leadership: Pick<Leadership, 'laterEpochSeen'>
  /** Path prefixes that a standby serves all the same. */
  readonly standbyPaths: readonly string[]
  readonly limits: ProxyLimits
  onFailure(error: WalcastError): void
}

/** Longer than load balancers keep idle connections (60 s by custom), so that they close first. */
const KEEP_ALIVE_MS = 75_000
/** How long a stop waits for requests that are on their way on idle connections. */
const LINGER_MS = 100
/** Pause between two looks of Node's server for heads and requests that take too long. */
const LATE_LOOK_MS = 1000
const ANSWERED = Promise.resolve('answered' as const)

export class ProxyServer {
  readonly #options: ProxyServerOptions
  readonly #server: Server
  readonly #upgrades: ProxyUpgrades
  readonly #underWay = new UnderWay<ServerResponse>()
  readonly #start: StartGate
  /** Connections close as soon as nothing is under way on them. */
  #closesIdle = false

  constructor(options: ProxyServerOptions) {
    this.#options = options
    const { requestTimeoutMs: requestTimeout, headTimeoutMs, maxHeaderBytes } = options.limits
    this.#start = new StartGate(options.limits)
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
    // The bytes of a head are bounded instead. Past a number of headers Node would silently leave
    // the rest out.
    this.#server.maxHeadersCount = 0
    options.crowd.attach(this.#server)
    this.#upgrades = new ProxyUpgrades(options, this.#server, this.#start, this.#underWay)
  }

  get address(): string {
    return `${this.#options.host}:${this.#options.port}`
  }

  /** Requests and upgraded connections. */
  get underWay(): number {
    return this.#underWay.size + this.#upgrades.size
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

  /** The node has started: requests that waited for it are served. */
  open(): void {
    this.#start.open()
  }

  /**
   * Takes no new connections, lets requests under way end, and closes. Cuts what is left after
   * `timeoutMs`.
   */
  async close(timeoutMs: number): Promise<void> {
    this.#start.stop()
    if (!this.#server.listening) return
    // Node's own close of an HTTP server cuts idle connections at once, with the requests that are
    // on their way on them.
    const closed = new Promise((resolve) => TcpServer.prototype.close.call(this.#server, resolve))
    await Promise.race([delay(LINGER_MS), closed])
    this.#closesIdle = true
    // Answers without a head yet say so in it; the other connections close when their answers are
    // over.
    for (const response of this.#underWay.all()) response.shouldKeepAlive = false
    this.#server.close()
    this.#options.crowd.closeUnused()
    const cut = setTimer(() => this.#cutAll(), timeoutMs)
    this.#upgrades.end()
    for (const response of this.#underWay.all()) endEventStream(response)
    await closed
    cancelTimer(cut)
  }

  /** Answers every request; never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { crowd } = this.#options
    if (crowd.overflows(request.socket)) return
    if (this.#start.isStopping) response.shouldKeepAlive = false
    tellClose(request, response)
    const ended = this.#underWay.add(response)
    const limit = crowd.arrive(response)
    response.once('close', () => {
      ended()
      crowd.leave(response)
      // Not within this event: the connection counts as idle only after it.
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
    requireUnambiguous(client.request)
    const route = routes.routeOf(client.method, client.target)
    onRequest(route)
    if (route === 'own') return this.#answerOwn(client)
    if (limit) throw limit
    const leave = crowd.admit(client)
    try {
      if (!this.#start.isOpen && !(await this.#start.wait(client))) return
      await this.#answer(client, route)
    } finally {
      // A write with a key goes on when its client leaves, and keeps its place until it is over.
      whenOver(client.response, leave)
    }
  }

  async #answer(client: Client, route: Exclude<Route, 'own'>): Promise<void> {
    const { routes, detour } = this.#options
    // The role may change while a request waits. What was not executed by then is decided anew.
    for (;;)
      try {
        if ((await this.#serve(client, route)) === 'answered') return
      } catch (error) {
        const mayGo = isReadOf(route, client) && !routes.staysHere(client.target)
        if ((await detour.take(client, error, mayGo)) === 'answered') return
      }
  }

  #serve(client: Client, route: Exclude<Route, 'own'>): Promise<'answered' | 'lead'> {
    const { view, replicaSide, standbyPaths, primaryUrl } = this.#options
    const role = view.role()
    if (role === 'leader') return this.#serveLeading(client, !isReadOf(route, client))
    if (role === 'standby' && !isUnderAny(client.target, standbyPaths)) {
      sendOwn(client, standbyAnswer(primaryUrl()))
      return ANSWERED
    }
    return route === 'forward' ? replicaSide.forward(client) : replicaSide.serve(client)
  }

  #serveLeading(client: Client, isWrite: boolean): Promise<'answered' | 'lead'> {
    const { leaderSide, consistency } = this.#options
    const later = consistency.laterEpoch(client.request)
    if (later === undefined) return leaderSide.take(client, isWrite)
    return this.#options.leadership
      .laterEpochSeen(later)
      .then(() => leaderSide.take(client, isWrite))
  }

  #answerOwn(client: Client): void {
    const path = client.target.split('?', 1)[0]
    if (path === '/livez') return sendJson(client.response, 200, { live: true })
    if (path !== '/readyz') throw new WalcastError('NOT_FOUND', { path })
    const { view, application } = this.#options
    const isStandby = view.role() === 'standby'
    const why = isStandby ? 'a standby serves no application traffic' : application.unwellForClients
    sendOwn(client, readinessAnswer(view, this.#start.isStopping, why))
  }

  #cutAll(): void {
    this.#server.closeAllConnections()
    this.#upgrades.cut()
  }
}

/** Whether any node's application may answer the request. */
function isReadOf(route: Route, { method }: Client): boolean {
  return route !== 'forward' && isRead(method)
}

function sendOwn({ response }: Client, { status, body, headers }: OwnAnswer): void {
  sendJson(response, status, body, headers)
}

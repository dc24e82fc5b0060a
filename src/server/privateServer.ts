/**
 * The private side of a node: health, metrics, status, lag, waits, and the upgrade to the
 * replication stream.
 */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import { isIP, type Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import {
  MAX_MESSAGE_BYTES,
  PROTOCOL_VERSIONS,
  STREAM_PATH,
  SUBPROTOCOL_PREFIX,
} from '../../proto/limits.ts'
import { parsePosition } from '../../proto/position.ts'
import type { AuditSource } from '../api/audit.ts'
import type { NodeChecks } from '../api/checks.ts'
import type { NodeView } from '../api/nodeView.ts'
import type { PositionWaits, WaitTarget } from '../api/positionWaits.ts'
import { NODE_PATHS, type RoleActions } from '../api/roleActions.ts'
import { NODE_AGENT } from '../cluster/peerCalls.ts'
import { asWalcastError, listenError, messageOf, WalcastError } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import { createHttpServer, WebSocketServer } from '../platform/sockets.ts'
import { errorBody, readinessAnswer, sendFailure } from '../proxy/answer.ts'
import type { ApplicationWatch } from '../proxy/applicationWatch.ts'
import {
  ConnectionBudget,
  type ConnectionHost,
  type ConnectionLimits,
} from '../proxy/connectionBudget.ts'
import { fromNode, headerOf, NOT_EXECUTED_HEADER, VIA_HEADER } from '../proxy/headers.ts'
import { Intake } from '../proxy/intake.ts'
import { RequestBudget } from '../proxy/requestBudget.ts'
import { isReserved } from '../proxy/routes.ts'
import { takeUpgrade } from '../proxy/upgradeIntake.ts'
import { refuseUpgrade } from '../proxy/upgradeRelay.ts'
import type { WriteGate } from '../proxy/writeGate.ts'
import { type Authenticator, REPLICA_AUTH_HEADER, senderOf } from '../security/auth.ts'
import { addAuditRoutes } from './auditRoutes.ts'
import { addCheckRoutes } from './checkRoutes.ts'
import type { Events } from './events.ts'
import { PacedAnswer } from './pacedAnswer.ts'
import { addRoleRoutes } from './roleRoutes.ts'

export interface PrivateServerOptions {
  readonly host: string
  readonly port: number
  readonly log: Logger
  readonly auth: Authenticator
  readonly metrics: Metrics
  readonly waits: PositionWaits
  readonly view: NodeView
  readonly events: Events
  readonly intake: Intake
  readonly admission: WriteGate
  readonly watch: ApplicationWatch
  /**
   * Why the application keeps a leader from answering GET /leader with 200; undefined when it does
   * not.
   */
  unwell(): string | undefined
  /** The application may have asked for this node's role. */
  onRoleAsked(remoteAddress: string): void
  /** How long upgrades wait for the application. */
  readonly holdMs: number
  audit(): AuditSource | undefined
  /** Undefined while the node starts. */
  roles(): RoleActions | undefined
  /** The highest epoch that this node has led or followed in. */
  epoch(): number
  /** The last epoch that this node knows to have begun with a promotion. */
  term(): number
  /**
   * Id of the node that led in the highest epoch that this node knows of; '' when it knows none.
   */
  lastLeader(): string
  /** Which process this node is, and how long it has been up. */
  readonly instance: { readonly id: string; readonly upMs: number }
  /** Undefined while the node starts. */
  checks(): NodeChecks | undefined
  readonly maxWaitMs: number
  readonly requestTimeoutMs: number
  /** Of a client's request at the public side. */
  readonly maxHeaderBytes: number
  readonly headTimeoutMs: number
  readonly connections: ConnectionLimits
  readonly onCut: ConnectionHost['onCut']
  /** Upgraded connections that other nodes forward. */
  readonly maxUpgrades: number
  /** URL of the application, for upgrades that other nodes forward. */
  upstream(): string | undefined
  /** Where clients find this node's application, for other nodes to tell. */
  publicUrl(): string | undefined
  nowMs(): number
}

/** Paths that load balancers and collectors ask without a secret. */
const PUBLIC = new Set(['/livez', '/readyz', '/leader', '/replica', '/metrics'])
/** Whoever asks there learns the node's role. */
const TELLS_ROLE = new Set(['/leader', '/replica', '/_walcast/status', '/_walcast/events'])
const DEFAULT_WAIT_MS = 5000
/** WebSocket close code of an error (PROTOCOL.md, "Errors and closing"). */
const ERROR_CLOSE = 4000
/** Longer than other nodes keep an idle connection: a request must not meet its close. */
const KEEP_ALIVE_MS = 120_000
/** Between two looks of Node's for heads and requests that take too long. */
const LATE_LOOK_MS = 1000
/**
 * Collections of metrics: those who ask now and then have one of their own, those of a crowd one a
 * second.
 */
const METRICS_PACE = { free: 5, periodMs: 250, crowd: 20, crowdPeriodMs: 1000 } as const
/**
 * No route has a schema. Without this, each start loads the compilers for schemas: a tenth of all
 * that it loads.
 */
const NO_SCHEMAS = { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } }
/** Headers between nodes. */
const ADDED_HEADER_BYTES = 4096
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

export class PrivateServer {
  readonly #options: PrivateServerOptions
  readonly #app: FastifyInstance
  readonly #webSockets: WebSocketServer
  /** Connections of applications' clients, which the HTTP server no longer counts as its own. */
  readonly #upgraded = new Set<Socket>()
  readonly #upgrades: RequestBudget
  readonly #connections: ConnectionBudget
  readonly #collected: PacedAnswer<string>
  #isStopping = false

  constructor(options: PrivateServerOptions) {
    this.#options = options
    const { host, auth, log, maxUpgrades } = options
    this.#upgrades = new RequestBudget(maxUpgrades, maxUpgrades)
    if (auth.isOpen && !isLoopback(host))
      throw new WalcastError('OPEN_WITHOUT_SECRET', { address: this.address })
    if (auth.isOpen)
      log.warn(
        'no secret is set: listening on loopback only, every local user can read this database',
      )
    this.#collected = new PacedAnswer(() => options.metrics.registry.metrics(), METRICS_PACE)
    this.#connections = new ConnectionBudget(options.connections, {
      // Nodes come from one address each, and prove themselves later.
      clientAt: () => undefined,
      onCut: options.onCut,
      // Fastify answers its own requests: of these the connection is cut.
      refuse: (response, error) =>
        Intake.isFor(response.req)
          ? void sendFailure(response, error, () => {})
          : void response.req.socket.destroy(),
    })
    options.intake.onProven = (socket, node) => this.#connections.prove(socket, node)
    options.intake.giveWay = (node) => this.#connections.giveWay(node)
    this.#app = Fastify({
      logger: false,
      forceCloseConnections: true,
      bodyLimit: 64 * 1024,
      schemaController: NO_SCHEMAS,
      // Requests for the application bypass the router: their paths are not ours to interpret.
      serverFactory: (handler) => this.#newServer(handler),
    })
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      handleProtocols: (offered) => commonProtocol(offered) ?? false,
    })
    this.#addHooks()
    this.#addRoutes()
    this.#app.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
  }

  get address(): string {
    return `${this.#options.host}:${this.#options.port}`
  }

  /** Throws PORT_TAKEN or LISTEN_FAILED. */
  async listen(): Promise<void> {
    const { host, port } = this.#options
    try {
      await this.#app.listen({ host, port })
    } catch (error) {
      throw listenError('--listen', this.address, error)
    }
  }

  /** Readiness fails from now on. */
  announceStop(): void {
    this.#isStopping = true
    this.#options.intake.announceStop()
  }

  async close(): Promise<void> {
    this.#isStopping = true
    this.#options.waits.close()
    this.#options.events.close()
    for (const socket of this.#upgraded) socket.destroy()
    await this.#app.close()
    this.#webSockets.close()
  }

  #newServer(handler: (request: IncomingMessage, response: ServerResponse) => void): HttpServer {
    const {
      requestTimeoutMs: requestTimeout,
      headTimeoutMs,
      maxHeaderBytes,
      intake,
    } = this.#options
    const connections = this.#connections
    const server = createHttpServer(
      {
        requestTimeout,
        headersTimeout: Math.min(headTimeoutMs, requestTimeout),
        connectionsCheckingInterval: LATE_LOOK_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: forwardedHeaderBytes(maxHeaderBytes),
      },
      (request, response) => {
        if (connections.overflows(request.socket)) return
        connections.arrive(response)
        response.once('close', () => connections.leave(response))
        if (Intake.isFor(request) && this.#isForThisNode(request))
          void intake.handle(request, response)
        else handler(request, response)
      },
    )
    connections.attach(server)
    // Bounded by the bytes of a head: past a number of them Node would leave headers out without a
    // word.
    server.maxHeadersCount = 0
    return server
  }

  #addHooks(): void {
    const { auth, log } = this.#options
    this.#app.addHook('onRequest', async (request) => {
      if (!this.#isForThisNode(request.raw)) throw new WalcastError('FOREIGN_PAGE')
      const path = request.url.split('?', 1)[0]
      const isAnotherNode = request.headers['user-agent'] === NODE_AGENT['user-agent']
      if (TELLS_ROLE.has(path) && !isAnotherNode) this.#options.onRoleAsked(request.ip)
      if (PUBLIC.has(path) || auth.acceptsOperator(request.headers.authorization)) return
      if (NODE_PATHS.has(path)) return this.#requireNode(request)
      throw this.#isForApplication(request)
        ? noToken(request.raw)
        : new WalcastError('UNAUTHORIZED')
    })
    this.#app.addHook('onSend', async (_request, reply) => {
      if (this.#isStopping) void reply.header('connection', 'close')
    })
    this.#app.setNotFoundHandler((request) => {
      if (this.#isForApplication(request)) throw noToken(request.raw)
      throw new WalcastError('NOT_FOUND', { path: request.url.split('?', 1)[0] })
    })
    this.#app.setErrorHandler((error: unknown, _request, reply) => {
      const known = requestError(error)
      if (known.key === 'INTERNAL') log.error({ error: messageOf(error) }, 'a request failed')
      return reply.code(known.status).send(errorBody(known))
    })
  }

  /** Throws UNAUTHORIZED, WRONG_SECRET or CLOCKS_DIFFER. */
  #requireNode(request: FastifyRequest): void {
    const token = headerOf(request.raw, REPLICA_AUTH_HEADER)
    if (token === undefined) throw new WalcastError('UNAUTHORIZED')
    const refused = this.#options.auth.refuseNode(token, request.method, request.url)
    if (refused) throw refused
  }

  /** What the intake would have taken, with a token. */
  #isForApplication(request: FastifyRequest): boolean {
    return request.is404 && this.#options.upstream() !== undefined && !isReserved(request.url)
  }

  /**
   * Without a secret, a page whose name was made to point at this machine must not read the
   * database: see DNS rebinding.
   */
  #isForThisNode(request: IncomingMessage): boolean {
    if (!this.#options.auth.isOpen) return true
    const name = (headerOf(request, 'host') ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
    return name === '' || name === 'localhost' || isIP(name) !== 0
  }

  #addRoutes(): void {
    const { view, metrics } = this.#options
    const { contentType } = metrics.registry
    this.#app.get('/livez', async () => ({ live: true }))
    this.#app.get('/readyz', async (_request, reply) => {
      const { status, body } = readinessAnswer(view, this.#isStopping)
      return reply.code(status).send(body)
    })
    this.#app.get('/leader', async (_request, reply) =>
      this.#answerRole(reply, view.role() === 'leader'),
    )
    this.#app.get('/replica', async (_request, reply) =>
      this.#answerRole(reply, view.role() === 'replica'),
    )
    this.#app.get('/metrics', async (_request, reply) =>
      reply.type(contentType).send(await this.#collected.get()),
    )
    this.#app.get('/_walcast/status', async () => view.status())
    this.#app.get('/_walcast/lag', async () => view.lag())
    this.#app.get('/_walcast/wait', (request) => this.#wait(request))
    addCheckRoutes(this.#app, () => this.#options.checks())
    addAuditRoutes(this.#app, () => this.#options.audit())
    addRoleRoutes(this.#app, () => this.#options.roles())
    this.#app.get('/_walcast/events', (_request, reply) => {
      this.#options.events.add(reply.raw)
      reply.hijack()
    })
  }

  /**
   * A leader that stops is none. One that starts is: its application may write, and only other
   * nodes wait until it is `ready` to tell the position of what they forward.
   */
  #answerRole(reply: FastifyReply, yes: boolean): FastifyReply {
    const { view, intake, admission, instance, watch } = this.#options
    const { role, leader, node, cluster, epoch: positionEpoch, txid } = view.status()
    const isPaused = role === 'leader' && admission.refuse() !== undefined
    const ready = view.refuseReplicas() === undefined && !isPaused
    const publicUrl = this.#options.publicUrl()
    const isWell = role !== 'leader' || this.#options.unwell() === undefined
    const taking = yes && !this.#isStopping && !intake.isStopping && !isPaused
    return reply.code(taking && isWell ? 200 : 503).send({
      role,
      leader,
      ready,
      taking,
      node,
      instance: instance.id,
      upMs: instance.upMs,
      cluster,
      // Of the role file: the database's own may not be known yet.
      epoch: this.#options.epoch(),
      term: this.#options.term(),
      txid,
      positionEpoch,
      incarnation: view.incarnation(),
      history: view.history(),
      lastLeader: this.#options.lastLeader(),
      address: view.leaderAddress(),
      timeMs: this.#options.nowMs(),
      application: watch.standing(),
      ...(publicUrl ? { publicUrl } : {}),
    })
  }

  async #wait(request: FastifyRequest): Promise<unknown> {
    const { waits, view, maxWaitMs } = this.#options
    const query = request.query as Record<string, string | undefined>
    const timeoutMs = numberOf(query['timeoutMs'] ?? String(DEFAULT_WAIT_MS), 'timeoutMs')
    const target: WaitTarget | undefined =
      query['position'] === undefined
        ? { epoch: undefined, txid: numberOf(query['txid'], 'txid') }
        : parsePosition(query['position'])
    if (!target) throw new WalcastError('BAD_REQUEST', { detail: 'position is not EPOCH-TXID' })
    await waits.until(target, Math.min(timeoutMs, maxWaitMs))
    const { epoch, txid } = view.status()
    return { epoch, txid }
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    if (Intake.isFor(request) && this.#isForThisNode(request))
      return this.#upgradeApplication(request, socket, head)
    const refused = this.#refuseUpgrade(request)
    if (refused) return refuseUpgrade(socket, refused, { timeMs: this.#options.nowMs() })
    const sender = senderOf(headerOf(request, REPLICA_AUTH_HEADER))
    this.#connections.prove(socket, sender?.node ?? '')
    this.#connections.upgrade(socket)
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      socket.setNoDelay(true)
      try {
        this.#options.view.accept(webSocket, request.socket.remoteAddress ?? '')
      } catch (error) {
        webSocket.close(ERROR_CLOSE, asWalcastError(error).key)
      }
    })
  }

  #upgradeApplication(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { intake, upstream, view, watch, holdMs } = this.#options
    const sender = senderOf(headerOf(request, REPLICA_AUTH_HEADER))?.node
    const refused = intake.refuse(request)
    if (refused) return refuseUpgrade(socket, refused, {}, { [NOT_EXECUTED_HEADER]: refused.key })
    if (request.method !== 'GET')
      return refuseUpgrade(
        socket,
        new WalcastError('BAD_REQUEST', { detail: 'an upgrade has the method GET' }),
      )
    const crowded = this.#refuseCrowd(sender)
    if (crowded) return refuseUpgrade(socket, crowded)
    this.#connections.upgrade(socket)
    this.#upgraded.add(socket)
    this.#upgrades.take(sender)
    socket.once('close', () => {
      this.#upgraded.delete(socket)
      this.#upgrades.give(sender)
    })
    const { node } = view.status()
    const headers = fromNode(request)
    void takeUpgrade(request, socket, head, {
      watch,
      holdMs,
      target: () => ({
        origin: upstream() ?? '',
        path: request.url ?? '/',
        headers,
        node,
        bodyOf: (error) => intake.bodyOf(error),
      }),
      refuseNow: () => intake.refuseNow(request),
    })
  }

  /** WebSockets of one node's clients leave room for those of the others. */
  #refuseCrowd(sender: string | undefined): WalcastError | undefined {
    const { maxUpgrades } = this.#options
    if (this.#upgrades.isSpent) return new WalcastError('TOO_MANY_UPGRADES', { limit: maxUpgrades })
    if (sender === undefined || !this.#upgrades.isSpentBy(sender)) return undefined
    return new WalcastError('TOO_MANY_UPGRADES', { limit: this.#upgrades.maxPerOwner })
  }

  #refuseUpgrade(request: IncomingMessage): WalcastError | undefined {
    const { auth, view } = this.#options
    if (request.url !== STREAM_PATH)
      return new WalcastError('NOT_FOUND', { path: request.url ?? '' })
    if (headerOf(request, 'origin') !== undefined || !this.#isForThisNode(request))
      return new WalcastError('FOREIGN_PAGE')
    const refused = auth.refuseNode(headerOf(request, REPLICA_AUTH_HEADER), 'GET', STREAM_PATH)
    if (refused) return refused
    const offered = headerOf(request, 'sec-websocket-protocol') ?? ''
    if (!commonProtocol(offered.split(',').map((name) => name.trim()))) {
      return new WalcastError('PROTOCOL_VERSION', {
        leader: PROTOCOL_VERSIONS.join(', '),
        replica: offered || 'none',
      })
    }
    if (this.#isStopping) return new WalcastError('STOPPING')
    return view.refuseReplicas()
  }
}

/**
 * A head that another node's public side took fits in here with all that was added, of which the
 * client's Host comes in three places.
 */
function forwardedHeaderBytes(publicBytes: number): number {
  return 4 * publicBytes + ADDED_HEADER_BYTES
}

/** A node that takes this one for its application signs nothing. */
function noToken(request: IncomingMessage): WalcastError {
  const node = headerOf(request, VIA_HEADER)
  if (node !== undefined) return new WalcastError('FORWARD_LOOP', { node })
  return new WalcastError('FORWARD_REFUSED', { detail: 'it sent no token' })
}

/** The best subprotocol that both sides speak. */
function commonProtocol(offered: Iterable<string>): string | undefined {
  const names = new Set(offered)
  return PROTOCOL_VERSIONS.map((version) => `${SUBPROTOCOL_PREFIX}${version}`).find((name) =>
    names.has(name),
  )
}

/** What Fastify refuses itself (a body too large, JSON that is none) is the client's fault. */
function requestError(error: unknown): WalcastError {
  const status = Number(Object(error).statusCode)
  if (!(error instanceof WalcastError) && status >= 400 && status < 500)
    return new WalcastError('BAD_REQUEST', { detail: messageOf(error) }, error)
  return asWalcastError(error)
}

function numberOf(text: string | undefined, name: string): number {
  if (text === undefined || !/^\d{1,15}$/.test(text))
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is not a whole number` })
  return Number(text)
}

function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || (isIP(host) === 4 && host.startsWith('127.'))
}

function noCompiler(): never {
  throw new Error('a route of the private side has a schema, and nothing compiles it')
}

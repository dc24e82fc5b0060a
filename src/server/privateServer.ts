/**
 * The private side of a node: one listener for health, status, the operator's actions, the
 * replication stream, and the requests that other nodes forward to the application. It answers from
 * the start of the node on, before there is a role.
 */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { AuditSource } from '../api/audit.ts'
import { onlyDatabase } from '../api/databases.ts'
import type { RoleActions } from '../api/roleActions.ts'
import { asWalcastError, listenError, messageOf, WalcastError } from '../errors.ts'
import { createHttpServer } from '../platform/sockets.ts'
import { errorBody, sendFailure } from '../proxy/answer.ts'
import {
  ConnectionBudget,
  type ConnectionHost,
  type ConnectionLimits,
} from '../proxy/connectionBudget.ts'
import { Intake } from '../proxy/intake.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { Authenticator } from '../security/auth.ts'
import { Access, isLoopback } from './access.ts'
import { ApplicationUpgrades } from './applicationUpgrades.ts'
import { addAuditRoutes } from './auditRoutes.ts'
import { addCheckRoutes } from './checkRoutes.ts'
import { addHealthRoutes, type HealthParts } from './healthRoutes.ts'
import { ReplicationUpgrades } from './replicationUpgrades.ts'
import { addRoleRoutes } from './roleRoutes.ts'
import { addStatusRoutes, type StatusParts } from './statusRoutes.ts'

/** Required, not imported: see `platform/sockets.ts`. */
const { fastify } = createRequire(import.meta.url)('fastify') as typeof import('fastify')

export interface PrivateServerLimits {
  readonly maxWaitMs: number
  readonly requestTimeoutMs: number
  readonly headTimeoutMs: number
  /** Largest head of a client's request at the public side. */
  readonly maxHeaderBytes: number
  readonly connections: ConnectionLimits
  /** Upgraded connections that other nodes forward. */
  readonly maxUpgrades: number
  /** How long such an upgrade waits for the application. */
  readonly holdMs: number
}

export interface PrivateServerOptions extends HealthParts, StatusParts {
  readonly host: string
  readonly port: number
  readonly limits: PrivateServerLimits
  readonly log: Logger
  readonly auth: Authenticator
  readonly traffic: HealthParts['traffic'] & Pick<Traffic, 'upstream' | 'events'>
  readonly audit: AuditSource
  /** Undefined while the node starts. */
  roles(): RoleActions | undefined
  readonly onCut: ConnectionHost['onCut']
}

/** Longer than other nodes keep an idle connection: a request must not meet its close. */
const KEEP_ALIVE_MS = 120_000
/** How often Node looks for heads and requests that take too long. */
const LATE_LOOK_MS = 1000
const MAX_BODY_BYTES = 64 * 1024
/**
 * No route has a schema. Without this, each start loads the compilers for schemas, a tenth of all
 * code that it loads.
 */
const NO_SCHEMAS = { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } }
/** Headers that nodes add for each other. */
const ADDED_HEADER_BYTES = 4096

export class PrivateServer {
  readonly #options: PrivateServerOptions
  readonly #app: FastifyInstance
  readonly #access: Access
  readonly #replicationUpgrades: ReplicationUpgrades
  readonly #applicationUpgrades: ApplicationUpgrades
  readonly #connections: ConnectionBudget
  #isStopping = false

  /** Throws OPEN_WITHOUT_SECRET. */
  constructor(options: PrivateServerOptions) {
    this.#options = options
    const { host, auth, log, limits, traffic, databases, nowMs } = options
    if (auth.isOpen && !isLoopback(host))
      throw new WalcastError('OPEN_WITHOUT_SECRET', { address: this.address })
    if (auth.isOpen)
      log.warn(
        'no secret is set: listening on loopback only, every local user can read this database',
      )
    this.#access = new Access({
      auth,
      hasApplication: () => traffic.upstream !== undefined,
      onRoleAsked: (remoteAddress) => traffic.events.emit('roleAsked', remoteAddress),
    })
    const connections = newConnections(options)
    this.#connections = connections
    this.#replicationUpgrades = new ReplicationUpgrades({
      auth,
      databases,
      connections,
      isForThisNode: (request) => this.#access.isForThisNode(request),
      isStopping: () => this.#isStopping,
      nowMs,
    })
    const { maxUpgrades, holdMs } = limits
    const node = () => options.record().node
    this.#applicationUpgrades = new ApplicationUpgrades({
      traffic,
      connections,
      maxUpgrades,
      holdMs,
      node,
    })
    this.#app = fastify({
      logger: false,
      forceCloseConnections: true,
      bodyLimit: MAX_BODY_BYTES,
      schemaController: NO_SCHEMAS,
      // Requests for the application bypass the router: their paths are not ours to interpret.
      serverFactory: (handler) => this.#newServer(handler),
    })
    this.#addHooks()
    this.#addRoutes()
    this.#app.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => socket.destroy())
      const upgrades = this.#isForIntake(request)
        ? this.#applicationUpgrades
        : this.#replicationUpgrades
      upgrades.take(request, socket, head)
    })
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
    this.#options.traffic.intake.announceStop()
  }

  async close(): Promise<void> {
    const { databases, events } = this.#options
    this.#isStopping = true
    for (const { waits } of databases.values()) waits.close()
    events.close()
    this.#applicationUpgrades.close()
    await this.#app.close()
    this.#replicationUpgrades.close()
  }

  #newServer(handler: (request: IncomingMessage, response: ServerResponse) => void): HttpServer {
    const { limits, traffic } = this.#options
    const { requestTimeoutMs: requestTimeout, headTimeoutMs, maxHeaderBytes } = limits
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
        if (this.#isForIntake(request)) void traffic.intake.handle(request, response, connections)
        else handler(request, response)
      },
    )
    connections.attach(server)
    // The bytes of a head are bounded. Past a number of headers Node would leave the rest out
    // without a word.
    server.maxHeadersCount = 0
    return server
  }

  #isForIntake(request: IncomingMessage): boolean {
    return Intake.isFor(request) && this.#access.isForThisNode(request)
  }

  #addHooks(): void {
    this.#app.addHook('onRequest', async (request) => this.#access.require(request))
    this.#app.addHook('onSend', async (_request, reply) => {
      if (this.#isStopping) void reply.header('connection', 'close')
    })
    this.#app.setNotFoundHandler((request) => {
      throw this.#access.notFound(request)
    })
    this.#app.setErrorHandler((error: unknown, _request, reply) => {
      const known = requestError(error)
      if (known.key === 'INTERNAL')
        this.#options.log.error({ error: messageOf(error) }, 'a request failed')
      return reply.code(known.status).send(errorBody(known))
    })
  }

  #addRoutes(): void {
    const { databases, audit, roles } = this.#options
    addHealthRoutes(this.#app, this.#options, () => this.#isStopping)
    addStatusRoutes(this.#app, this.#options)
    addCheckRoutes(this.#app, () => onlyDatabase(databases).checks)
    addAuditRoutes(this.#app, () => audit)
    addRoleRoutes(this.#app, roles)
  }
}

function newConnections({ limits, onCut }: PrivateServerOptions): ConnectionBudget {
  const connections = new ConnectionBudget(limits.connections, {
    // Nodes come from one address each, and prove themselves later.
    clientAt: () => undefined,
    onCut,
    // Fastify answers its own requests: their connections are cut instead.
    refuse: (response, error) =>
      Intake.isFor(response.req)
        ? void sendFailure(response, error, () => {})
        : void response.req.socket.destroy(),
  })
  return connections
}

/**
 * A head that another node's public side took fits in here with all that was added. The client's
 * Host is in it three times.
 */
function forwardedHeaderBytes(publicBytes: number): number {
  return 4 * publicBytes + ADDED_HEADER_BYTES
}

/** A request that Fastify itself refuses (a body too large, broken JSON) is the client's fault. */
function requestError(error: unknown): WalcastError {
  const status = Number(Object(error).statusCode)
  if (!(error instanceof WalcastError) && status >= 400 && status < 500)
    return new WalcastError('BAD_REQUEST', { detail: messageOf(error) }, error)
  return asWalcastError(error)
}

function noCompiler(): never {
  throw new Error('a route of the private side has a schema, and nothing compiles it')
}

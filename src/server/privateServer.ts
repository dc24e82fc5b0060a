/**
 * The private side of a node: one listener for health, status, the operator's actions, the
 * replication stream, and the requests that other nodes forward to the application. It answers from
 * the start of the node on, before there is a role.
 */
import type { Server as HttpServer, IncomingMessage, RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { listenError, WalcastError } from '../errors.ts'
import { isLoopback } from '../hostPort.ts'
import { createHttpServer } from '../platform/sockets.ts'
import { sendFailure } from '../proxy/answer.ts'
import {
  ConnectionBudget,
  type ConnectionHost,
  type ConnectionLimits,
} from '../proxy/connectionBudget.ts'
import { Intake } from '../proxy/intake.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { Authenticator } from '../security/auth.ts'
import { Access } from './access.ts'
import { AnswerProofs } from './answerProofs.ts'
import { ApplicationUpgrades } from './applicationUpgrades.ts'
import { ControlSocket } from './controlSocket.ts'
import { counted } from './countedRequests.ts'
import { fastify } from './fastify.ts'
import type { HealthParts } from './healthRoutes.ts'
import { type HttpLimits, httpLimits } from './httpLimits.ts'
import { requireLeastRoles } from './leastRoles.ts'
import { type ListenerTls, newFront } from './listenerTls.ts'
import { NO_SCHEMAS } from './noSchemas.ts'
import { addPrivateRoutes, type PrivateParts } from './privateRoutes.ts'
import { answerErrors } from './refusals.ts'
import { ReplicationUpgrades } from './replicationUpgrades.ts'
import type { TlsFront, TlsFrontOptions } from './tlsFront.ts'
import type { TokenGateParts } from './tokenGate.ts'

export interface PrivateServerLimits extends HttpLimits {
  readonly maxWaitMs: number
  readonly handshakeTimeoutMs: number
  readonly connections: ConnectionLimits
  /** Upgraded connections that other nodes forward. */
  readonly maxUpgrades: number
  /** How long such an upgrade waits for the application. */
  readonly holdMs: number
}

export interface PrivateServerOptions extends PrivateParts {
  readonly host: string
  readonly port: number
  /** Folder of the node, for its control socket. */
  readonly stateFolder: string
  readonly limits: PrivateServerLimits
  readonly log: Logger
  readonly auth: Authenticator
  readonly traffic: HealthParts['traffic'] & Pick<Traffic, 'upstream' | 'events'>
  readonly tokens: PrivateParts['tokens'] & TokenGateParts
  /** Undefined in an open cluster: plain text only. */
  readonly tls: ListenerTls | undefined
  onCut(side: 'listen' | 'control'): ConnectionHost['onCut']
  onHandshakeFailed: TlsFrontOptions['onFailed']
}

const MAX_BODY_BYTES = 64 * 1024

export class PrivateServer {
  readonly #options: PrivateServerOptions
  readonly #app: FastifyInstance
  readonly #access: Access
  readonly #proofs: AnswerProofs
  readonly #replicationUpgrades: ReplicationUpgrades
  readonly #applicationUpgrades: ApplicationUpgrades
  readonly #connections: ConnectionBudget
  readonly #control: ControlSocket
  readonly #front: TlsFront | undefined
  #isStopping = false

  /** Throws OPEN_WITHOUT_SECRET. */
  constructor(options: PrivateServerOptions) {
    this.#options = options
    const { host, auth, log, limits, traffic, databases, nowMs, stateFolder } = options
    if (auth.isOpen && !isLoopback(host))
      throw new WalcastError('OPEN_WITHOUT_SECRET', { address: this.address })
    if (auth.isOpen)
      log.warn(
        'no secret is set: listening on loopback only, every local user can read this database; ' +
          'with --tls, or an address beyond loopback, a leader makes a secret of its own',
      )
    this.#control = new ControlSocket({
      folder: stateFolder,
      http: httpLimits(limits),
      limits: limits.connections,
      log,
      onCut: options.onCut('control'),
      handle: (request, response) => this.#app.routing(request, response),
    })
    this.#access = new Access({
      auth,
      tokens: options.tokens,
      node: () => options.record().node,
      nowMs,
      isLocal: (request) => this.#control.isFrom(request),
      hasApplication: () => traffic.upstream !== undefined,
      onRoleAsked: (remoteAddress) => traffic.events.emit('roleAsked', remoteAddress),
    })
    this.#proofs = new AnswerProofs(options)
    const connections = newConnections(options)
    this.#connections = connections
    this.#front = newFront(options.tls, limits, options.onHandshakeFailed)
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
    addPrivateRoutes(this.#app, options, this.#access, () => this.#isStopping)
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

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Throws PORT_TAKEN or LISTEN_FAILED. */
  async listen(): Promise<void> {
    const { host, port } = this.#options
    try {
      await this.#app.listen({ host, port })
    } catch (error) {
      throw listenError('--listen', this.address, error)
    }
    await this.#control.open()
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
    await this.#control.close()
    this.#front?.close()
    await this.#app.close()
    this.#replicationUpgrades.close()
  }

  #newServer(handler: RequestListener): HttpServer {
    const { limits, traffic } = this.#options
    const connections = this.#connections
    const take: RequestListener = (request, response) => {
      if (this.#isForIntake(request)) void traffic.intake.handle(request, response, connections)
      else handler(request, response)
    }
    const server = createHttpServer(httpLimits(limits), counted(connections, take))
    this.#front?.attach(server, connections)
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
    requireLeastRoles(this.#app)
    this.#app.addHook('onRequest', async (request) => this.#access.require(request))
    this.#app.addHook('onSend', async (request, reply, payload) => {
      if (this.#isStopping) void reply.header('connection', 'close')
      this.#proofs.prove(request, reply, payload)
    })
    this.#app.addHook('preHandler', async (request) => {
      if (request.body === undefined) this.#access.requireBody(request, undefined)
    })
    const parseJson = this.#app.getDefaultJsonParser('error', 'error')
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer' },
      (request, body, done) => {
        this.#access.requireBody(request, body as Buffer)
        parseJson(request, body.toString('utf8'), done)
      },
    )
    this.#app.setNotFoundHandler((request) => {
      throw this.#access.notFound(request)
    })
    answerErrors(this.#app, this.#options.log)
  }
}

function newConnections({ limits, onCut }: PrivateServerOptions): ConnectionBudget {
  return new ConnectionBudget(limits.connections, {
    // Nodes come from one address each, and prove themselves later.
    clientAt: () => undefined,
    onCut: onCut('listen'),
    // Fastify answers its own requests: their connections are cut instead.
    refuse: (response, error) =>
      Intake.isFor(response.req)
        ? void sendFailure(response, error, () => {})
        : void response.req.socket.destroy(),
  })
}

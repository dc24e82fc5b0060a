/**
 * What load balancers and Prometheus ask where the private side speaks TLS, or must not be reached
 * by them (`--health`): five paths over plain HTTP, without a secret.
 *
 * Anyone may connect, so it answers nothing else, reads no body, and tells neither addresses nor
 * ids but for the labels of the metrics.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { asWalcastError, listenError, messageOf, WalcastError } from '../errors.ts'
import type { HostPort } from '../hostPort.ts'
import { createHttpServer } from '../platform/sockets.ts'
import { errorBody, sendFailure } from '../proxy/answer.ts'
import type { ConnectionBudget, ConnectionLimits, Cut } from '../proxy/connectionBudget.ts'
import { HEALTH_CONNECTIONS } from '../proxy/openFiles.ts'
import { counted, fewConnections } from './countedRequests.ts'
import { fastify } from './fastify.ts'
import { addHealthRoutes, type HealthParts } from './healthRoutes.ts'
import { NO_SCHEMAS } from './noSchemas.ts'
import { HEALTH_PATHS, isRoleQuestion } from './publicPaths.ts'

/** A question is short, and comes at once. */
const MAX_HEAD_BYTES = 8 * 1024
const HEAD_MS = 5000
const LATE_LOOK_MS = 1000
/** Longer than Prometheus and load balancers pause between two questions. */
const KEEP_ALIVE_MS = 120_000
const METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD'])

export interface HealthServerOptions extends HealthParts, HostPort {
  readonly limits: ConnectionLimits
  readonly log: Logger
  isStopping(): boolean
  /** The application may have asked for this node's role. */
  onRoleAsked(remoteAddress: string): void
  onCut(why: Cut): void
}

export class HealthServer {
  readonly #options: HealthServerOptions
  readonly #connections: ConnectionBudget
  readonly #app: FastifyInstance

  constructor(options: HealthServerOptions) {
    this.#options = options
    const { limits, log, onCut, isStopping } = options
    // Balancers are few, and may share an address with everything behind one NAT.
    this.#connections = fewConnections(limits, HEALTH_CONNECTIONS, onCut)
    this.#app = fastify({
      logger: false,
      forceCloseConnections: true,
      schemaController: NO_SCHEMAS,
      serverFactory: (handler) => this.#newServer(handler),
    })
    this.#app.setErrorHandler((error: unknown, _request, reply) => {
      log.error({ error: messageOf(error) }, 'a health check failed')
      const known = asWalcastError(error)
      return reply.code(known.status).send(errorBody(known))
    })
    addHealthRoutes(this.#app, options, isStopping, 'role')
  }

  /** Throws PORT_TAKEN or LISTEN_FAILED. */
  async listen(): Promise<void> {
    const { host, port } = this.#options
    try {
      await this.#app.listen({ host, port })
    } catch (error) {
      throw listenError('--health', `${host}:${port}`, error)
    }
  }

  close(): Promise<void> {
    return this.#app.close()
  }

  #newServer(handler: (request: IncomingMessage, response: ServerResponse) => void) {
    const connections = this.#connections
    const server = createHttpServer(
      {
        requestTimeout: HEAD_MS,
        headersTimeout: HEAD_MS,
        connectionsCheckingInterval: LATE_LOOK_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: MAX_HEAD_BYTES,
      },
      counted(connections, (request, response) => this.#answer(request, response, handler)),
    )
    connections.attach(server)
    return server
  }

  /** The router never sees what is not one of the five questions. */
  #answer(
    request: IncomingMessage,
    response: ServerResponse,
    handler: (request: IncomingMessage, response: ServerResponse) => void,
  ): void {
    const [path] = (request.url ?? '').split('?', 1)
    if (!METHODS.has(request.method) || !HEALTH_PATHS.has(path))
      return void sendFailure(response, new WalcastError('NOT_FOUND', { path }), () => {})
    if (this.#options.isStopping()) response.shouldKeepAlive = false
    if (isRoleQuestion(path, request.headers))
      this.#options.onRoleAsked(request.socket.remoteAddress ?? '')
    handler(request, response)
  }
}

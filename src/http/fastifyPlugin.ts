/**
 * `walcast/fastify`: an embedded application on a leader or a replica. On a replica, routes that write are forwarded to
 * the leader before their handlers run; reads are answered here, once this node has what the client has seen.
 */
import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  RouteHandlerMethod,
  RouteOptions,
} from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { formatPosition, type Position } from '../../proto/position.ts'
import { asWalcastError, systemCode, WalcastError } from '../errors.ts'
import { retryAfterOf, sendError } from './answer.ts'
import { Client } from './client.ts'
import { isShared } from './delivery.ts'
import { headerOf, POSITION_HEADER, STALE_HEADER, VIA_HEADER } from './headers.ts'
import { type NodeTraffic, type PluginNode, TRAFFIC } from './pluginNode.ts'
import type { ReplayableBody } from './replayableBody.ts'
import { isRead, isUnderAny, Routes } from './routes.ts'

export interface WalcastPluginOptions {
  readonly node: PluginNode
  /** Handles of better-sqlite3 that are `query_only` while the node does not lead. They stay the caller's. */
  readonly handles?: readonly object[]
  /** URL at which this application is reached from this machine, when it is not the address that it listens on. */
  readonly upstream?: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The node beside this application: its role, position, waits. */
    readonly walcast: PluginNode
  }
  interface FastifyRequest {
    /** The position that the client brought, in a header or a cookie. */
    readonly position: Position | undefined
  }
  interface FastifyContextConfig {
    /** Where this route runs on a replica; without it GET, HEAD and OPTIONS run here and others on the leader. */
    readonly walcast?: 'leader' | 'local'
  }
}

/** What the plugin knows of a request that runs on a replica. */
interface Running {
  readonly client: Client
  body: ReplayableBody | undefined
}

const plugin: FastifyPluginAsync<WalcastPluginOptions> = async (app, options) => {
  const { node } = options
  const traffic = node[TRAFFIC]
  const running = new WeakMap<FastifyRequest, Running>()
  for (const handle of options.handles ?? []) node.adopt(handle)
  app.decorate('walcast', { getter: () => node })
  app.decorateRequest('position', {
    getter(this: FastifyRequest) {
      return traffic.consistency.carried(this.raw)
    },
  })
  attachOnListen(app, traffic, options.upstream)
  closeConnectionsOnClose(app)
  app.addHook('onRoute', (route) => replayFailedWrites(route, traffic, running))
  app.addHook('onRequest', (request, reply) => admit(request, reply, node, traffic, running))
  app.addHook('preParsing', async (request, _reply, payload) => {
    const local = running.get(request)
    if (!local) return payload
    local.body = traffic.bodies.of(local.client)
    return local.body?.stream() ?? payload
  })
  app.addHook('onSend', async (request, reply) => addPosition(request, reply, traffic))
}

export const walcast = fastifyPlugin(plugin, { fastify: '5.x', name: 'walcast' })
export default walcast

/** Decides before anything of the route runs. */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  node: PluginNode,
  traffic: NodeTraffic,
  running: WeakMap<FastifyRequest, Running>,
): Promise<void> {
  const { role } = node
  if (role === 'leader') return
  if (role === 'standby' && !isServedByStandby(request, traffic)) return refuseAsStandby(reply, traffic)
  const client = new Client(request.raw, reply.raw)
  if (routeOf(request, traffic) === 'forward') return forward(reply, client, traffic, undefined)
  running.set(request, { client, body: undefined })
  const { replicaSide, consistency } = traffic
  const wanted = consistency.lacking(request.raw)
  if (!wanted || !replicaSide) return
  const verdict = await replicaSide.settle(wanted)
  if (verdict === 'forward') return forward(reply, client, traffic, undefined)
  if (verdict) reply.header(STALE_HEADER, verdict.stale)
}

function routeOf(request: FastifyRequest, traffic: NodeTraffic): 'forward' | 'local' {
  const { walcast } = request.routeOptions.config
  if (walcast) return walcast === 'leader' ? 'forward' : 'local'
  if (request.is404) return 'local'
  return new Routes(traffic.rules).routeOf(request.method, request.raw.url ?? '/') === 'forward'
    ? 'forward'
    : 'local'
}

function isServedByStandby(request: FastifyRequest, { rules }: NodeTraffic): boolean {
  const url = request.raw.url ?? '/'
  return new Routes(rules).routeOf('GET', url) === 'own' || isUnderAny(url, rules.standbyPaths)
}

function refuseAsStandby(reply: FastifyReply, { primaryUrl }: NodeTraffic): void {
  const error = new WalcastError('STANDBY', { leader: primaryUrl })
  reply
    .code(error.status)
    .headers(retryAfterOf(error))
    .send({ detail: error.message, primary_url: primaryUrl, code: error.code })
}

/** Answers from the leader, past Fastify. */
async function forward(
  reply: FastifyReply,
  client: Client,
  { replicaSide, onFailure }: NodeTraffic,
  body: ReplayableBody | undefined,
): Promise<void> {
  reply.hijack()
  try {
    if (!replicaSide) throw new WalcastError('STARTING')
    await (body ? replicaSide.replay(client, body) : replicaSide.forward(client))
  } catch (error) {
    const known = asWalcastError(error)
    if (known.key === 'INTERNAL') onFailure(known)
    sendError(client.response, known, retryAfterOf(known))
  }
}

/** A handler that finds out that it writes, on a replica: the leader runs it instead, if nothing was answered yet. */
function replayFailedWrites(
  route: RouteOptions,
  traffic: NodeTraffic,
  running: WeakMap<FastifyRequest, Running>,
): void {
  const handler = route.handler
  const recover = (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const local = running.get(request)
    const isOurs = /^SQLITE_(BUSY|READONLY)/.test(systemCode(error))
    if (!local || !isOurs || reply.sent || local.body?.canReplay === false) throw error
    return forward(reply, local.client, traffic, local.body)
  }
  route.handler = function (this: FastifyInstance, request, reply) {
    let result: unknown
    try {
      result = handler.call(this, request, reply)
    } catch (error) {
      return recover(error, request, reply)
    }
    if (!isPromise(result)) return result
    return result.catch((error: unknown) => recover(error, request, reply))
  } as RouteHandlerMethod
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise
}

/** Of an answer made here. What another node forwarded is completed by the intake. */
async function addPosition(
  request: FastifyRequest,
  reply: FastifyReply,
  traffic: NodeTraffic,
): Promise<void> {
  const { view, cookie } = traffic
  if (view.role() === 'standby' || headerOf(request.raw, VIA_HEADER) !== undefined) return
  let position: Position
  try {
    position = await view.settle()
  } catch (error) {
    request.log.warn({ err: error }, 'the WAL could not be read: an answer bears no position')
    return
  }
  if (position.epoch === 0) return
  reply.header(POSITION_HEADER, formatPosition(position))
  const carried = cookie.read(request.headers.cookie)
  const isNews = carried?.epoch !== position.epoch || carried.txid !== position.txid
  if (isRead(request.method) && (!isNews || isShared(String(reply.getHeader('cache-control') ?? '')))) return
  const value = cookie.write(position)
  if (value !== undefined) reply.header('set-cookie', value)
}

/** Forwarded requests come to where the application listens. */
function attachOnListen(app: FastifyInstance, traffic: NodeTraffic, upstream: string | undefined): void {
  if (upstream !== undefined) traffic.attach(new URL(upstream).origin)
  app.addHook('onListen', async () => {
    if (traffic.upstream !== undefined) return
    const address = app.server.address()
    if (address === null || typeof address === 'string') {
      app.log.warn('walcast: give the plugin the option upstream, so that other nodes can forward requests')
      return
    }
    const { address: host, port, family } = address
    const isAny = host === '0.0.0.0' || host === '::'
    const name = isAny ? '127.0.0.1' : family === 'IPv6' ? `[${host}]` : host
    const scheme = app.initialConfig.https ? 'https' : 'http'
    traffic.attach(`${scheme}://${name}:${port}`)
  })
  app.addHook('preClose', () => traffic.detach())
}

/** Without it a busy keep-alive connection holds up `app.close()`. */
function closeConnectionsOnClose(app: FastifyInstance): void {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close')
  })
}

/**
 * `walcast/fastify`: an embedded application on a leader or a replica. On a replica, routes that
 * write are forwarded to the leader before their handlers run; reads are answered here, once this
 * node has what the client has seen.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { formatPosition, type Position } from '../../proto/position.ts'
import { systemCode, WalcastError } from '../errors.ts'
import type { AckLevel } from '../feed/ackLevel.ts'
import { retryAfterOf, sendFailure, standbyAnswer } from '../proxy/answer.ts'
import { Client, isSending } from '../proxy/client.ts'
import { fromClient, headerOf, POSITION_HEADER, STALE_HEADER } from '../proxy/headers.ts'
import { type NodeTraffic, type PluginNode, TRAFFIC } from '../proxy/pluginNode.ts'
import { securedFor } from '../proxy/positionCookie.ts'
import type { ReplayableBody } from '../proxy/replayableBody.ts'
import { isRead, isUnderAny } from '../proxy/routes.ts'

export interface WalcastPluginOptions {
  readonly node: PluginNode
  /**
   * Handles of better-sqlite3 that are `query_only` while the node does not lead. They stay the
   * caller's.
   */
  readonly handles?: readonly object[]
  /**
   * URL at which this application is reached from this machine, when it is not the address that it
   * listens on.
   */
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
    /**
     * Where this route runs on a replica; without it GET, HEAD and OPTIONS run here and others on
     * the leader.
     */
    readonly walcast?: 'leader' | 'local'
  }
}

/** What belongs to one application. */
interface Parts {
  readonly node: PluginNode
  readonly traffic: NodeTraffic
  readonly running: WeakMap<FastifyRequest, Running>
  /**
   * Requests that this node passed on: the intake or the public side let them in, and completes
   * their answers.
   */
  readonly passed: WeakSet<FastifyRequest>
  /** Of clients' requests that run on the leader. */
  readonly led: WeakMap<FastifyRequest, Led>
  /** Of requests that are answered past Fastify now. */
  readonly forwarding: Set<ServerResponse>
}

/** What the plugin knows of a request that runs on the leader. */
interface Led {
  readonly incarnation: string
  /** What its answer waits for. */
  readonly level: AckLevel | undefined
}

/** What the plugin knows of a request that runs on a replica. */
interface Running {
  readonly client: Client
  body: ReplayableBody | undefined
  /** Somebody else reads the body, or the answer has begun: it is too late for the leader. */
  mustEndHere: boolean
}

const MAX_CAUSES = 4

const plugin: FastifyPluginAsync<WalcastPluginOptions> = async (app, options) => {
  const { node } = options
  if (!node?.[TRAFFIC])
    throw new WalcastError('USAGE', {
      detail: 'the option node is to be what openLeader or openReplica gave',
    })
  const traffic = node[TRAFFIC]
  const running = new WeakMap<FastifyRequest, Running>()
  const led: Parts['led'] = new WeakMap()
  const forwarding = new Set<ServerResponse>()
  const passed: Parts['passed'] = new WeakSet()
  const parts: Parts = { node, traffic, running, passed, led, forwarding }
  traffic.passes.use()
  for (const handle of options.handles ?? []) node.adopt(handle)
  app.decorate('walcast', { getter: () => node })
  app.decorateRequest('position', {
    getter(this: FastifyRequest) {
      return traffic.consistency.carried(this.raw)
    },
  })
  attachOnListen(app, traffic, options.upstream)
  closeConnectionsOnClose(app, forwarding)
  app.addHook('onRoute', ({ url, config }) => refuseUnknownPlace(url, config?.walcast))
  app.addHook('onRequest', (request, reply) => admit(request, reply, parts))
  app.addHook('preParsing', async (request, _reply, payload) => {
    const local = running.get(request)
    if (!local?.client.hasBody) return payload
    local.mustEndHere = payload !== request.raw
    if (local.mustEndHere) return payload
    local.body = traffic.bodies.of(local.client)
    return local.body?.stream() ?? payload
  })
  app.addHook('onError', (request, reply, error, done) => {
    const local = running.get(request)
    if (!local || !isRefusedWrite(error) || !canReplay(local, request, reply)) return done()
    // Fastify's part is over: `done` would have it answer the error.
    void forward(reply, local.client, parts, { body: local.body })
  })
  app.addHook('preSerialization', (request, _reply, payload, done) => {
    markAnswered(running.get(request))
    done(null, payload)
  })
  app.addHook('onSend', (request, reply, _payload, done) => {
    markAnswered(running.get(request))
    addPosition(request, reply, parts, done)
  })
}

export const walcast = fastifyPlugin(plugin, { fastify: '5.x', name: 'walcast' })
export default walcast

/**
 * Decides before anything of the route runs. The role may change while a request waits: it is
 * decided anew then.
 */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: Parts,
): Promise<FastifyReply | undefined> {
  const { node, traffic, running, passed } = parts
  const client = new Client(request.raw, reply.raw, traffic.originOf(request.raw))
  if (traffic.passes.take(request.raw)) passed.add(request)
  while (node.role === 'leader') {
    const verdict = await admitToLeader(request, reply, client, parts)
    if (verdict === 'moved') continue
    return verdict === 'run' ? undefined : verdict.value
  }
  if (node.role === 'standby' && !isServedByStandby(request, traffic))
    return refuseAsStandby(reply, traffic)
  if (routeOf(request, traffic) === 'forward') return forward(reply, client, parts)
  running.set(request, { client, body: undefined, mustEndHere: false })
  try {
    const wanted = traffic.consistency.lacking(request.raw)
    const verdict = wanted && (await traffic.replicaSide.settle(wanted, client))
    if (verdict === 'forward') return forward(reply, client, parts)
    if (verdict) reply.header(STALE_HEADER, verdict.stale)
    return undefined
  } catch (error) {
    reply.headers(retryAfterOf(error))
    throw traffic.asTold(error)
  }
}

/** A write that this node passed on was let in where it came from, and counted. */
async function admitToLeader(
  request: FastifyRequest,
  reply: FastifyReply,
  client: Client,
  parts: Parts,
): Promise<'run' | 'moved' | { readonly value: undefined }> {
  const { node, traffic } = parts
  const isPassed = parts.passed.has(request)
  const later = isPassed ? undefined : traffic.consistency.laterEpoch(request.raw)
  if (later !== undefined) await traffic.onLaterPosition(later)
  if (node.role !== 'leader') return 'moved'
  const isKeyed = isToBeRemembered(request, parts)
  if (!isKeyed) noteLeadership(request, parts)
  const isWrite = !isRead(request.method) || routeOf(request, traffic) === 'forward'
  if (!isWrite || isPassed) return 'run'
  while (traffic.admission.refuse()) {
    if (await waitToWrite(client, reply, traffic)) continue
    if (!client.isGone) return 'moved'
    reply.hijack()
    return { value: undefined }
  }
  if (isKeyed) return { value: await executeKeyed(client, reply, parts) }
  // An upgraded connection lasts as long as its client likes: no change of role waits for it.
  if (request.raw.headers.upgrade !== undefined && isRead(request.method)) return 'run'
  const { raw } = reply
  raw.once(
    'close',
    traffic.admission.begin(() => isSending(request.raw) || raw.writableEnded),
  )
  return 'run'
}

/**
 * False when this node leads no more, or the client has gone. Throws LEADER_AWAY, LEADER_ALONE or
 * TOO_MANY_HELD.
 */
async function waitToWrite(
  client: Client,
  reply: FastifyReply,
  traffic: NodeTraffic,
): Promise<boolean> {
  try {
    return await traffic.admission.admit(client)
  } catch (error) {
    reply.headers(retryAfterOf(error))
    throw traffic.asTold(error)
  }
}

function routeOf(request: FastifyRequest, traffic: NodeTraffic): 'forward' | 'local' {
  const { walcast } = request.routeOptions.config
  if (walcast) return walcast === 'leader' ? 'forward' : 'local'
  if (request.is404) return 'local'
  return traffic.routes.routeOf(request.method, request.raw.url ?? '/') === 'forward'
    ? 'forward'
    : 'local'
}

function isServedByStandby(
  request: FastifyRequest,
  { routes, standbyPaths }: NodeTraffic,
): boolean {
  const url = request.raw.url ?? '/'
  return routes.routeOf('GET', url) === 'own' || isUnderAny(url, standbyPaths)
}

/** Given back to Fastify, which then runs nothing more. */
function refuseAsStandby(reply: FastifyReply, { primaryUrl }: NodeTraffic): FastifyReply {
  const { status, headers, body } = standbyAnswer(primaryUrl)
  return reply.code(status).headers(headers).send(body)
}

/** Answers from the leader, past Fastify. */
function forward(
  reply: FastifyReply,
  client: Client,
  parts: Parts,
  replay?: { readonly body: ReplayableBody | undefined },
): Promise<undefined> {
  const { replicaSide, leaderSide } = parts.traffic
  return answerPast(reply, client, parts, async () => {
    for (;;) {
      const outcome = await (replay
        ? replicaSide.replay(client, replay.body)
        : replicaSide.forward(client))
      if (outcome === 'answered' || client.isGone) return
      // It waited until this node itself came to lead: it comes back to this application as a
      // forwarded request does.
      if (await takesWrites(client, parts.traffic))
        return leaderSide.execute(client, fromClient(client.request, client.origin), false, true)
    }
  })
}

/**
 * Waits until this node, which leads, takes writes; false when it leads no more. Throws
 * LEADER_AWAY, LEADER_ALONE or TOO_MANY_HELD.
 */
async function takesWrites(client: Client, { admission, view }: NodeTraffic): Promise<boolean> {
  // From the last look at it on nothing waits: whoever looks for writes inside finds this one.
  while (admission.refuse()) if (!(await admission.admit(client))) return false
  return view.role() === 'leader'
}

/**
 * A write with an Idempotency-Key of the leader's own client: what was answered to the key is
 * remembered for all nodes in one place.
 */
function isToBeRemembered(request: FastifyRequest, { traffic, passed }: Parts): boolean {
  const { raw, method } = request
  const isNew = !isRead(method) && !passed.has(request) && !request.is404
  return isNew && !!headerOf(raw, 'idempotency-key') && traffic.leaderSide.canExecute
}

/**
 * Of a client's own request; what another node forwarded waits at the intake. Throws BAD_REQUEST.
 */
function noteLeadership(request: FastifyRequest, { traffic, led, passed }: Parts): undefined {
  if (passed.has(request)) return
  const level = traffic.acks.levelFor(request.raw, !isRead(request.method))
  led.set(request, { incarnation: traffic.view.incarnation(), level })
}

/** Comes back to this application as a forwarded request does. */
function executeKeyed(client: Client, reply: FastifyReply, parts: Parts): Promise<undefined> {
  const headers = fromClient(client.request, client.origin)
  return answerPast(reply, client, parts, () =>
    parts.traffic.leaderSide.execute(client, headers, false),
  )
}

async function answerPast(
  reply: FastifyReply,
  client: Client,
  { traffic, forwarding }: Parts,
  answer: () => Promise<void>,
): Promise<undefined> {
  reply.hijack()
  forwarding.add(reply.raw)
  reply.raw.once('close', () => forwarding.delete(reply.raw))
  try {
    await answer()
  } catch (error) {
    sendFailure(
      client.response,
      error,
      (unforeseen) => traffic.onFailure(unforeseen),
      (known) => traffic.bodyOf(known),
    )
  }
}

/** Whether SQLite refused a write, also below what a query builder made of it. */
function isRefusedWrite(error: unknown): boolean {
  for (
    let cause = error, depth = 0;
    cause instanceof Error && depth < MAX_CAUSES;
    cause = cause.cause, depth++
  )
    if (/^SQLITE_(BUSY|READONLY)/.test(systemCode(cause))) return true
  return false
}

/**
 * Whether the leader can run the request instead: nothing was answered and its body can be sent
 * from the beginning.
 */
function canReplay(
  { client, body, mustEndHere }: Running,
  { raw }: FastifyRequest,
  reply: FastifyReply,
): boolean {
  if (mustEndHere || reply.sent || reply.raw.headersSent) return false
  return body ? body.canReplay : !client.hasBody || !raw.readableDidRead
}

function markAnswered(local: Running | undefined): void {
  if (local) local.mustEndHere = true
}

/** A slip of the pen must not run writes here. */
function refuseUnknownPlace(url: string, place: unknown): void {
  if (place === undefined || place === 'leader' || place === 'local') return
  throw new WalcastError('USAGE', {
    detail: `the route ${url} has walcast: ${JSON.stringify(place)}, which is neither "leader" nor "local"`,
  })
}

/** Of an answer to a client. What this node passed on is completed where it came from. */
function addPosition(
  request: FastifyRequest,
  reply: FastifyReply,
  { traffic, led, passed }: Parts,
  done: () => void,
): void {
  const { view, acks } = traffic
  const began = led.get(request)
  // What was written in a leadership that ended meanwhile may be lost: no later position contains
  // it then.
  const mayBeLost = () => began !== undefined && !view.lasted(began.incarnation)
  const role = view.role()
  if (role === 'standby' || passed.has(request)) return done()
  // At once where nothing is to be waited for: what a handler throws after its answer then comes
  // too late to change it.
  if (role === 'replica' && !mayBeLost()) {
    writePosition(request, reply, traffic, view.position())
    return done()
  }
  const level = began?.level
  const end = async (position: Position | undefined) => {
    if (level) reply.headers(await acks.headersFor(position, level))
    done()
  }
  view.settle().then(
    (settled) => {
      const position = mayBeLost() ? undefined : settled
      if (position) writePosition(request, reply, traffic, position)
      else reply.header(STALE_HEADER, 'unknown')
      return level ? end(position) : done()
    },
    (error: unknown) => {
      request.log.warn({ err: error }, 'the WAL could not be read: an answer bears no position')
      return level ? end(undefined) : done()
    },
  )
}

function writePosition(
  request: FastifyRequest,
  reply: FastifyReply,
  { cookie, originOf }: NodeTraffic,
  position: Position,
): void {
  if (position.epoch === 0) return
  reply.header(POSITION_HEADER, formatPosition(position))
  const cacheControl = String(reply.getHeader('cache-control') ?? '')
  const isWrite = !isRead(request.method)
  const isStale = reply.hasHeader(STALE_HEADER)
  const value = cookie.renewal(position, request.headers.cookie, { isWrite, isStale, cacheControl })
  if (value !== undefined) reply.header('set-cookie', securedFor(originOf(request.raw), value))
}

/** Forwarded requests come to where the application listens. */
function attachOnListen(
  app: FastifyInstance,
  traffic: NodeTraffic,
  upstream: string | undefined,
): void {
  if (upstream !== undefined) traffic.attach(new URL(upstream).origin)
  app.addHook('onListen', async () => {
    if (traffic.upstream !== undefined) return traffic.attach(traffic.upstream)
    const address = app.server.address()
    if (address === null || typeof address === 'string') {
      app.log.warn(
        'walcast: give the plugin the option upstream, so that other nodes can forward requests',
      )
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
function closeConnectionsOnClose(app: FastifyInstance, forwarding: Iterable<ServerResponse>): void {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
    for (const response of forwarding) endConnection(response)
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done()
  })
}

/** After its answer, also when that has begun. */
function endConnection(response: ServerResponse): void {
  const { socket } = response
  response.shouldKeepAlive = false
  response.once('finish', () => socket?.end())
}

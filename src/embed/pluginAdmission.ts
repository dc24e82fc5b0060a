/**
 * Decides where a request is answered, before anything of its route runs: here, at the leader, or
 * not at all on a standby. A leader counts its writes, and holds them during a change of role.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { WalcastError } from '../errors.ts'
import { retryAfterOf, standbyAnswer } from '../proxy/answer.ts'
import { Client, isSending } from '../proxy/client.ts'
import { headerOf, STALE_HEADER } from '../proxy/headers.ts'
import type { NodeTraffic } from '../proxy/pluginNode.ts'
import { isRead, isUnderAny } from '../proxy/routes.ts'
import { executeKeyed, forward } from './pluginForwarding.ts'
import type { PluginState } from './pluginState.ts'

/** The role may change while a request waits: it is then decided anew. */
export async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  state: PluginState,
): Promise<FastifyReply | undefined> {
  const { node, traffic, running, passed } = state
  const client = new Client(request.raw, reply.raw, traffic.originOf(request.raw))
  if (traffic.passes.take(request.raw)) passed.add(request)
  while (node.role === 'leader') {
    const verdict = await admitToLeader(request, reply, client, state)
    if (verdict === 'moved') continue
    return verdict === 'run' ? undefined : verdict.value
  }
  if (node.role === 'standby' && !isServedByStandby(request, traffic))
    return refuseAsStandby(reply, traffic)
  if (routeOf(request, traffic) === 'forward') return forward(reply, client, state)
  running.set(request, { client, body: undefined, mustEndHere: false })
  try {
    const wanted = traffic.consistency.lacking(request.raw)
    const verdict = wanted && (await traffic.replicaSide.settle(wanted, client))
    if (verdict === 'forward') return forward(reply, client, state)
    if (verdict) reply.header(STALE_HEADER, verdict.stale)
    return undefined
  } catch (error) {
    reply.headers(retryAfterOf(error))
    throw traffic.asTold(error)
  }
}

/** This node's own side has admitted and counted a write that it passed on. */
async function admitToLeader(
  request: FastifyRequest,
  reply: FastifyReply,
  client: Client,
  state: PluginState,
): Promise<'run' | 'moved' | { readonly value: undefined }> {
  const { node, traffic } = state
  const isPassed = state.passed.has(request)
  const later = isPassed ? undefined : traffic.consistency.laterEpoch(request.raw)
  if (later !== undefined) await traffic.onLaterPosition(later)
  if (node.role !== 'leader') return 'moved'
  const isKeyed = isToBeRemembered(request, state)
  if (!isKeyed) noteLeadership(request, state)
  const isWrite = !isRead(request.method) || routeOf(request, traffic) === 'forward'
  if (!isWrite || isPassed) return 'run'
  while (traffic.admission.refuse()) {
    if (await waitToWrite(client, reply, traffic)) continue
    if (!client.isGone) return 'moved'
    reply.hijack()
    return { value: undefined }
  }
  if (isKeyed) return { value: await executeKeyed(client, reply, state) }
  // An upgraded connection lasts as long as its client likes, so no change of role waits for it.
  if (request.raw.headers.upgrade !== undefined && isRead(request.method)) return 'run'
  const { raw } = reply
  raw.once(
    'close',
    traffic.admission.begin(() => isSending(request.raw) || raw.writableEnded),
  )
  return 'run'
}

/**
 * False when this node is no longer the leader, or the client has left. Throws LEADER_AWAY,
 * LEADER_ALONE or TOO_MANY_HELD.
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

/** Returned to Fastify, which then runs nothing more. */
function refuseAsStandby(reply: FastifyReply, { primaryUrl }: NodeTraffic): FastifyReply {
  const { status, headers, body } = standbyAnswer(primaryUrl)
  return reply.code(status).headers(headers).send(body)
}

/**
 * A write with an Idempotency-Key of the leader's own client. One store remembers the answers to
 * keys for all nodes.
 */
function isToBeRemembered(request: FastifyRequest, { traffic, passed }: PluginState): boolean {
  const { raw, method } = request
  const isNew = !isRead(method) && !passed.has(request) && !request.is404
  return isNew && !!headerOf(raw, 'idempotency-key') && traffic.leaderSide.canExecute
}

/**
 * For a client's own request; what another node forwarded waits at the intake. Throws BAD_REQUEST.
 */
function noteLeadership(request: FastifyRequest, { traffic, led, passed }: PluginState): undefined {
  if (passed.has(request)) return
  const level = traffic.acks.levelFor(request.raw, !isRead(request.method))
  led.set(request, { incarnation: traffic.view.incarnation(), level })
}

/** A typing error must not make a replica run writes. */
export function refuseUnknownPlace(url: string, place: unknown): void {
  if (place === undefined || place === 'leader' || place === 'local') return
  throw new WalcastError('USAGE', {
    detail: `the route ${url} has walcast: ${JSON.stringify(place)}, not "leader" or "local"`,
  })
}

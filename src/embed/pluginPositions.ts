/**
 * Tells a client the position that its answer is based on, in a header and a cookie, and which
 * replicas hold what it wrote.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { formatPosition, type Position } from '../../proto/position.ts'
import { POSITION_HEADER, STALE_HEADER } from '../proxy/headers.ts'
import type { NodeTraffic } from '../proxy/pluginNode.ts'
import { securedFor } from '../proxy/positionCookie.ts'
import { isRead } from '../proxy/routes.ts'
import type { PluginState } from './pluginState.ts'

/** For an answer to a client. The side that passed a request on completes its answer. */
export function addPosition(
  request: FastifyRequest,
  reply: FastifyReply,
  { traffic, led, passed }: PluginState,
  done: () => void,
): void {
  const { view, acks } = traffic
  const began = led.get(request)
  // If the leadership ended meanwhile, the write may be lost: no later position contains it then.
  const mayBeLost = () => began !== undefined && !view.lasted(began.incarnation)
  const role = view.role()
  if (role === 'standby' || passed.has(request)) return done()
  // At once if nothing has to be waited for: what a handler throws after its answer then comes too
  // late to change it.
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
      request.log.warn({ err: error }, 'the WAL could not be read; an answer carries no position')
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

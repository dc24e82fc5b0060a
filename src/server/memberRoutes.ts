/** Routes of `walcast rotate-secret`, `rotate-key`, `remove`, `leave`, and what nodes ask then. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  DEPARTURE_PATH,
  LEAVE_PATH,
  MAX_OVERLAP_MS,
  MEMBERS_PATH,
  type MembershipDesk,
  MIN_OVERLAP_MS,
  REWRAP_PATH,
  ROTATE_KEY_PATH,
  ROTATE_SECRET_PATH,
} from '../api/membership.ts'
import { isNodeId } from '../nodeId.ts'
import { headerOf } from '../proxy/headers.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'
import {
  badRequest,
  countOf,
  flagOf,
  type Given,
  orderIn,
  type Place,
  textOf,
} from './requestFields.ts'

export function addMemberRoutes(
  app: FastifyInstance,
  desk: MembershipDesk,
  placeOf: (request: FastifyRequest) => Place,
): void {
  const asked = (request: FastifyRequest) => orderIn(request, placeOf)
  app.post(ROTATE_SECRET_PATH, async (request) => {
    const { given, by } = asked(request)
    return desk.rotateSecret({ overlapMs: overlapIn(given), force: flagOf(given, 'force') }, by)
  })
  app.post(ROTATE_KEY_PATH, async (request) => {
    const { given, by } = asked(request)
    return desk.rotateKey({ force: flagOf(given, 'force') }, by)
  })
  app.delete(MEMBERS_PATH, async (request) => {
    const { given, by } = asked(request)
    const node = textOf(given, 'node') ?? ''
    if (!isNodeId(node)) throw badRequest('node is not the id of a node')
    return desk.remove({ node, force: flagOf(given, 'force') }, by)
  })
  app.post(LEAVE_PATH, async (request, reply) => {
    const { given, by } = asked(request)
    const left = await desk.leave({ force: flagOf(given, 'force') }, by)
    // Who asked may be gone by now, and no other close follows.
    if (reply.raw.destroyed) desk.end()
    else reply.raw.once('close', () => desk.end())
    return left
  })
  app.post(DEPARTURE_PATH, async (request) => {
    const { by } = asked(request)
    await desk.depart(senderIn(request), by)
    return {}
  })
  app.post(REWRAP_PATH, async (request) => {
    const { given, by } = asked(request)
    return { wrapped: await desk.rewrap(textOf(given, 'id') ?? '', by) }
  })
}

/** Throws BAD_REQUEST. */
function overlapIn(given: Given): number {
  const overlapMs = countOf(given, 'overlapMs')
  if (overlapMs !== undefined && overlapMs >= MIN_OVERLAP_MS && overlapMs <= MAX_OVERLAP_MS)
    return overlapMs
  throw badRequest('overlapMs is not from 5 minutes to 30 days')
}

/** Throws BAD_REQUEST: over the control socket nobody signs. */
function senderIn(request: FastifyRequest): string {
  const sender = senderOf(headerOf(request.raw, REPLICA_AUTH_HEADER))
  if (!sender) throw badRequest('only a node leaves in its own name')
  return sender.node
}

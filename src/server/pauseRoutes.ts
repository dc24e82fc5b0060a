/** `POST` and `DELETE /_walcast/pause`. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  MAX_PAUSE_MS,
  MAX_REASON_CHARS,
  MIN_PAUSE_MS,
  PAUSE_PATH,
  type PauseDesk,
} from '../api/rolePause.ts'
import { badRequest, countOf, type Given, orderIn, type Place, textOf } from './requestFields.ts'

export function addPauseRoutes(
  app: FastifyInstance,
  desk: PauseDesk,
  placeOf: (request: FastifyRequest) => Place,
): void {
  app.post(PAUSE_PATH, async (request) => {
    const { given, by } = orderIn(request, placeOf)
    return desk.pause({ forMs: lengthIn(given), reason: reasonIn(given) }, by)
  })
  app.delete(PAUSE_PATH, async (request) => desk.resume(orderIn(request, placeOf).by))
}

/** Throws BAD_REQUEST. */
function lengthIn(given: Given): number {
  const forMs = countOf(given, 'forMs')
  if (forMs !== undefined && forMs >= MIN_PAUSE_MS && forMs <= MAX_PAUSE_MS) return forMs
  throw badRequest('forMs is not from 1 minute to 24 hours')
}

/** Throws BAD_REQUEST. */
function reasonIn(given: Given): string {
  const reason = textOf(given, 'reason') ?? ''
  if (reason.length <= MAX_REASON_CHARS) return reason
  const detail = `reason has more than ${MAX_REASON_CHARS} characters`
  throw badRequest(detail)
}

/** `GET`, `POST` and `DELETE /_walcast/tokens`. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  MAX_NOTE_CHARS,
  MAX_TOKEN_MS,
  TOKENS_PATH,
  type TokenDesk,
  type TokenRequest,
} from '../api/tokens.ts'
import { plainText } from '../plainText.ts'
import { isTokenId, TOKEN_ROLES } from '../security/token.ts'
import { badRequest, countOf, type Given, orderIn, type Place, textOf } from './requestFields.ts'

export function addTokenRoutes(
  app: FastifyInstance,
  desk: TokenDesk,
  placeOf: (request: FastifyRequest) => Place,
): void {
  app.get(TOKENS_PATH, async () => desk.list())
  app.post(TOKENS_PATH, async (request, reply) => {
    const { given, by } = orderIn(request, placeOf)
    const created = await desk.create(wantedIn(given), by)
    return reply.header('cache-control', 'no-store').send(created)
  })
  app.delete(TOKENS_PATH, async (request) => {
    const { given, by } = orderIn(request, placeOf)
    const id = textOf(given, 'id') ?? ''
    if (!isTokenId(id)) throw badRequest('id is not the id of a token')
    return desk.revoke(id, by)
  })
}

/** Throws BAD_REQUEST. */
function wantedIn(given: Given): TokenRequest {
  const role = TOKEN_ROLES.find((known) => known === given['role'])
  const note = textOf(given, 'note') ?? ''
  const expiresMs = countOf(given, 'expiresMs')
  if (!role) throw badRequest(`role is none of ${TOKEN_ROLES.join(', ')}`)
  if (note.length > MAX_NOTE_CHARS)
    throw badRequest(`note has more than ${MAX_NOTE_CHARS} characters`)
  if (expiresMs !== undefined && (expiresMs < 1 || expiresMs > MAX_TOKEN_MS))
    throw badRequest('expiresMs is not from 1 ms to 10 years')
  return { role, note: plainText(note, MAX_NOTE_CHARS), expiresMs }
}

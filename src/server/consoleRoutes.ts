/** The web console: its page, the session of whoever looks at it, and the stream that feeds it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  CONSOLE_EVENTS_PATH,
  CONSOLE_PATH,
  SESSION_PATH,
  type SessionAnswer,
} from '../api/consoleSession.ts'
import {
  ASSETS,
  type AssetName,
  Assets,
  BARE_CONSOLE_PATH,
  PAGE_HEADERS,
} from '../console/assets.ts'
import { WalcastError } from '../errors.ts'
import { headerOf } from '../proxy/headers.ts'
import type { Authenticator } from '../security/auth.ts'
import type { Access } from './access.ts'
import type { ConsoleEvents } from './consoleEvents.ts'
import type { HealthParts } from './healthRoutes.ts'
import { textOf } from './requestFields.ts'

/** A token and the names around it fit many times over. */
const MAX_LOGIN_BYTES = 1024

export interface ConsoleParts extends Pick<HealthParts, 'record'> {
  readonly consoleEvents: ConsoleEvents
  readonly auth: Pick<Authenticator, 'isOpen'>
}

type ConsoleAccess = Pick<Access, 'login' | 'logout' | 'sessionOf' | 'isStillIn'>

export function addConsoleRoutes(
  app: FastifyInstance,
  { consoleEvents, auth, record }: ConsoleParts,
  access: ConsoleAccess,
): void {
  const assets = new Assets()
  app.get(BARE_CONSOLE_PATH, (_request, reply) => reply.redirect(CONSOLE_PATH, 308))
  for (const [path, name] of ASSETS)
    app.get(path, (request, reply) => sendAsset(assets, name, request, reply))
  const answer = (reply: FastifyReply, session: SessionAnswer['session']): SessionAnswer => {
    void reply.header('cache-control', 'no-store')
    return { node: record().node, isOpen: auth.isOpen, session }
  }
  app.get(SESSION_PATH, async (request, reply) => answer(reply, access.sessionOf(request)))
  app.post(SESSION_PATH, { bodyLimit: MAX_LOGIN_BYTES }, async (request, reply) => {
    if (auth.isOpen) return answer(reply, access.sessionOf(request))
    const token = textOf(Object(request.body), 'token')
    if (token === undefined) throw new WalcastError('BAD_REQUEST', { detail: 'token is needed' })
    return answer(reply, await access.login(request, reply, token))
  })
  app.delete(SESSION_PATH, async (request, reply) => {
    access.logout(request, reply)
    return answer(reply, auth.isOpen ? access.sessionOf(request) : null)
  })
  app.get(CONSOLE_EVENTS_PATH, (request, reply) => {
    consoleEvents.add(reply.raw, () => access.isStillIn(request), access.sessionOf(request))
    reply.hijack()
  })
}

function sendAsset(assets: Assets, name: AssetName, request: FastifyRequest, reply: FastifyReply) {
  const { type, etag, encoding, bytes } = assets.get(name, headerOf(request.raw, 'accept-encoding'))
  void reply.headers({ ...PAGE_HEADERS, etag })
  if (headerOf(request.raw, 'if-none-match') === etag) return reply.code(304).send()
  if (encoding !== undefined) void reply.header('content-encoding', encoding)
  return reply.type(type).send(bytes)
}

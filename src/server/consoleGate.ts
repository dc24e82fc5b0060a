/** Who is at the console: the sessions behind the cookies of requests. */
import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ConsoleSession } from '../api/consoleSession.ts'
import {
  cookieIn,
  endedCookie,
  isOverTls,
  sessionCookie,
  sessionCookieName,
} from '../console/sessionCookie.ts'
import type { ConsoleSessions, SessionHolder } from '../console/sessions.ts'
import { headerOf } from '../proxy/headers.ts'
import type { TokenHolder } from '../security/tokenCheck.ts'

/** Whoever comes over the control socket, or to an open cluster. */
export const EVERYTHING: ConsoleSession = { role: 'admin', token: null, expires: null }

export class ConsoleGate {
  readonly #sessions: ConsoleSessions
  readonly #node: () => string

  /** `node`: id of this node. */
  constructor(sessions: ConsoleSessions, node: () => string) {
    this.#sessions = sessions
    this.#node = node
  }

  /** Whether a request carries a session, which may have ended. */
  hasCookie(request: IncomingMessage): boolean {
    return this.#textIn(request) !== undefined
  }

  /** Whose session a request carries; undefined when it has ended. */
  holderOf(request: IncomingMessage): SessionHolder | undefined {
    const text = this.#textIn(request)
    return text === undefined ? undefined : this.#sessions.use(text)
  }

  /** Begins a session, in place of the one that the request carries. */
  open(request: FastifyRequest, reply: FastifyReply, holder: TokenHolder): SessionHolder {
    const { raw } = request
    const before = this.#textIn(raw)
    if (before !== undefined) this.#sessions.end(before)
    const text = this.#sessions.open(holder)
    void reply.header('set-cookie', sessionCookie(this.#nameFor(raw), text, isOverTls(raw)))
    return this.#sessions.use(text) ?? { ...holder, endsAt: 0 }
  }

  end({ raw }: FastifyRequest, reply: FastifyReply): void {
    const text = this.#textIn(raw)
    if (text === undefined) return
    this.#sessions.end(text)
    void reply.header('set-cookie', endedCookie(this.#nameFor(raw), isOverTls(raw)))
  }

  #textIn(request: IncomingMessage): string | undefined {
    return cookieIn(headerOf(request, 'cookie'), this.#nameFor(request))
  }

  #nameFor(request: IncomingMessage): string {
    return sessionCookieName(this.#node(), isOverTls(request))
  }
}

/** `endsAt`: ms in the node's clock; undefined or Infinity: never by itself. */
export function sessionOf({ id, role }: TokenHolder, endsAt = Infinity): ConsoleSession {
  const expires = Number.isFinite(endsAt) ? new Date(endsAt).toISOString() : null
  return { role, token: id, expires }
}

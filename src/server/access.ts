/**
 * Who may ask the private side for what. Health, readiness, roles and metrics are open to everyone.
 * The rest needs a signature with a key of the cluster, or a token whose role is enough for it.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ConsoleSession, SESSION_PATH } from '../api/consoleSession.ts'
import { requireOwnPage } from '../console/ownPage.ts'
import { ConsoleSessions } from '../console/sessions.ts'
import { WalcastError } from '../errors.ts'
import { headerOf, VIA_HEADER } from '../proxy/headers.ts'
import { isRead, isReserved } from '../proxy/routes.ts'
import type { Authenticator } from '../security/auth.ts'
import {
  NO_BODY,
  parseSignature,
  REPLICA_AUTH_HEADER,
  sha256,
} from '../security/requestSignature.ts'
import type { TokenHolder } from '../security/tokenCheck.ts'
import { ConsoleGate, EVERYTHING, sessionOf } from './consoleGate.ts'
import { type Least, leastRole } from './leastRoles.ts'
import { isRoleQuestion } from './publicPaths.ts'
import type { Place } from './requestFields.ts'
import { TokenGate, type TokenGateParts } from './tokenGate.ts'

const THIS_MACHINE = '127.0.0.1'
const THIS_PLACE = 'this machine'
/** The least that shows anything at the console. */
const CONSOLE_ROLE = 'read'

export interface AccessOptions {
  readonly auth: Authenticator
  readonly tokens: TokenGateParts
  /** Id of this node. */
  node(): string
  nowMs(): number
  /** Whether the request came over the control socket: who may connect to that may do all. */
  isLocal(request: IncomingMessage): boolean
  /** Whether this node has an application that other nodes forward requests to. */
  hasApplication(): boolean
  /** The application may have asked for this node's role. */
  onRoleAsked(remoteAddress: string): void
}

export class Access {
  readonly #options: AccessOptions
  readonly #gate: TokenGate
  readonly #console: ConsoleGate
  /** Digests of the bodies of signed requests, as their signatures say. */
  readonly #bodies = new WeakMap<IncomingMessage, string>()
  /** Whose token let a request in. */
  readonly #holders = new WeakMap<IncomingMessage, TokenHolder>()
  /** Requests that a session of the console let in. */
  readonly #ofConsole = new WeakSet<IncomingMessage>()

  constructor(options: AccessOptions) {
    this.#options = options
    this.#gate = new TokenGate(options.tokens)
    const { nowMs, node, tokens } = options
    this.#console = new ConsoleGate(new ConsoleSessions({ check: tokens.check, nowMs }), node)
  }

  /**
   * Throws FOREIGN_PAGE, UNAUTHORIZED, TOO_MANY_ATTEMPTS, TOKEN_TOO_WEAK, WRONG_SECRET,
   * CLOCKS_DIFFER, WRONG_SENDER, SECRET_ENDS or FORWARD_REFUSED.
   */
  async require(request: FastifyRequest): Promise<void> {
    const { auth, onRoleAsked } = this.#options
    const isLocal = this.#options.isLocal(request.raw)
    if (!isLocal && !this.isForThisNode(request.raw)) throw new WalcastError('FOREIGN_PAGE')
    const path = pathOf(request)
    if (isRoleQuestion(path, request.headers)) onRoleAsked(isLocal ? THIS_MACHINE : request.ip)
    const route = request.routeOptions.url ?? path
    const least = leastRole(request.method, route)
    // Somebody may have forwarded the socket to a port, which web pages find.
    if (isLocal && least !== 'public' && !isNamedHere(request.raw))
      throw new WalcastError('FOREIGN_PAGE')
    // An application's pages get its own answer.
    if (!this.#isForApplication(request) && (least !== 'public' || !isRead(request.method)))
      requireOwnPage(request.raw, route === SESSION_PATH || this.#isOfConsole(request.raw))
    if (isLocal || auth.isOpen || least === 'public') return
    // Whoever has any token may learn that there is nothing at a path.
    const needed = least ?? (request.is404 ? 'metrics' : 'node')
    if (headerOf(request.raw, REPLICA_AUTH_HEADER) !== undefined)
      return this.#requireSigned(request, needed)
    if (this.#isForApplication(request)) throw noToken(request.raw)
    if (this.#isOfConsole(request.raw)) return this.#requireSession(request, needed)
    this.#holders.set(request.raw, await this.#gate.require(request, needed))
  }

  /**
   * Begins a session of the console for the holder of a token. Throws UNAUTHORIZED,
   * TOO_MANY_ATTEMPTS or TOKEN_TOO_WEAK.
   */
  async login(
    request: FastifyRequest,
    reply: FastifyReply,
    token: string,
  ): Promise<ConsoleSession> {
    const holder = await this.#gate.login(request, token, CONSOLE_ROLE)
    return sessionOf(holder, this.#console.open(request, reply, holder).endsAt)
  }

  logout(request: FastifyRequest, reply: FastifyReply): void {
    this.#console.end(request, reply)
  }

  /** What whoever asks may do at the console; null: nothing before a login. */
  sessionOf({ raw }: FastifyRequest): ConsoleSession | null {
    const { auth, tokens, isLocal } = this.#options
    if (isLocal(raw) || auth.isOpen) return EVERYTHING
    const session = this.#console.holderOf(raw)
    if (session && !this.#isSigned(raw)) return sessionOf(session, session.endsAt)
    const holder = this.#holders.get(raw)
    if (holder) return sessionOf(holder, tokens.check.expiryOf(holder.id))
    return this.#bodies.has(raw) ? EVERYTHING : null
  }

  /** Whether what let a request in would do so now: for an answer that never ends. */
  isStillIn({ raw }: FastifyRequest): boolean {
    const { auth, isLocal } = this.#options
    if (this.#ofConsole.has(raw)) return this.#console.holderOf(raw) !== undefined
    const holder = this.#holders.get(raw)
    return holder ? this.#gate.isGood(holder) : isLocal(raw) || auth.isStillGood(raw)
  }

  /** Where a request came from, for the audit log. */
  placeOf(request: FastifyRequest): Place {
    const { raw, ip } = request
    if (this.#options.isLocal(raw)) return { text: THIS_PLACE, asker: THIS_PLACE, passesOn: true }
    const holder = this.#holders.get(raw)
    if (holder) {
      const asker = `token ${holder.id}`
      return { text: `${asker}, ${ip}`, asker, passesOn: false }
    }
    return { text: ip, asker: ip, passesOn: true }
  }

  /** Why nothing is found at the path of a request. */
  notFound(request: FastifyRequest): WalcastError {
    if (this.#isForApplication(request)) return noToken(request.raw)
    return new WalcastError('NOT_FOUND', { path: pathOf(request) })
  }

  /**
   * False when a web page has made its own name point at this machine (DNS rebinding). Without a
   * secret such a page could read the database.
   */
  isForThisNode(request: IncomingMessage): boolean {
    return !this.#options.auth.isOpen || isNamedHere(request)
  }

  /**
   * A signature covers the digest of the body, which comes later. `body`: its bytes. Throws
   * WRONG_SECRET when it is another one.
   */
  requireBody(request: FastifyRequest, body: Uint8Array | undefined): void {
    const signed = this.#bodies.get(request.raw)
    if (signed !== undefined && signed !== (body ? sha256(body) : NO_BODY))
      throw new WalcastError('WRONG_SECRET', { detail: 'its signature is that of another body' })
  }

  #requireSession(request: FastifyRequest, needed: Exclude<Least, 'public'>): void {
    const session = this.#console.holderOf(request.raw)
    if (!session)
      throw new WalcastError('UNAUTHORIZED', { detail: 'the session has ended: log in again' })
    this.#holders.set(request.raw, this.#gate.requireRole(request, session, needed))
    this.#ofConsole.add(request.raw)
  }

  /** Whether its cookie is to let it in: a token or a signature goes before. */
  #isOfConsole(request: IncomingMessage): boolean {
    return !this.#isSigned(request) && this.#console.hasCookie(request)
  }

  #isSigned({ headers }: IncomingMessage): boolean {
    return headers.authorization !== undefined || headers[REPLICA_AUTH_HEADER] !== undefined
  }

  #requireSigned(request: FastifyRequest, needed: Exclude<Least, 'public'>): void {
    const { auth } = this.#options
    const refused = auth.refuseNode(request.raw, 'order') ?? auth.refuseRight(request.raw, needed)
    if (refused) throw refused
    const signature = parseSignature(headerOf(request.raw, REPLICA_AUTH_HEADER))
    this.#bodies.set(request.raw, signature?.body ?? NO_BODY)
  }

  /** Whether the intake would have taken it with a token. */
  #isForApplication(request: FastifyRequest): boolean {
    const { isLocal, hasApplication } = this.#options
    if (isLocal(request.raw)) return false
    return request.is404 && hasApplication() && !isReserved(request.url)
  }
}

/** Whether it was asked under an address, and not under a name that anyone can give. */
function isNamedHere(request: IncomingMessage): boolean {
  const name = (headerOf(request, 'host') ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return name === '' || name === 'localhost' || isIP(name) !== 0
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]
}

/** A node that takes this one for its application signs nothing. */
function noToken(request: IncomingMessage): WalcastError {
  const node = headerOf(request, VIA_HEADER)
  if (node !== undefined) return new WalcastError('FORWARD_LOOP', { node })
  return new WalcastError('FORWARD_REFUSED', { detail: 'it sent no token' })
}

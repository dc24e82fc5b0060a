/**
 * Who may ask the private side for what. Health, readiness, roles and metrics are open to everyone.
 * The rest needs a signature with a key of the cluster, or a token whose role is enough for it.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { WalcastError } from '../errors.ts'
import { headerOf, VIA_HEADER } from '../proxy/headers.ts'
import { isReserved } from '../proxy/routes.ts'
import type { Authenticator } from '../security/auth.ts'
import {
  NO_BODY,
  parseSignature,
  REPLICA_AUTH_HEADER,
  sha256,
} from '../security/requestSignature.ts'
import type { TokenHolder } from '../security/tokenCheck.ts'
import { type Least, leastRole } from './leastRoles.ts'
import { isRoleQuestion } from './publicPaths.ts'
import type { Place } from './requestFields.ts'
import { TokenGate, type TokenGateParts } from './tokenGate.ts'

const THIS_MACHINE = '127.0.0.1'
const THIS_PLACE = 'this machine'

export interface AccessOptions {
  readonly auth: Authenticator
  readonly tokens: TokenGateParts
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
  /** Digests of the bodies of signed requests, as their signatures say. */
  readonly #bodies = new WeakMap<IncomingMessage, string>()
  /** Whose token let a request in. */
  readonly #holders = new WeakMap<IncomingMessage, TokenHolder>()

  constructor(options: AccessOptions) {
    this.#options = options
    this.#gate = new TokenGate(options.tokens)
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
    const least = leastRole(request.method, request.routeOptions.url ?? path)
    if (isLocal || auth.isOpen || least === 'public') return
    // Whoever has any token may learn that there is nothing at a path.
    const needed = least ?? (request.is404 ? 'metrics' : 'node')
    if (headerOf(request.raw, REPLICA_AUTH_HEADER) !== undefined)
      return this.#requireSigned(request, needed)
    if (this.#isForApplication(request)) throw noToken(request.raw)
    this.#holders.set(request.raw, await this.#gate.require(request, needed))
  }

  /** Whether what let a request in would do so now: for an answer that never ends. */
  isStillIn({ raw }: FastifyRequest): boolean {
    const { auth, isLocal } = this.#options
    const holder = this.#holders.get(raw)
    return holder ? this.#gate.isGood(holder) : isLocal(raw) || auth.isStillGood(raw)
  }

  /** Where a request came from, for the audit log. */
  placeOf(request: FastifyRequest): Place {
    const { raw, ip } = request
    if (this.#options.isLocal(raw)) return { text: THIS_PLACE, passesOn: true }
    const holder = this.#holders.get(raw)
    if (holder) return { text: `token ${holder.id}, ${ip}`, passesOn: false }
    return { text: ip, passesOn: true }
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
    if (!this.#options.auth.isOpen) return true
    const name = (headerOf(request, 'host') ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
    return name === '' || name === 'localhost' || isIP(name) !== 0
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

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]
}

/** A node that takes this one for its application signs nothing. */
function noToken(request: IncomingMessage): WalcastError {
  const node = headerOf(request, VIA_HEADER)
  if (node !== undefined) return new WalcastError('FORWARD_LOOP', { node })
  return new WalcastError('FORWARD_REFUSED', { detail: 'it sent no token' })
}

/** Lets requests with a token pass, and slows down those with a wrong one. */
import type { FastifyRequest } from 'fastify'
import { WalcastError } from '../errors.ts'
import { canonicalAddress } from '../options/network.ts'
import { clientOf, UNKNOWN_ADDRESS } from '../proxy/clientAddress.ts'
import { FailedAttempts } from '../security/failedAttempts.ts'
import { isEnough, type TokenRole } from '../security/token.ts'
import type { TokenCheck, TokenFault, TokenHolder } from '../security/tokenCheck.ts'

/** Why a request with a token is refused. */
export type TokenRefusal = Exclude<TokenFault, 'none'> | 'too-many' | 'too-weak'

export interface TokenGateParts {
  readonly check: Pick<TokenCheck, 'check' | 'isGood' | 'expiryOf'>
  /** `id`: of a token that is right, and may not do what was asked. */
  onRefused(why: TokenRefusal, address: string, id?: string): void
}

const DETAILS: Readonly<Record<TokenFault, string>> = {
  none: 'the request has none',
  foreign:
    'what it sends is no token (the cluster secret is never sent: make a token in its place)',
  wrong: 'it is wrong, unknown here or revoked',
  expired: 'it has expired by the clock of this node',
}

export class TokenGate {
  readonly #parts: TokenGateParts
  readonly #attempts = new FailedAttempts()

  constructor(parts: TokenGateParts) {
    this.#parts = parts
  }

  /**
   * The holder of the token that a request carries. `least`: what it needs; `node`: no token is
   * enough. Throws UNAUTHORIZED, TOO_MANY_ATTEMPTS or TOKEN_TOO_WEAK.
   */
  async require(request: FastifyRequest, least: TokenRole | 'node'): Promise<TokenHolder> {
    const holder = await this.#holderOf(authorizationsOf(request.raw.rawHeaders), request)
    return this.requireRole(request, holder, least)
  }

  /** The same for a token that comes in the body of a request. */
  async login(request: FastifyRequest, token: string, least: TokenRole): Promise<TokenHolder> {
    return this.requireRole(request, await this.#holderOf([`Bearer ${token}`], request), least)
  }

  /** Throws TOKEN_TOO_WEAK. */
  requireRole<Holder extends TokenHolder>(
    request: FastifyRequest,
    holder: Holder,
    least: TokenRole | 'node',
  ): Holder {
    const { id, role } = holder
    if (least !== 'node' && isEnough(role, least)) return holder
    this.#parts.onRefused('too-weak', addressOf(request), id)
    throw new WalcastError('TOKEN_TOO_WEAK', {
      id,
      role,
      what: `${request.method} ${request.routeOptions.url ?? ''}`,
      needed: least === 'node' ? 'the signature of a node' : least,
    })
  }

  /** Whether a token that let somebody in would let him in now. */
  isGood({ id }: TokenHolder): boolean {
    return this.#parts.check.isGood(id)
  }

  async #holderOf(authorizations: string[], request: FastifyRequest): Promise<TokenHolder> {
    const { holder, fault } = this.#parts.check.check(authorizations)
    if (!holder) throw await this.#refused(fault, addressOf(request))
    return holder
  }

  async #refused(fault: TokenFault, address: string): Promise<WalcastError> {
    const detail = DETAILS[fault]
    // Nobody guesses who sends no token at all.
    if (fault === 'wrong' || fault === 'expired') {
      const seconds = await this.#attempts.add(clientOf(address))
      this.#parts.onRefused(seconds > 0 ? 'too-many' : fault, address)
      if (seconds > 0) return new WalcastError('TOO_MANY_ATTEMPTS', { seconds })
    } else if (fault === 'foreign') this.#parts.onRefused(fault, address)
    return new WalcastError('UNAUTHORIZED', { detail })
  }
}

/** Node itself would show only the first of several. */
function authorizationsOf(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && isAuthorization(rawHeaders[at - 1]))
}

function isAuthorization(name: string): boolean {
  return name.toLowerCase() === 'authorization'
}

function addressOf({ ip }: FastifyRequest): string {
  return canonicalAddress(ip ?? '') ?? UNKNOWN_ADDRESS
}

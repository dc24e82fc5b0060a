/**
 * Whose token a request carries. A token that this node does not know takes as long to refuse as
 * one with a wrong secret: both are compared with a hash of the same length, in constant time.
 */
import { timingSafeEqual } from 'node:crypto'
import { parseToken, TOKEN_PREFIX, type TokenRole, tokenProofKey } from './token.ts'

/** What a node keeps of a token that nobody has revoked. */
export interface KnownToken {
  readonly id: string
  /** SHA-256 of the whole token, 64 hex digits. */
  readonly hash: string
  readonly role: TokenRole
  readonly expiresAt?: number | undefined
}

/**
 * `none`: the request carries no token. `foreign`: something else than a token, such as the cluster
 * secret. `wrong`: unknown, revoked, or with another secret.
 */
export type TokenFault = 'none' | 'foreign' | 'wrong' | 'expired'

/** Who sent a request. */
export interface TokenHolder {
  readonly id: string
  readonly role: TokenRole
}

export type TokenVerdict =
  | { readonly holder: TokenHolder; readonly fault?: undefined }
  | { readonly fault: TokenFault; readonly holder?: undefined }

const BEARER = /^bearer +(\S+) *$/i
const MAX_HEADER_CHARS = 1024
/** Compared with when no token has the id. It is the hash of nothing that anyone knows. */
const NO_HASH = Buffer.alloc(32)

export interface TokenCheckParts {
  /** Those that are not revoked; a new list whenever something changes. */
  tokens(): readonly KnownToken[]
  /** This node's clock. */
  nowMs(): number
}

export class TokenCheck {
  readonly #parts: TokenCheckParts

  constructor(parts: TokenCheckParts) {
    this.#parts = parts
  }

  /** `headers`: the values of all `Authorization` headers of a request. */
  check(headers: readonly string[]): TokenVerdict {
    if (headers.length === 0) return { fault: 'none' }
    const [header] = headers
    if (headers.length > 1 || header.length > MAX_HEADER_CHARS) return { fault: 'foreign' }
    const text = BEARER.exec(header)?.[1]
    if (!text?.startsWith(TOKEN_PREFIX)) return { fault: 'foreign' }
    const given = parseToken(text)
    if (!given) return { fault: 'wrong' }
    const known = this.#find(given.id)
    const kept = known ? Buffer.from(known.hash, 'hex') : NO_HASH
    const isRight = timingSafeEqual(Buffer.from(given.hash, 'hex'), kept)
    if (!known || !isRight) return { fault: 'wrong' }
    const { id, role, expiresAt = Infinity } = known
    return this.#parts.nowMs() < expiresAt ? { holder: { id, role } } : { fault: 'expired' }
  }

  /** Whether a token is neither revoked nor expired. */
  isGood(id: string): boolean {
    const known = this.#find(id)
    return known !== undefined && this.#parts.nowMs() < (known.expiresAt ?? Infinity)
  }

  /**
   * When a token ends, ms in this node's clock; Infinity: never by itself. Undefined for one that
   * is revoked or unknown.
   */
  expiryOf(id: string): number | undefined {
    const known = this.#find(id)
    return known && (known.expiresAt ?? Infinity)
  }

  /**
   * The key that proves this node to the holder of a token. Also of one that has expired, so that
   * the holder is told so. Undefined for an unknown one.
   */
  proofKey(id: string): Buffer | undefined {
    const known = this.#find(id)
    return known && tokenProofKey(known.hash)
  }

  #find(id: string): KnownToken | undefined {
    return this.#parts.tokens().find((token) => token.id === id)
  }
}

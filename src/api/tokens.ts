/** `GET`, `POST` and `DELETE /_walcast/tokens`: which tokens there are, a new one, and one less. */
import type { TokenRole } from '../security/token.ts'

export const TOKENS_PATH = '/_walcast/tokens'
export const MAX_NOTE_CHARS = 128
/** The longest time for which a token may be made. Without one it does not expire. */
export const MAX_TOKEN_MS = 3650 * 86_400_000

/** Times are ISO 8601. */
export interface TokenInfo {
  readonly id: string
  readonly role: TokenRole
  readonly note: string
  readonly created: string
  readonly expires: string | null
}

export interface RevokedTokenInfo {
  readonly id: string
  readonly revoked: string
}

export interface TokensAnswer {
  readonly tokens: readonly TokenInfo[]
  /** Tokens that expired long ago are in this list too. */
  readonly revoked: readonly RevokedTokenInfo[]
}

export interface TokenRequest {
  readonly role: TokenRole
  readonly note: string
  /** How long it is good; undefined: until it is revoked. */
  readonly expiresMs: number | undefined
}

export interface CreatedToken extends TokenInfo {
  /** The token itself. No node knows it any more once it has answered. */
  readonly token: string
}

export interface RevokedAnswer {
  readonly revoked: string
  /** Whether the node had heard of it. */
  readonly known: boolean
}

export interface TokenDesk {
  /** Throws TOKENS_WITHOUT_SECRET or STARTING, as the others do. */
  list(): TokensAnswer
  /** Durable when it resolves. Throws TRUST_FULL, DISK_FULL or WRITE_FAILED. `by`: who asks. */
  create(wanted: TokenRequest, by: string): Promise<CreatedToken>
  /** In force here at once, and durable when it resolves. Throws DISK_FULL or WRITE_FAILED. */
  revoke(id: string, by: string): Promise<RevokedAnswer>
}

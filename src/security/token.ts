/**
 * Tokens of people and programs:
 *
 *     wct_ID_SECRET
 *
 * ID names the token and is no secret. SECRET is 32 random bytes in base64url. Nodes keep only the
 * SHA-256 of the whole text, which is as good as a slow hash: nobody can try 2^256 texts.
 */
import { createHash, hkdfSync } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

export { isEnough, TOKEN_ROLES, type TokenRole } from './tokenRoles.ts'

/** The text of a token, and what nodes keep of it. */
export interface Token {
  readonly text: string
  readonly id: string
  /** SHA-256 of the text, 64 hex digits. */
  readonly hash: string
}

export const TOKEN_PREFIX = 'wct_'
/** Letters and digits that no reader takes for another one. */
const ID_CHARS = 'abcdefghjkmnpqrstuvwxyz23456789'
const ID_LENGTH = 10
const SECRET_BYTES = 32
/** Bytes from here on would make the first characters more likely than the others. */
const FAIR_BYTES = 256 - (256 % ID_CHARS.length)
const ID = `[${ID_CHARS}]{${ID_LENGTH}}`
const TOKEN_ID = new RegExp(`^${ID}$`)
const TOKEN = new RegExp(`^${TOKEN_PREFIX}(${ID})_[\\w-]{43}$`)
const PROOF_KEY_BYTES = 32

export function newToken(): Token {
  const id = newTokenId()
  const text = `${TOKEN_PREFIX}${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`
  return { text, id, hash: hashOf(text) }
}

/** Undefined for a text that is no token, however long it is. */
export function parseToken(text: string): Token | undefined {
  const match = TOKEN.exec(text)
  return match ? { text, id: match[1], hash: hashOf(text) } : undefined
}

export function isTokenId(text: string): boolean {
  return TOKEN_ID.test(text)
}

/**
 * The key by which a node proves to the holder of a token that it knows its hash. The holder
 * derives the same key, and does not send the token before.
 */
export function tokenProofKey(hash: string): Buffer {
  const about = 'walcast v2 proof token'
  const bytes = Buffer.from(hash, 'hex')
  return Buffer.from(hkdfSync('sha256', bytes, 'walcast', about, PROOF_KEY_BYTES))
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function newTokenId(): string {
  let id = ''
  while (id.length < ID_LENGTH)
    for (const byte of randomBytes(2 * ID_LENGTH))
      if (byte < FAIR_BYTES && id.length < ID_LENGTH) id += ID_CHARS[byte % ID_CHARS.length]
  return id
}

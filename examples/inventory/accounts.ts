/**
 * The login: a password, sessions of browsers, tokens of programs. All of it is kept in settings of
 * the database, so that it is on every server, and who is logged in stays so when another one
 * leads. Of passwords and tokens only hashes are kept.
 */
import { createHash, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import type { Keyring, Settings } from 'walcast'

/** How long a login lasts. */
export const SESSION_MS = 7 * 24 * 3_600_000
const PASSWORD = 'login:password'
const SESSION = 'login:session:'
const TOKEN = 'login:token:'
const HASH_BYTES = 32

export interface Token {
  readonly id: string
  readonly note: string
  readonly createdAt: string
}

interface StoredToken extends Token {
  readonly hash: string
}

export class Accounts {
  readonly #store: () => Settings
  readonly #keys: Keyring

  /** `store` is called when it is needed: the file of a replica comes with its first copy. */
  constructor(store: () => Settings, keys: Keyring) {
    this.#store = store
    this.#keys = keys
  }

  /** On the leader: from now on this is the password. */
  keepPassword(password: string): void {
    if (this.isPassword(password)) return
    const salt = randomBytes(16).toString('hex')
    this.#write(PASSWORD, { salt, hash: slowHash(password, salt) })
  }

  isPassword(password: string): boolean {
    const known = this.#store().get(PASSWORD) as { salt: string; hash: string } | undefined
    return known !== undefined && isSame(slowHash(password, known.salt), known.hash)
  }

  /** On the leader: begins a session. Its secret goes into the cookie of the browser. */
  logIn(): string {
    const secret = randomBytes(HASH_BYTES).toString('base64url')
    this.#write(SESSION + hash(secret), { endsAt: Date.now() + SESSION_MS })
    return secret
  }

  isLoggedIn(secret: string): boolean {
    const session = this.#store().get(SESSION + hash(secret)) as { endsAt: number } | undefined
    return session !== undefined && session.endsAt > Date.now()
  }

  /** On the leader. */
  logOut(secret: string): void {
    this.#store().delete(SESSION + hash(secret))
  }

  /** On the leader: a new token, and its secret, which is told only now. */
  createToken(note: string): Token & { readonly secret: string } {
    const id = randomBytes(6).toString('hex')
    const secret = `inv_${id}_${randomBytes(HASH_BYTES).toString('base64url')}`
    const token = { id, note, createdAt: new Date().toISOString() }
    this.#write(TOKEN + id, { ...token, hash: hash(secret) })
    return { ...token, secret }
  }

  isToken(secret: string): boolean {
    const id = /^inv_([0-9a-f]{12})_/.exec(secret)?.[1]
    if (id === undefined) return false
    const known = this.#store().get(TOKEN + id) as unknown as StoredToken | undefined
    return known !== undefined && isSame(hash(secret), known.hash)
  }

  tokens(): Token[] {
    return this.#store()
      .list({ prefix: TOKEN })
      .map(({ name }) => this.#store().get(name) as unknown as StoredToken)
      .map(({ id, note, createdAt }) => ({ id, note, createdAt }))
  }

  /** On the leader. Whether there was one. */
  revokeToken(id: string): boolean {
    return this.#store().delete(TOKEN + id)
  }

  /** On the leader: forgets sessions that have ended. */
  forgetEnded(): void {
    const beganBefore = new Date(Date.now() - SESSION_MS).toISOString()
    for (const { name, changedAt } of this.#store().list({ prefix: SESSION }))
      if (changedAt < beganBefore) this.#store().delete(name)
  }

  /** Encrypted where the node has keys for it. */
  #write(name: string, value: Readonly<Record<string, string | number>>): void {
    this.#store().set(name, value, { encrypt: this.#keys.latest() !== undefined })
  }
}

/** Of a secret that is random: nobody can try them all. */
function hash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Of a password, which somebody could guess. */
function slowHash(password: string, salt: string): string {
  return scryptSync(password, salt, HASH_BYTES).toString('hex')
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

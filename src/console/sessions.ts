/**
 * The sessions of people at the console. Each stands for a token, and ends with it. They live in
 * memory: a restart of the node ends them. Only the hash of a session's text is kept.
 */
import { createHash } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'
import type { TokenCheck, TokenHolder } from '../security/tokenCheck.ts'

/** A session that nobody has used for so long ends. An open page uses its session. */
export const SESSION_IDLE_MS = 30 * 60_000
/** A session ends after so long, used or not. */
export const SESSION_MAX_MS = 12 * 3_600_000
/** Past it the session of the same token that was idle for longest ends. */
export const MAX_SESSIONS_PER_TOKEN = 16
/** Past it the session that was idle for longest ends. */
export const MAX_SESSIONS = 256

const TEXT_BYTES = 32
const TEXT = /^[\w-]{43}$/

export interface SessionHolder extends TokenHolder {
  /** When it ends at the latest, ms in the node's clock. */
  readonly endsAt: number
}

interface Kept {
  readonly holder: SessionHolder
  readonly usedAt: number
}

export interface ConsoleSessionsParts {
  readonly check: Pick<TokenCheck, 'expiryOf'>
  /** This node's clock. */
  nowMs(): number
}

export class ConsoleSessions {
  readonly #parts: ConsoleSessionsParts
  /** By hash of their texts. The one that was used last comes last. */
  readonly #kept = new Map<string, Kept>()

  constructor(parts: ConsoleSessionsParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#kept.size
  }

  /** The text of a new session: whoever has it is the holder of the token. */
  open({ id, role }: TokenHolder): string {
    const text = randomBytes(TEXT_BYTES).toString('base64url')
    const nowMs = this.#parts.nowMs()
    const endsAt = Math.min(nowMs + SESSION_MAX_MS, this.#parts.check.expiryOf(id) ?? nowMs)
    this.#kept.set(hashOf(text), { holder: { id, role, endsAt }, usedAt: nowMs })
    this.#makeRoom(id)
    return text
  }

  /** Whose session it is, which counts as a use of it. Undefined for one that has ended. */
  use(text: string): SessionHolder | undefined {
    const hash = TEXT.test(text) ? hashOf(text) : ''
    const kept = this.#kept.get(hash)
    if (!kept) return undefined
    this.#kept.delete(hash)
    const nowMs = this.#parts.nowMs()
    const { holder, usedAt } = kept
    const tokenEndsAt = this.#parts.check.expiryOf(holder.id) ?? nowMs
    const endsAt = Math.min(holder.endsAt, usedAt + SESSION_IDLE_MS, tokenEndsAt)
    if (nowMs >= endsAt) return undefined
    this.#kept.set(hash, { holder, usedAt: nowMs })
    return holder
  }

  end(text: string): void {
    this.#kept.delete(hashOf(text))
  }

  #makeRoom(id: string): void {
    const ofToken = [...this.#kept].filter(([, { holder }]) => holder.id === id)
    if (ofToken.length > MAX_SESSIONS_PER_TOKEN) this.#kept.delete(ofToken[0][0])
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > MAX_SESSIONS) this.#kept.delete(oldest)
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Tells the audit log of new and revoked tokens, and of tokens that were refused. Of the latter it
 * tells a few at once and then one every ten minutes: strangers must not push out of the log what
 * operators did.
 */
import { monotonicMs } from '../platform/time.ts'
import type { TokenRefusal } from '../server/tokenGate.ts'
import { type AuditParts, audited, tellAudit } from './auditedChange.ts'

const BURST = 5
const EVERY_MS = 600_000

const REFUSALS: Readonly<Record<TokenRefusal, string>> = {
  foreign: 'something else than a token in its place',
  wrong: 'a wrong token',
  expired: 'a token that has expired',
  'too-many': 'a wrong token, after too many',
  'too-weak': 'its role is too low for what it asked',
}

export class TokenJournal {
  readonly #parts: AuditParts
  /** How many refusals it may still tell of, as of then. */
  #left = BURST
  #asOfMs = monotonicMs()
  #untold = 0

  constructor(parts: AuditParts) {
    this.#parts = parts
  }

  /** Runs a change, and writes down who asked for it and how it ended. */
  audited(
    action: 'create-token' | 'revoke-token',
    by: string,
    detail: string,
    change: () => Promise<void>,
  ): Promise<void> {
    return audited(this.#parts, { action, by, detail }, change)
  }

  /** `id`: of a token that is right. */
  refused(why: TokenRefusal, address: string, id?: string): void {
    if (!this.#mayTell()) {
      this.#untold++
      return
    }
    const more =
      this.#untold > 0 ? `; ${this.#untold} more were refused since the entry before` : ''
    this.#untold = 0
    const by = id === undefined ? address : `token ${id} (${address})`
    const detail = `${REFUSALS[why]}${more}`
    tellAudit(this.#parts, { action: 'token', outcome: 'refused', by, detail })
  }

  #mayTell(): boolean {
    const nowMs = monotonicMs()
    this.#left = Math.min(BURST, this.#left + (nowMs - this.#asOfMs) / EVERY_MS)
    this.#asOfMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}

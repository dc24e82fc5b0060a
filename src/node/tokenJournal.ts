/** Tells the audit log of new and revoked tokens, and of tokens that were refused. */
import type { TokenRefusal } from '../server/tokenGate.ts'
import { type AuditParts, audited, tellAudit } from './auditedChange.ts'
import { RefusalPace } from './refusalPace.ts'

const REFUSALS: Readonly<Record<TokenRefusal, string>> = {
  foreign: 'something else than a token in its place',
  wrong: 'a wrong token',
  expired: 'a token that has expired',
  'too-many': 'a wrong token, after too many',
  'too-weak': 'its role is too low for what it asked',
}

export class TokenJournal {
  readonly #parts: AuditParts
  readonly #pace = new RefusalPace()

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
    const more = this.#pace.take()
    if (more === undefined) return
    const by = id === undefined ? address : `token ${id} (${address})`
    const detail = `${REFUSALS[why]}${more}`
    tellAudit(this.#parts, { action: 'token', outcome: 'refused', by, detail })
  }
}

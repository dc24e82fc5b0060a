/** Tells the audit log of new and revoked tokens, and of tokens that were refused. */
import type { AuditEntry } from '../api/audit.ts'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { asWalcastError, messageOf } from '../errors.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'
import type { TokenRefusal } from '../server/tokenGate.ts'
import { RefusalPace } from './refusalPace.ts'

export interface TokenJournalParts {
  readonly audit: Pick<AuditLog, 'append'>
  readonly clock: Clock
  readonly nodeFile: Pick<NodeFile, 'record'>
  readonly databases: Databases
}

const REFUSALS: Readonly<Record<TokenRefusal, string>> = {
  foreign: 'something else than a token in its place',
  wrong: 'a wrong token',
  expired: 'a token that has expired',
  'too-many': 'a wrong token, after too many',
  'too-weak': 'its role is too low for what it asked',
}

export class TokenJournal {
  readonly #parts: TokenJournalParts
  readonly #pace = new RefusalPace()

  constructor(parts: TokenJournalParts) {
    this.#parts = parts
  }

  /** Runs a change, and writes down who asked for it and how it ended. */
  async audited(
    action: 'create-token' | 'revoke-token',
    by: string,
    about: string,
    change: () => Promise<void>,
  ): Promise<void> {
    try {
      await change()
      this.#write(action, 'done', by, about)
    } catch (error) {
      const outcome = asWalcastError(error).status < 500 ? 'refused' : 'failed'
      this.#write(action, outcome, by, `${about}: ${messageOf(error)}`)
      throw error
    }
  }

  /** `id`: of a token that is right. */
  refused(why: TokenRefusal, address: string, id?: string): void {
    const more = this.#pace.take()
    if (more === undefined) return
    const by = id === undefined ? address : `token ${id} (${address})`
    this.#write('token', 'refused', by, `${REFUSALS[why]}${more}`)
  }

  #write(
    action: AuditEntry['action'],
    outcome: AuditEntry['outcome'],
    by: string,
    detail: string,
  ): void {
    const { audit, clock, nodeFile, databases } = this.#parts
    const { view } = onlyDatabase(databases)
    const { node, epoch } = nodeFile.record
    const at = new Date(clock.nowMs()).toISOString()
    const { txid } = view.position()
    void audit.append({ at, node, action, outcome, role: view.role(), epoch, txid, by, detail })
  }
}

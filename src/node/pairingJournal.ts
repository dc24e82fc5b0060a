/** Tells the audit log, the log and the metrics of pairing codes, and of who joined with one. */
import type { Logger } from 'pino'
import { asWalcastError, type ErrorCode } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import type { JoinClaim } from '../security/pairingProof.ts'
import { type AuditParts, tellAudit } from './auditedChange.ts'
import { RefusalPace } from './refusalPace.ts'

export interface PairingJournalParts extends AuditParts {
  readonly metrics: Pick<Metrics, 'pairing'>
  readonly log: Logger
}

/** Label values of the metric. */
const WHY: Partial<Readonly<Record<ErrorCode, string>>> = {
  PAIRING_CODE_WRONG: 'wrong',
  TOO_MANY_ATTEMPTS: 'too-many',
  PAIRING_CODE_EXPIRED: 'expired',
  PAIRING_CODE_USED: 'used',
  PAIRING_CODE_ENDED: 'ended',
  PAIRING_CLOCK: 'clock',
}
/** Reasons that a stranger without the code can bring about. */
const OF_STRANGERS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PAIRING_CODE_WRONG',
  'TOO_MANY_ATTEMPTS',
  'PAIRING_WITHOUT_SECRET',
  'STARTING',
])

export class PairingJournal {
  readonly #parts: PairingJournalParts
  readonly #count: (event: string) => void
  readonly #pace = new RefusalPace()

  constructor(parts: PairingJournalParts) {
    this.#parts = parts
    this.#count = parts.metrics.pairing()
  }

  made(id: string, by: string): void {
    this.#count('made')
    tellAudit(this.#parts, { action: 'pair', outcome: 'done', by, detail: `code ${id}` })
  }

  joined({ code, node, address }: JoinClaim, from: string): void {
    this.#count('joined')
    this.#parts.log.info({ node, address, code }, 'a node joined the cluster with a pairing code')
    const [by, detail] = [`node ${node} (${from})`, `code ${code}, at ${address}`]
    tellAudit(this.#parts, { action: 'join', outcome: 'done', by, detail })
  }

  refused({ code, node }: JoinClaim, from: string, error: unknown): void {
    const { key, message, status } = asWalcastError(error)
    this.#count(WHY[key] ?? 'other')
    const isStranger = OF_STRANGERS.has(key)
    const more = isStranger ? this.#pace.take() : ''
    if (more === undefined) return
    // What a stranger calls himself proves nothing.
    const by = isStranger ? from : `node ${node} (${from})`
    const outcome = status < 500 ? 'refused' : 'failed'
    this.#parts.log.warn({ from, code, why: message }, 'refused a host that wants to join')
    const detail = `code ${code}: ${message}${more}`
    tellAudit(this.#parts, { action: 'join', outcome, by, detail })
  }
}

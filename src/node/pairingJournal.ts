/** Tells the audit log, the log and the metrics of pairing codes, and of who joined with one. */
import type { Logger } from 'pino'
import type { AuditEntry } from '../api/audit.ts'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { asWalcastError, type ErrorCode } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'
import type { JoinClaim } from '../security/pairingProof.ts'
import { RefusalPace } from './refusalPace.ts'

export interface PairingJournalParts {
  readonly audit: Pick<AuditLog, 'append'>
  readonly clock: Clock
  readonly nodeFile: Pick<NodeFile, 'record'>
  readonly databases: Databases
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
    this.#write('pair', 'done', by, `code ${id}`)
  }

  joined({ code, node, address }: JoinClaim, from: string): void {
    this.#count('joined')
    this.#parts.log.info({ node, address, code }, 'a node joined the cluster with a pairing code')
    this.#write('join', 'done', `node ${node} (${from})`, `code ${code}, at ${address}`)
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
    this.#write('join', outcome, by, `code ${code}: ${message}${more}`)
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

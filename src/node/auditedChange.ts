/** Writes down in the audit log who asked for a change of keys or tokens, and how it ended. */
import type { AuditEntry } from '../api/audit.ts'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { asWalcastError, messageOf } from '../errors.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'

export interface AuditParts {
  readonly audit: Pick<AuditLog, 'append'>
  readonly clock: Clock
  readonly nodeFile: Pick<NodeFile, 'record'>
  readonly databases: Databases
}

type Told = Pick<AuditEntry, 'action' | 'outcome' | 'by'> & { readonly detail: string }

export function tellAudit(
  { audit, clock, nodeFile, databases }: AuditParts,
  { action, outcome, by, detail }: Told,
): void {
  const { view } = onlyDatabase(databases)
  const { node, epoch } = nodeFile.record
  const at = new Date(clock.nowMs()).toISOString()
  const { txid } = view.position()
  void audit.append({ at, node, action, outcome, role: view.role(), epoch, txid, by, detail })
}

/** Runs a change, and writes down how it ended. Throws what `change` throws. */
export async function audited<Result>(
  parts: AuditParts,
  { action, by, detail }: Omit<Told, 'outcome'>,
  change: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await change()
    tellAudit(parts, { action, outcome: 'done', by, detail })
    return result
  } catch (error) {
    const outcome = asWalcastError(error).status < 500 ? 'refused' : 'failed'
    tellAudit(parts, { action, outcome, by, detail: `${detail}: ${messageOf(error)}` })
    throw error
  }
}

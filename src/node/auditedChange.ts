/** Writes down in the audit log who asked for a change of keys or tokens, and how it ended. */
import type { AuditDesk, AuditEntry } from '../api/audit.ts'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { NodeRecord } from '../cluster/nodeRecord.ts'
import { asWalcastError, messageOf } from '../errors.ts'
import type { AuditLog } from '../notify/auditLog.ts'
import type { Clock } from '../platform/clock.ts'

/** Where entries go, and which node writes them. */
export interface AuditPlace {
  readonly audit: Pick<AuditLog, 'append'>
  readonly clock: Clock
  readonly nodeFile: { readonly record: Pick<NodeRecord, 'node' | 'epoch'> }
}

export interface AuditParts extends AuditPlace {
  readonly nodeFile: Pick<NodeFile, 'record'>
  readonly databases: Databases
}

type Told = Pick<AuditEntry, 'action' | 'outcome' | 'by'> & { readonly detail: string }

export function tellAudit(parts: AuditParts, told: Told): void {
  void written(parts, told)
}

/** The audit log, as commands read it and write into it. */
export function auditDesk(
  parts: AuditParts & { readonly audit: Pick<AuditLog, 'append' | 'recent'> },
): AuditDesk {
  return {
    recent: (limit) => parts.audit.recent(limit),
    note: (note) => written(parts, note),
  }
}

function written({ databases, ...place }: AuditParts, told: Told): Promise<void> {
  return appendEntry(place, onlyDatabase(databases).view, told)
}

/** `view`: of the database that is concerned. Resolves as `AuditLog.append` does. */
export function appendEntry(
  { audit, clock, nodeFile }: AuditPlace,
  view: Pick<DatabaseView, 'role' | 'position'>,
  { action, outcome, by, detail }: Told,
): Promise<void> {
  const { node, epoch } = nodeFile.record
  const at = new Date(clock.nowMs()).toISOString()
  const { txid } = view.position()
  return audit.append({ at, node, action, outcome, role: view.role(), epoch, txid, by, detail })
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

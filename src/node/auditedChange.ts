/** Writes down in the audit log who asked for a change of keys or tokens, and how it ended. */
import type { AuditDesk, AuditEntry, AuditSource } from '../api/audit.ts'
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

/** `trail`: all of the audit log, as commands read it. They write where `parts` tell. */
export function auditDesk(parts: AuditParts, trail: AuditSource): AuditDesk {
  return {
    recent: (limit) => trail.recent(limit),
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
export function audited<Result>(
  parts: AuditParts,
  about: Omit<Told, 'outcome'>,
  change: () => Promise<Result>,
): Promise<Result> {
  return toldOf(about, change, (told) => tellAudit(parts, told))
}

/** The same. It ends once the entry is durable, if the disk allows: no more of them wait. */
export async function auditedDurably<Result>(
  parts: AuditParts,
  about: Omit<Told, 'outcome'>,
  change: () => Promise<Result>,
): Promise<Result> {
  let entry: Promise<void> | undefined
  try {
    return await toldOf(about, change, (told) => {
      entry = written(parts, told)
    })
  } finally {
    await entry
  }
}

async function toldOf<Result>(
  { action, by, detail }: Omit<Told, 'outcome'>,
  change: () => Promise<Result>,
  tell: (told: Told) => void,
): Promise<Result> {
  try {
    const result = await change()
    tell({ action, outcome: 'done', by, detail })
    return result
  } catch (error) {
    const outcome = asWalcastError(error).status < 500 ? 'refused' : 'failed'
    tell({ action, outcome, by, detail: `${detail}: ${messageOf(error)}` })
    throw error
  }
}

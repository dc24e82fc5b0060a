/**
 * One line of the audit log: an entry as JSON, with texts that cannot steer a terminal or grow
 * without bound.
 */

import { AUDIT_ACTIONS, AUDIT_OUTCOMES, type AuditEntry } from '../api/audit.ts'
import { plainText } from '../plainText.ts'

const MAX_NAME_CHARS = 128
const MAX_DETAIL_CHARS = 500
const ROLES: readonly unknown[] = ['leader', 'replica', 'standby']

/** The entry as it is kept: only known fields, texts in one line and cut. */
export function tidyEntry(entry: AuditEntry): AuditEntry {
  const { at, node, action, outcome, role, epoch, txid, by, detail } = entry
  const kept = {
    at: plainText(at, MAX_NAME_CHARS),
    node: plainText(node, MAX_NAME_CHARS),
    action,
    outcome,
    role,
    epoch,
    txid,
    by: plainText(by, MAX_NAME_CHARS),
  }
  return detail === undefined ? kept : { ...kept, detail: plainText(detail, MAX_DETAIL_CHARS) }
}

/** A whole line with its end. */
export function formatEntry(entry: AuditEntry): string {
  return `${JSON.stringify(entry)}\n`
}

/** Undefined when the line is not a whole entry: torn by a crash, or not one of ours. */
export function parseEntry(line: string): AuditEntry | undefined {
  let value: Partial<Record<keyof AuditEntry, unknown>>
  try {
    value = Object(JSON.parse(line))
  } catch {
    return undefined
  }
  const { at, node, action, outcome, role, epoch, txid, by, detail } = value
  const isWhole =
    typeof at === 'string' &&
    Number.isFinite(Date.parse(at)) &&
    typeof node === 'string' &&
    AUDIT_ACTIONS.some((known) => known === action) &&
    AUDIT_OUTCOMES.some((known) => known === outcome) &&
    ROLES.includes(role) &&
    isCount(epoch) &&
    isCount(txid) &&
    typeof by === 'string' &&
    (detail === undefined || typeof detail === 'string')
  return isWhole ? tidyEntry(value as AuditEntry) : undefined
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

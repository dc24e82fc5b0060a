/**
 * One line of the audit log: an entry as JSON. Its texts are bounded and have no control
 * characters, so they cannot steer a terminal.
 */
import { AUDIT_ACTIONS, AUDIT_OUTCOMES, type AuditEntry } from '../api/audit.ts'
import { plainText } from '../plainText.ts'

const MAX_NAME_CHARS = 128
const MAX_DETAIL_CHARS = 500
const ROLES: readonly unknown[] = ['leader', 'replica', 'standby']

/** Keeps only known fields, and cuts each text to one line of bounded length. */
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

/** The line of an entry, with its line end. */
export function formatEntry(entry: AuditEntry): string {
  return `${JSON.stringify(entry)}\n`
}

/** Undefined for a line that a crash has torn, or that is no entry of ours. */
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

/** Which events of a node somebody wants to see. Pure. */
import type { AuditEntry } from '../../api/audit.ts'

export interface TimelineFilter {
  /** '' for all. */
  readonly action: string
  /** What who asked, the node or the detail contains, in any case; '' for all. */
  readonly text: string
}

export function isWanted(entry: AuditEntry, { action, text }: TimelineFilter): boolean {
  if (action !== '' && entry.action !== action) return false
  const { at, node, outcome, by, detail = '' } = entry
  const all = [at, node, entry.action, outcome, by, detail].join('\n').toLowerCase()
  return all.includes(text.trim().toLowerCase())
}

/** The actions among the entries, by name. */
export function timelineActions(entries: readonly AuditEntry[]): string[] {
  return [...new Set(entries.map(({ action }) => action))].sort()
}

/**
 * The audit log as it is read: what the node did and what was done to it, and apart from that what
 * holders of a token make it note as often as they like. However many such notes there are, they
 * push none of the other entries out, neither of a file nor of an answer.
 */
import type { AuditEntry, AuditSource } from '../api/audit.ts'

export class AuditTrail implements AuditSource {
  readonly #own: AuditSource
  readonly #noted: AuditSource

  constructor(own: AuditSource, noted: AuditSource) {
    this.#own = own
    this.#noted = noted
  }

  /** At most half of them are notes. */
  recent(limit: number): readonly AuditEntry[] {
    const noted = this.#noted.recent(Math.floor(limit / 2))
    return limit > 0 ? inOrder(this.#own.recent(limit), noted).slice(-limit) : []
  }
}

/** Each list stays in its order, also where a clock was set back. */
function inOrder(a: readonly AuditEntry[], b: readonly AuditEntry[]): AuditEntry[] {
  const all: AuditEntry[] = []
  let next = 0
  for (const entry of a) {
    while (next < b.length && b[next].at < entry.at) all.push(b[next++])
    all.push(entry)
  }
  return [...all, ...b.slice(next)]
}

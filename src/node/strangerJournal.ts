/**
 * Tells the audit log who did not prove to be a node of this cluster: at an address that this node
 * calls, in a signed request, or by not believing this node's certificate. An operator sees there a
 * member with a wrong key or another secret.
 *
 * One entry for each reason and address in ten minutes, with the number of those in between. A
 * scanner with many addresses runs out of entries. It takes none from nodes that prove the cluster
 * secret with a wrong key, nor from addresses that this node calls itself: a scanner is neither.
 */
import type { DatabaseView } from '../api/databaseView.ts'
import { monotonicMs } from '../platform/time.ts'
import { UNKNOWN_ADDRESS } from '../proxy/clientAddress.ts'
import { type AuditPlace, appendEntry } from './auditedChange.ts'
import { EntryBudget } from './entryBudget.ts'

export interface StrangerJournalParts extends AuditPlace {
  view(): Pick<DatabaseView, 'role' | 'position'>
}

/** `known`: found out about an address or a secret that is the cluster's own. */
export type Standing = 'known' | 'stranger'

const EVERY_MS = 600_000
/** Reasons with an address that are remembered; the one told of first is forgotten first. */
const MAX_TOLD = 256

interface Told {
  readonly atMs: number
  /** Since then. */
  untold: number
}

export class StrangerJournal {
  readonly #parts: StrangerJournalParts
  readonly #nowMs: () => number
  readonly #budgets: Readonly<Record<Standing, EntryBudget>>
  readonly #told = new Map<string, Told>()

  /** `nowMs`: a clock that never goes back. */
  constructor(parts: StrangerJournalParts, nowMs: () => number = () => monotonicMs()) {
    this.#parts = parts
    this.#nowMs = nowMs
    this.#budgets = {
      known: new EntryBudget({ burst: 20, everyMs: EVERY_MS }, nowMs),
      stranger: new EntryBudget({ burst: 5, everyMs: EVERY_MS }, nowMs),
    }
  }

  /** `by`: an address, with the name of a node if it has proven the secret. */
  refused(standing: Standing, by: string, detail: string): void {
    const nowMs = this.#nowMs()
    const key = `${by} ${detail}`
    const told = this.#told.get(key)
    const isDue = told === undefined || nowMs - told.atMs >= EVERY_MS
    if (!isDue || !this.#budgets[standing].take()) {
      if (told) told.untold++
      return
    }
    this.#remember(key, nowMs)
    const more = told && told.untold > 0 ? `; ${told.untold} more since the entry before` : ''
    const entry = { action: 'peer', outcome: 'refused', by, detail: `${detail}${more}` } as const
    void appendEntry(this.#parts, this.#parts.view(), entry)
  }

  /** A signed request. `node`: who has signed it with the secret, and has a wrong key. */
  onRefused(detail: string, address = UNKNOWN_ADDRESS, node?: string): void {
    if (node === undefined) this.refused('stranger', address, detail)
    else this.refused('known', `${node} (${address})`, detail)
  }

  #remember(key: string, atMs: number): void {
    this.#told.delete(key)
    this.#told.set(key, { atMs, untold: 0 })
    const [oldest] = this.#told.keys()
    if (this.#told.size > MAX_TOLD) this.#told.delete(oldest)
  }
}

/**
 * Notes in the audit log what automatic failover meets: the lock service is away or back, a leader
 * goes on by agreement, its lease is over or back, this node was not promoted. Changes of role note
 * themselves. One entry for each change that lasts until the next look, whatever is retried
 * meanwhile.
 */
import type { AuditEntry } from '../api/audit.ts'
import { isLeaseOver } from '../api/electionLine.ts'
import { AUTOMATIC_FAILOVER, type ElectionReport } from '../api/electionReport.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer, type Timer } from '../platform/time.ts'
import { type AuditParts, tellAudit } from './auditedChange.ts'

const LOOK_MS = 1000
/** A service that has not answered for so long is away: one call that failed is no news. */
const AWAY_MS = 1000
/** Between two entries that say why the node was not promoted. */
const REASON_MS = 60_000

export type ElectionTurn = Pick<AuditEntry, 'outcome'> & { readonly detail: string }

export class ElectionJournal {
  readonly #timer: Timer

  /** Undefined with --election static. */
  static of(
    parts: AuditParts,
    election: { report(): ElectionReport } | undefined,
  ): ElectionJournal | undefined {
    return election && new ElectionJournal(parts, election)
  }

  private constructor(parts: AuditParts, election: { report(): ElectionReport }) {
    const turns = new ElectionTurns()
    this.#timer = setRepeatingTimer(() => {
      for (const turn of turns.look(election.report(), monotonicMs()))
        tellAudit(parts, { action: 'election', by: AUTOMATIC_FAILOVER, ...turn })
    }, LOOK_MS).unref()
  }

  stop(): void {
    cancelTimer(this.#timer)
  }
}

/** What is to be noted, from one report after another. */
export class ElectionTurns {
  #isAway = false
  #isAgreed = false
  #isOver = false
  /** Why it was not promoted, at the last look and in the last entry. */
  #why: string | null = null
  #toldWhy: string | null = null
  #toldMs = Number.NEGATIVE_INFINITY

  /** `nowMs`: by a clock that never goes back. */
  look(report: ElectionReport, nowMs: number): ElectionTurn[] {
    return [
      ...this.#service(report),
      ...this.#agreement(report),
      ...this.#lease(report),
      ...this.#promotion(report, nowMs),
    ]
  }

  #service({ awayForMs, awayBecause }: ElectionReport): ElectionTurn[] {
    const was = this.#isAway
    this.#isAway = awayForMs !== null && (was || awayForMs >= AWAY_MS)
    if (this.#isAway === was) return []
    return this.#isAway
      ? [failed(`the lock service is away: ${awayBecause ?? 'it does not answer'}`)]
      : [done('the lock service answers again')]
  }

  #agreement({ isByAgreement, awayForMs }: ElectionReport): ElectionTurn[] {
    const was = this.#isAgreed
    // Between two agreements the last one may have run out for a moment: that is the same outage.
    this.#isAgreed = isByAgreement || (was && awayForMs !== null)
    if (was || !isByAgreement) return []
    return [done('every member agrees that this leader goes on without the lock service')]
  }

  #lease(report: ElectionReport): ElectionTurn[] {
    const was = this.#isOver
    this.#isOver = isLeaseOver(report)
    if (this.#isOver === was) return []
    const { disagreed, validForMs } = report
    const why = disagreed === null ? '' : `; ${disagreed}`
    if (this.#isOver)
      return [failed(`the lease of this leader is over: nobody may write here${why}`)]
    // The role has an entry of its own when it leads no more.
    return validForMs === null ? [] : [done('this leader may write again')]
  }

  #promotion({ notPromoted, awayForMs }: ElectionReport, nowMs: number): ElectionTurn[] {
    const why = awayForMs === null ? notPromoted : null
    const isSettled = why !== null && this.#why !== null
    this.#why = why
    if (why === null) this.#toldWhy = null
    // What it waits for a moment is no news.
    if (!isSettled || why === this.#toldWhy) return []
    if (this.#toldWhy !== null && nowMs - this.#toldMs < REASON_MS) return []
    this.#toldWhy = why
    this.#toldMs = nowMs
    return [failed(`no node holds the lease, and this one was not promoted: ${why}`)]
  }
}

function failed(detail: string): ElectionTurn {
  return { outcome: 'failed', detail }
}

function done(detail: string): ElectionTurn {
  return { outcome: 'done', detail }
}

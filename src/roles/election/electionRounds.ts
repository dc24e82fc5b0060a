/**
 * What is due in one round of the election: a leader keeps its lease, a candidate its note, and
 * takes the lease when nobody holds it.
 */
import type { Logger } from 'pino'
import { keyOf, messageOf } from '../../errors.ts'
import type { ElectionMetrics } from '../../health/electionMetrics.ts'
import { monotonicMs } from '../../platform/time.ts'
import type { Agreement } from './agreement.ts'
import type { Candidate } from './candidate.ts'
import type { CountedReplicas } from './countedReplicas.ts'
import type { ElectionSight } from './electionSight.ts'
import type { LeaseHolder } from './leaseHolder.ts'
import { type LeaseValidity, RENEW_AT } from './leaseValidity.ts'

export interface ElectionRoundsParts {
  readonly log: Logger
  readonly validity: LeaseValidity
  readonly sight: ElectionSight
  readonly holder: LeaseHolder
  readonly candidate: Candidate
  readonly agreement: Agreement
  readonly counted: CountedReplicas
  /** How long a call to another node may take, ms. */
  readonly timeoutMs: number
  record(): { readonly role: string; readonly node: string; readonly epoch: number }
  /** Posts what was found out. */
  readonly news: ElectionNews
  /** Undefined: not counted. */
  readonly metrics?: ElectionMetrics
}

export interface LeasedLeader {
  readonly node: string
  readonly address: string
  readonly epoch: number
}

export interface ElectionNews {
  /** This node has the lease, and follows. */
  elected(epoch: number, reason: string): void
  /** Another node has the lease, or had it after this one. */
  leaseMoved(leader: LeasedLeader): void
  /** It is time to look whether the lease of this leader still counts. */
  leaseDue(): void
}

/** While the service fails, calls to it for each TTL. */
const RETRIES = 10
/** A leader asks the members when its lease counts for so little longer, and how often, in TTLs. */
const ASK_BEFORE = 0.4
const ASK_EVERY = 0.2
/** How often a node is told again whom the lease makes its leader, ms. */
const TELL_MS = 1000

export class ElectionRounds {
  readonly #parts: ElectionRoundsParts
  #triedMs = Number.NEGATIVE_INFINITY
  #toldMs = Number.NEGATIVE_INFINITY
  #askedMs = Number.NEGATIVE_INFINITY
  #isAsking = false
  #wasAway = false
  /** The last failure of another kind that was logged. */
  #told = ''

  constructor(parts: ElectionRoundsParts) {
    this.#parts = parts
  }

  /** How long to pause while the service is away, ms. */
  get retryMs(): number {
    return this.#parts.validity.ttlMs / RETRIES
  }

  async lead(): Promise<void> {
    const { validity, counted, candidate, sight, holder, record } = this.#parts
    if (!validity.lease) return this.#takeAgain()
    if (sight.isStale && !(await this.#isOwn())) return this.#onLost()
    // A leader begins epochs by itself when something else has written to its database.
    const { epoch } = record()
    if (holder.term && holder.term.epoch < epoch) await holder.requireEpoch(epoch)
    await candidate.withdraw()
    await counted.keep()
  }

  /** When it is due, whichever role this node has. Throws ELECTION_AWAY. */
  async renew(): Promise<void> {
    const { validity, news, sight, record, log } = this.#parts
    const { lease } = validity
    const nowMs = monotonicMs()
    if (!lease || nowMs < lease.sentMs + RENEW_AT * lease.ttlMs) return
    if (nowMs - this.#triedMs < this.retryMs) return
    this.#triedMs = nowMs
    if (await this.#renewOnce()) sight.onAnswered()
    else if (record().role === 'leader') log.error({}, 'the lease of this leader has ended')
    else validity.end()
    news.leaseDue()
  }

  async follow(): Promise<void> {
    const { sight, candidate, news, record, holder, metrics } = this.#parts
    // On the way to lead, or to let go of the lease.
    if (holder.mayHold) return
    const seen = sight.isStale || !sight.last ? await sight.look() : sight.last
    const { isHeld, term, freeSinceMs } = seen
    await candidate.keepNote(seen)
    if (isHeld && term && term.node !== record().node && term.epoch >= record().epoch)
      if (candidate.isElsewhere(term.node)) this.#tellMoved(term)
    if (freeSinceMs === undefined) return
    const elected = await candidate.campaign({ ...seen, freeSinceMs })
    if (!elected) return
    metrics?.onElected()
    news.elected(elected.epoch, elected.reason)
  }

  onDone(): void {
    if (this.#parts.sight.away || !this.#wasAway) return
    this.#wasAway = false
    this.#parts.log.warn({}, 'the lock service answers again')
  }

  onFailed(error: unknown): void {
    const { sight, log, record } = this.#parts
    const detail = messageOf(error)
    const key = keyOf(error)
    if (key !== 'ELECTION_AWAY' && key !== 'ELECTION_UNFIT') {
      if (detail !== this.#told) log.info({ error: detail }, 'a step of the election failed')
      this.#told = detail
      return
    }
    sight.onFailed(error)
    if (!this.#wasAway) log.warn({ error: detail }, 'the lock service cannot be used')
    this.#wasAway = true
    if (record().role === 'leader') this.#askMembers()
  }

  /** Why the lease of this leader does not count, for people. */
  get why(): string {
    const { sight, agreement } = this.#parts
    const { away } = sight
    if (!away) return 'it has run out, or another node has it'
    const disagreed = agreement.why === '' ? '' : `, and not every member agrees: ${agreement.why}`
    return `${away.detail}${disagreed}`
  }

  async #renewOnce(): Promise<boolean> {
    const { holder, metrics } = this.#parts
    try {
      const isRenewed = await holder.renew()
      metrics?.onRenewal(isRenewed ? 'renewed' : 'ended')
      return isRenewed
    } catch (error) {
      metrics?.onRenewal('failed')
      throw error
    }
  }

  /** Whether what the service holds is still this node's. */
  async #isOwn(): Promise<boolean> {
    const { sight, record, validity, holder } = this.#parts
    const { isHeld, term } = await sight.look()
    if (validity.lease === undefined || (isHeld && term?.node === record().node)) return true
    if (!isHeld || term) return false
    // Gone, or nothing that this cluster wrote, while the lease goes on.
    await holder.restoreTerm()
    return true
  }

  async #onLost(): Promise<void> {
    const { validity, log } = this.#parts
    validity.endLease()
    log.error({}, 'the lease of this leader has ended')
    await this.#takeAgain()
  }

  /** Nobody may have led since: this node goes on in its epoch then. Otherwise it follows. */
  async #takeAgain(): Promise<void> {
    const { sight, holder, news, record, log, validity, agreement, timeoutMs } = this.#parts
    const { isHeld, term } = await sight.look()
    const { node, epoch } = record()
    const isOthers = term !== undefined && term.node !== node && term.epoch >= epoch
    if (isOthers || isHeld) {
      validity.end()
      news.leaseDue()
      if (isOthers) this.#tellMoved(term)
      return
    }
    // Where the service does not tell that this node led last, the members do: its data was lost.
    const isKnown = term !== undefined && term.node === node && term.epoch >= epoch
    const isCertain = isKnown || validity.wouldCount || (await agreement.renew(timeoutMs))
    if (!isCertain) return
    await holder.take({ atLeast: epoch, asBefore: true, isCertain })
    log.warn({}, 'this leader has the lease again')
    news.leaseDue()
  }

  #tellMoved(leader: LeasedLeader): void {
    const nowMs = monotonicMs()
    if (nowMs - this.#toldMs < TELL_MS) return
    this.#toldMs = nowMs
    this.#parts.news.leaseMoved(leader)
  }

  /** Without the service a leader goes on only as long as everybody agrees. */
  #askMembers(): void {
    const { agreement, validity, timeoutMs, news } = this.#parts
    const nowMs = monotonicMs()
    const { ttlMs, fenceMs } = validity
    const isSafe = fenceMs - nowMs > ASK_BEFORE * ttlMs
    if (isSafe || this.#isAsking || nowMs - this.#askedMs < ASK_EVERY * ttlMs) return
    this.#isAsking = true
    this.#askedMs = nowMs
    void agreement.renew(timeoutMs).finally(() => {
      this.#isAsking = false
      news.leaseDue()
    })
  }
}

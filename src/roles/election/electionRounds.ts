/**
 * What is due in one round of the election: a leader keeps its lease, a candidate its note, and
 * takes the lease when nobody holds it.
 */
import type { Logger } from 'pino'
import { keyOf, messageOf } from '../../errors.ts'
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

  constructor(parts: ElectionRoundsParts) {
    this.#parts = parts
  }

  /** How long to pause while the service is away, ms. */
  get retryMs(): number {
    return this.#parts.validity.ttlMs / RETRIES
  }

  /** `isStarted`: whether the node has its first role. */
  async hold(isStarted: boolean): Promise<void> {
    const { validity, counted, candidate, sight, record } = this.#parts
    const isLeader = record().role === 'leader'
    if (validity.lease && !(await this.#renew())) return isLeader ? this.#onLost() : validity.end()
    if (!isLeader || !isStarted) return
    if (!validity.lease) return this.#takeAgain()
    if (sight.isStale && !(await this.#isOwn())) return this.#onLost()
    await candidate.withdraw()
    await counted.keep()
  }

  async follow(): Promise<void> {
    const { sight, candidate, news, record, holder } = this.#parts
    // On the way to lead, or to let go of the lease.
    if (holder.mayHold) return
    const seen = sight.isStale || !sight.last ? await sight.look() : sight.last
    const { isHeld, term, freeSinceMs } = seen
    await candidate.keepNote(seen)
    if (isHeld && term && term.node !== record().node && term.epoch >= record().epoch)
      if (candidate.isElsewhere(term.node)) this.#tellMoved(term)
    if (freeSinceMs === undefined) return
    const elected = await candidate.campaign({ ...seen, freeSinceMs })
    if (elected) news.elected(elected.epoch, elected.reason)
  }

  onDone(): void {
    if (this.#parts.sight.away || !this.#wasAway) return
    this.#wasAway = false
    this.#parts.log.warn({}, 'the lock service answers again')
  }

  onFailed(error: unknown): void {
    const { sight, log, record } = this.#parts
    const detail = messageOf(error)
    if (keyOf(error) !== 'ELECTION_AWAY') {
      log.info({ error: detail }, 'a step of the election came to nothing')
      return
    }
    sight.onFailed(error)
    if (!this.#wasAway) log.warn({ error: detail }, 'the lock service is away')
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

  /** When it is due. False: the lease has ended. */
  async #renew(): Promise<boolean> {
    const { validity, holder, news, sight } = this.#parts
    const { lease } = validity
    const nowMs = monotonicMs()
    if (!lease || nowMs < lease.sentMs + RENEW_AT * lease.ttlMs) return true
    if (nowMs - this.#triedMs < this.retryMs) return true
    this.#triedMs = nowMs
    if (!(await holder.renew())) return false
    sight.onAnswered()
    news.leaseDue()
    return true
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
    const { isHeld, term, isForeign } = await sight.look()
    const { node, epoch } = record()
    const isOthers = term !== undefined && term.node !== node && term.epoch > epoch
    if (isOthers || isHeld) {
      validity.end()
      news.leaseDue()
      if (isOthers) this.#tellMoved(term)
      return
    }
    // Who led since then is not to be read there: the members know.
    if (isForeign && !(await agreement.renew(timeoutMs))) return
    await holder.take({ atLeast: epoch, asBefore: true })
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
    void agreement.renew(timeoutMs).then(() => {
      this.#isAsking = false
      news.leaseDue()
    })
  }
}

/**
 * The failsafe: while the lock service is away a leader goes on if every member agrees that it
 * still leads. Who agreed does not campaign until that has run out, by its own clock, from when it
 * said so: later than the leader counts.
 */
import type { AgreementAsked, AgreementGiven } from '../../api/roleActions.ts'
import type { Member } from '../../cluster/nodeRecord.ts'
import { messageOf } from '../../errors.ts'
import type { ElectionMetrics } from '../../health/electionMetrics.ts'
import { monotonicMs } from '../../platform/time.ts'
import type { LeaseValidity } from './leaseValidity.ts'

export interface AgreementParts {
  readonly validity: LeaseValidity
  readonly ttlMs: number
  members(): readonly Member[]
  record(): { readonly node: string; readonly epoch: number; readonly role: string }
  /** Whether this node holds the lease, or may. */
  mayHold(): boolean
  /** Whom this node follows. */
  leader(): string
  /** Undefined: not counted. */
  readonly metrics?: ElectionMetrics
  ask(address: string, asked: AgreementAsked, timeoutMs: number): Promise<AgreementGiven>
}

export class Agreement {
  readonly #parts: AgreementParts
  #agreedUntilMs = Number.NEGATIVE_INFINITY
  #why = ''

  constructor(parts: AgreementParts) {
    this.#parts = parts
  }

  /** Until when this node does not campaign, by the monotonic clock. */
  get agreedUntilMs(): number {
    return this.#agreedUntilMs
  }

  /** Who did not agree the last time, for people; '' when all did, or none was asked. */
  get why(): string {
    return this.#why
  }

  /** The leader has its agreement from this node, or not. */
  answer(asked: AgreementAsked): AgreementGiven {
    const given = this.#judge(asked)
    this.#parts.metrics?.onAgreement(given.agrees ? 'given' : 'refused')
    return given
  }

  #judge({ node, epoch, forMs }: AgreementAsked): AgreementGiven {
    const { record, mayHold, leader, ttlMs } = this.#parts
    const { node: own, epoch: known, role } = record()
    const refuse = (why: string) => ({ node: own, agrees: false, why })
    if (role === 'leader') return refuse('it leads itself')
    if (known > epoch) return refuse(`it knows of epoch ${known}`)
    if (leader() !== node) return refuse('it does not follow that node')
    if (mayHold()) return refuse('it may hold the lease itself')
    if (forMs > ttlMs) return refuse(`it agrees for ${ttlMs} ms at most: its --ttl is shorter`)
    this.#agreedUntilMs = Math.max(this.#agreedUntilMs, monotonicMs() + forMs)
    return { node: own, agrees: true, why: '' }
  }

  /** Asks every member at once. The lease counts for another TTL if all agree. */
  async renew(timeoutMs: number): Promise<boolean> {
    const { members, record, validity, ttlMs, ask } = this.#parts
    const { node, epoch } = record()
    const sentMs = monotonicMs()
    const answers = await Promise.all(
      members().map(async ({ node: member, address }) => {
        const given = await ask(address, { node, epoch, forMs: ttlMs }, timeoutMs).catch(
          (error): AgreementGiven => ({ node: member, agrees: false, why: messageOf(error) }),
        )
        if (given.node !== member) return { member, agrees: false, why: 'it is not there' }
        return { member, ...given }
      }),
    )
    const refusals = answers.filter(({ agrees }) => !agrees)
    this.#why = refusals.map(({ member, why }) => `${member}: ${why}`).join('; ')
    this.#parts.metrics?.onAgreement(refusals.length === 0 ? 'agreed' : 'disagreed')
    // What it has become meanwhile decides, not what it was when it asked.
    if (refusals.length > 0 || record().epoch !== epoch || record().role !== 'leader') return false
    validity.agree(sentMs, ttlMs)
    return true
  }
}

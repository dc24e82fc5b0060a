/**
 * How long a lease counts for the node that holds it, by its own monotonic clock. The service
 * begins to count when a request arrives, so what is counted from when it was sent ends earlier,
 * whatever the network does. A margin covers clocks that run at different rates. The monotonic
 * clock of a machine that is paused stands still: what the time of day has gained on it since
 * counts as time that went by. So setting that clock forward costs a renewal, and nothing else.
 *
 *     sent ───── a third: renewed ───── fence ───── ended here ───── ended in the service
 */
import { monotonicMs, wallMs } from '../../platform/time.ts'
import type { Lease } from './leaseService.ts'

/** Of two machines at most: the worst clocks drift by 0.1 %, virtual ones by more. */
const CLOCK_RATES = 0.05
/** When the write lock is taken, as a share of the TTL: a transaction may hold it for a while. */
const FENCE_AT = 0.7
/** When it is renewed. */
export const RENEW_AT = 1 / 3

export class LeaseValidity {
  /** What is asked of the service, ms; it may grant more. */
  readonly ttlMs: number
  #lease: Lease | undefined
  /** What all members agreed to while the service is away: until then, and from when it counts. */
  #agreed: { readonly sentMs: number; readonly forMs: number } | undefined
  /** What was sent before does not count. */
  #trustedFromMs = Number.NEGATIVE_INFINITY
  /** The time of day less the monotonic clock when the lease, or an agreement, began to count. */
  #aheadMs = 0
  /** Until when the lease counted that has ended. */
  #endedUntilMs = Number.NEGATIVE_INFINITY

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs
  }

  get lease(): Lease | undefined {
    return this.#lease
  }

  /** Whether members' agreement counts in place of the service. */
  isByAgreement(nowMs: number): boolean {
    return nowMs >= this.#leaseEndsMs(FENCE_AT) && nowMs < this.#agreedEndsMs(FENCE_AT)
  }

  /** It was taken or renewed. */
  hold(lease: Lease): void {
    const isTrusted = lease.sentMs >= this.#trustedFromMs
    this.#lease = isTrusted ? lease : { ...lease, sentMs: Number.NEGATIVE_INFINITY }
    this.#agreed = undefined
    this.#aheadMs = wallMs() - monotonicMs()
  }

  /** Every member agreed: asked at `sentMs`, for `forMs` from when each heard it. */
  agree(sentMs: number, forMs: number): void {
    if (sentMs < this.#trustedFromMs) return
    this.#agreed = { sentMs, forMs }
    this.#aheadMs = wallMs() - monotonicMs()
  }

  /** It ended in the service. What members agreed to still counts. */
  endLease(): void {
    this.#endedUntilMs = this.#leaseEndsMs(1 - CLOCK_RATES)
    this.#lease = undefined
  }

  /** It was let go, or somebody else has it. */
  end(): void {
    this.#lease = undefined
    this.#agreed = undefined
    this.#endedUntilMs = Number.NEGATIVE_INFINITY
  }

  /** Whether the lease that has ended in the service would still count: nobody may lead by then. */
  get wouldCount(): boolean {
    return monotonicMs() + this.#gainMs < this.#endedUntilMs
  }

  /**
   * What stood still may have missed more than its clock tells: only a renewal counts that is sent
   * from `nowMs` on.
   */
  distrust(nowMs: number): void {
    this.#trustedFromMs = nowMs
    if (this.#lease) this.#lease = { ...this.#lease, sentMs: Number.NEGATIVE_INFINITY }
    this.#agreed = undefined
  }

  /** Until when a write may be let in. */
  get untilMs(): number {
    const share = 1 - CLOCK_RATES
    return Math.max(this.#leaseEndsMs(share), this.#agreedEndsMs(share)) - this.#gainMs
  }

  /** From when the write lock is to be held. */
  get fenceMs(): number {
    return Math.max(this.#leaseEndsMs(FENCE_AT), this.#agreedEndsMs(FENCE_AT)) - this.#gainMs
  }

  /** By how much the time of day has gone further than the monotonic clock. */
  get #gainMs(): number {
    return Math.max(0, wallMs() - monotonicMs() - this.#aheadMs)
  }

  #leaseEndsMs(share: number): number {
    if (!this.#lease) return Number.NEGATIVE_INFINITY
    return this.#lease.sentMs + this.#lease.ttlMs * share
  }

  #agreedEndsMs(share: number): number {
    if (!this.#agreed) return Number.NEGATIVE_INFINITY
    return this.#agreed.sentMs + this.#agreed.forMs * share
  }
}

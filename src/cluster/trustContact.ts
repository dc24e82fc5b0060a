/** What this node knows of the trust record of one other member, and when it may ask there next. */
import { keyOf } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { monotonicMs } from '../platform/time.ts'

export interface ContactPauses {
  /** The least time between two exchanges with one member, ms. */
  readonly pauseMs: number
  /** Pauses after failed attempts, ms. */
  readonly minRetryMs: number
  readonly maxRetryMs: number
}

export class TrustContact {
  /** Whether the member has to hear of this node's record. */
  isDue = false
  isUnderWay = false
  readonly #pauseMs: number
  readonly #backoff: Backoff
  /** As last told by the member itself; '' when unknown. */
  #digest = ''
  #notBeforeMs = 0
  #hasFailed = false
  #isAway = false

  constructor({ pauseMs, minRetryMs, maxRetryMs }: ContactPauses) {
    this.#pauseMs = pauseMs
    this.#backoff = new Backoff(minRetryMs, maxRetryMs)
  }

  get notBeforeMs(): number {
    return this.#notBeforeMs
  }

  /** The last attempt got no answer at all. */
  get isAway(): boolean {
    return this.#isAway
  }

  /** Whether the member is known to have a record of this digest. */
  isLevel(own: string): boolean {
    return this.#digest === own
  }

  /** The member told a digest that is not this node's. */
  onDigest(digest: string): void {
    // It was away and is back, or knows something new: no need to wait for the next attempt.
    if (this.#isAway || (this.#hasFailed && digest !== this.#digest)) this.#notBeforeMs = 0
    this.#digest = digest
    this.isDue = true
  }

  /** The member has a record of this digest. It stays due while that is not this node's. */
  onMet(digest: string, own: string): void {
    this.#digest = digest
    this.#hasFailed = false
    this.#isAway = false
    this.isDue = digest !== own
    this.#notBeforeMs = monotonicMs() + this.#pauseMs
    if (!this.isDue) this.#backoff.reset()
  }

  /** Asking again at once would not help. */
  backOff(): void {
    this.isDue = true
    this.#notBeforeMs = monotonicMs() + this.#backoff.nextMs()
  }

  /** Returns whether the attempt before went well. */
  onFailed(error: unknown): boolean {
    const isFirst = !this.#hasFailed
    this.#hasFailed = true
    this.#isAway = keyOf(error) === 'NODE_UNREACHABLE'
    this.backOff()
    return isFirst
  }
}

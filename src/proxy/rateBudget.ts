/** A token bucket: so many a second, and at once as many as one second gives. */
import { monotonicMs } from '../platform/time.ts'

export class RateBudget {
  readonly #perSecond: number
  readonly #nowMs: () => number
  #left: number
  #atMs: number

  /** `nowMs`: a clock that never goes back. */
  constructor(perSecond: number, nowMs: () => number = () => monotonicMs()) {
    this.#perSecond = perSecond
    this.#nowMs = nowMs
    this.#left = perSecond
    this.#atMs = nowMs()
  }

  /** Takes one, if one is left now. */
  take(): boolean {
    const nowMs = this.#nowMs()
    this.#left = Math.min(
      this.#perSecond,
      this.#left + ((nowMs - this.#atMs) / 1000) * this.#perSecond,
    )
    this.#atMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}

/**
 * How many entries of one kind the audit log takes: a few at once, and then one in a fixed time.
 * Strangers can cause such entries, and must not push out of the log what operators did.
 */
import { monotonicMs } from '../platform/time.ts'

export interface EntryLimits {
  readonly burst: number
  /** One more after each. */
  readonly everyMs: number
}

export class EntryBudget {
  readonly #limits: EntryLimits
  readonly #nowMs: () => number
  #left: number
  #asOfMs: number

  /** `nowMs`: a clock that never goes back. */
  constructor(limits: EntryLimits, nowMs: () => number = () => monotonicMs()) {
    this.#limits = limits
    this.#nowMs = nowMs
    this.#asOfMs = nowMs()
    this.#left = limits.burst
  }

  /** Takes one, if one is left now. */
  take(): boolean {
    const { burst, everyMs } = this.#limits
    const nowMs = this.#nowMs()
    this.#left = Math.min(burst, this.#left + (nowMs - this.#asOfMs) / everyMs)
    this.#asOfMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}

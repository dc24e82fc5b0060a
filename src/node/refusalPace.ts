/**
 * How often the audit log is told of strangers who were refused: a few at once and then one every
 * ten minutes. They must not push out of the log what operators did.
 */
import { monotonicMs } from '../platform/time.ts'

const BURST = 5
const EVERY_MS = 600_000

export class RefusalPace {
  /** How many it may still tell of, as of then. */
  #left = BURST
  #asOfMs = monotonicMs()
  #untold = 0

  /** Undefined when this one is not to be told; otherwise what to add about those before it. */
  take(): string | undefined {
    const nowMs = monotonicMs()
    this.#left = Math.min(BURST, this.#left + (nowMs - this.#asOfMs) / EVERY_MS)
    this.#asOfMs = nowMs
    if (this.#left < 1) {
      this.#untold++
      return undefined
    }
    this.#left--
    const untold = this.#untold
    this.#untold = 0
    return untold > 0 ? `; ${untold} more were refused since the entry before` : ''
  }
}

/**
 * Notices that this process stood still (SIGSTOP, a paused machine): much may have happened
 * meanwhile.
 */
import type { Clock } from '../../platform/clock.ts'
import { wallMs } from '../../platform/time.ts'

export class Standstill {
  /** A pause of the event loop, ms, that counts. */
  readonly #frozenMs: number
  readonly #clock: Clock
  #lastMonotonicMs: number
  #lastWallMs: number

  constructor(frozenMs: number, clock: Clock) {
    this.#frozenMs = frozenMs
    this.#clock = clock
    this.#lastMonotonicMs = clock.nowMs()
    this.#lastWallMs = wallMs()
  }

  /** What went before does not count. */
  begin(): void {
    this.#lastMonotonicMs = this.#clock.nowMs()
    this.#lastWallMs = wallMs()
  }

  /**
   * For how long it stood still since it last looked, ms; 0 when it did not. To be called often.
   */
  look(): number {
    const [monotonicMs, nowMs] = [this.#clock.nowMs(), wallMs()]
    // A paused machine may stop either clock; one that is set is asked in vain, and that costs
    // nothing.
    const pauseMs = Math.max(
      monotonicMs - this.#lastMonotonicMs,
      Math.abs(nowMs - this.#lastWallMs),
    )
    this.#lastMonotonicMs = monotonicMs
    this.#lastWallMs = nowMs
    return pauseMs > this.#frozenMs ? pauseMs : 0
  }
}

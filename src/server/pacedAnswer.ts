/**
 * An answer that costs something to make, for whoever asks. A few askers in each period have one of
 * their own at once. More than that wait for the end of the period and share one, made after they
 * asked: nobody is given an old answer. Where many share one the next period is longer. An answer
 * that is kept for a while would cost less to make, and more to give: whoever asks again as soon as
 * it is answered would ask many times as often.
 */
import { monotonicMs, setTimer } from '../platform/time.ts'

export interface Pace {
  /** Made at once in each period. */
  readonly free: number
  readonly periodMs: number
  /** So many share one: a crowd. */
  readonly crowd: number
  /** In place of `periodMs` after that. */
  readonly crowdPeriodMs: number
}

export class PacedAnswer<T> {
  readonly #make: () => Promise<T>
  readonly #pace: Pace
  #periodMs: number
  #sharing = 0
  #made = 0
  #beganMs = Number.NEGATIVE_INFINITY
  #shared: Promise<T> | undefined

  constructor(make: () => Promise<T>, pace: Pace) {
    this.#make = make
    this.#pace = pace
    this.#periodMs = pace.periodMs
  }

  /** Rejects as `make` does. */
  get(): Promise<T> {
    const nowMs = monotonicMs()
    const leftMs = this.#beganMs + this.#periodMs - nowMs
    if (leftMs <= 0 && !this.#shared) {
      this.#beganMs = nowMs
      this.#made = 0
      this.#periodMs = this.#pace.periodMs
    }
    if (this.#made < this.#pace.free) {
      this.#made++
      return this.#make()
    }
    this.#sharing++
    this.#shared ??= new Promise((resolve) => {
      setTimer(() => {
        this.#beginShared()
        resolve(this.#make())
      }, leftMs)
    })
    return this.#shared
  }

  #beginShared(): void {
    const { crowd, periodMs, crowdPeriodMs } = this.#pace
    this.#shared = undefined
    this.#beganMs = monotonicMs()
    this.#periodMs = this.#sharing >= crowd ? crowdPeriodMs : periodMs
    this.#made = 1
    this.#sharing = 0
  }
}

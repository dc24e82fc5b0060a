/**
 * Makes an expensive answer for everyone who asks. In each period a few askers get one of their own
 * at once. The others wait for the end of the period and share one. It is made after they asked, so
 * no asker gets an old answer. Where many share one, the next period is longer. Keeping an answer
 * for a while would be cheaper to make and dearer to give: a client that asks again as soon as it
 * has its answer would ask many times as often.
 */
import { monotonicMs, setTimer } from '../platform/time.ts'

export interface Pace {
  /** How many answers are made at once in each period. */
  readonly free: number
  readonly periodMs: number
  /** From how many askers on that share one answer they are a crowd. */
  readonly crowd: number
  /** Length of the period that follows a crowd. */
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

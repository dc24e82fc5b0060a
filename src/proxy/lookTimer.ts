/** Calls for a look at the application, by the clock. Keeps no process from ending. */
import { cancelTimer, setRepeatingTimer, setTimer, type Timer } from '../platform/time.ts'

/** The longest pause while the application boots: balancers hear of it as soon as it is up. */
const BOOT_LOOK_MS = 250

export class LookTimer {
  readonly #everyMs: number
  readonly #look: () => void
  readonly #timer: Timer
  #soonTimer: Timer | undefined
  #isStopped = false

  constructor(everyMs: number, look: () => void) {
    this.#everyMs = everyMs
    this.#look = look
    this.#timer = setRepeatingTimer(look, everyMs).unref()
  }

  /** One more look, before the next regular one. */
  soon(): void {
    if (this.#isStopped || this.#soonTimer) return
    this.#soonTimer = setTimer(
      () => {
        this.#soonTimer = undefined
        this.#look()
      },
      Math.min(this.#everyMs, BOOT_LOOK_MS),
    ).unref()
  }

  stop(): void {
    this.#isStopped = true
    cancelTimer(this.#timer)
    cancelTimer(this.#soonTimer)
  }
}

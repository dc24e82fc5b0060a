/** The pause between two rounds of a task: it may be cut short, and ends for good with the task. */
import { cancelTimer, setTimer } from '../platform/time.ts'

export class WakeablePause {
  #isEnded = false
  /** A wake came while nothing was pausing. */
  #isAwake = false
  #resume: (() => void) | undefined

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Ends at once after a `wake` since the last pause. One at a time. */
  async wait(ms: number): Promise<void> {
    if (!this.#isEnded && !this.#isAwake)
      await new Promise<void>((resolve) => {
        const timer = setTimer(resolve, ms)
        this.#resume = () => {
          cancelTimer(timer)
          resolve()
        }
      })
    this.#resume = undefined
    this.#isAwake = false
  }

  wake(): void {
    this.#isAwake = true
    this.#resume?.()
  }

  /** No pause lasts from now on. */
  end(): void {
    this.#isEnded = true
    this.#resume?.()
  }
}

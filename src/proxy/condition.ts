/** A condition that is waited for, and looked at whenever something has happened to it. */
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

export class Condition {
  readonly #looks = new Set<() => void>()

  /** Something has happened. */
  notify(): void {
    for (const look of this.#looks) look()
  }

  /** Resolves with whether the condition holds, at the latest after `timeoutMs`. */
  async until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return true
    let timer: Timer | undefined
    let look: () => void = () => {}
    await new Promise<void>((resolve) => {
      look = () => {
        if (holds()) resolve()
      }
      this.#looks.add(look)
      timer = setTimer(resolve, timeoutMs)
    })
    cancelTimer(timer)
    this.#looks.delete(look)
    return holds()
  }
}

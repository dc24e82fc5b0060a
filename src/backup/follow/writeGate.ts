/** Holds writes to a copy back while a checkpoint lets go of its lock. */
export class WriteGate {
  #held = 0
  readonly #waiting = new Set<() => void>()

  /** Until the function that it gives is called, once. */
  hold(): () => void {
    this.#held++
    return () => {
      this.#held--
      if (this.#held > 0) return
      const waiting = [...this.#waiting]
      this.#waiting.clear()
      for (const go of waiting) go()
    }
  }

  /** False is true for this turn only: look again after each `await`. */
  get isClosed(): boolean {
    return this.#held > 0
  }

  /** Resolves when the gate opens. It may be closed again by then. */
  opened(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }
}

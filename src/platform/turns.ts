/**
 * So many at once; others wait for their turn, in order. Those past a bound are refused, so that
 * nothing grows with the number of askers.
 */
export class Turns {
  readonly #atOnce: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #taken = 0

  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce
    this.#maxWaiting = maxWaiting
  }

  /**
   * Waits for a turn. Gives what ends it, which may be called more than once; undefined when too
   * many wait already.
   */
  async take(): Promise<(() => void) | undefined> {
    if (this.#taken < this.#atOnce) this.#taken++
    else if (this.#waiting.length >= this.#maxWaiting) return undefined
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      const next = this.#waiting.shift()
      if (next) next()
      else this.#taken--
    }
  }
}

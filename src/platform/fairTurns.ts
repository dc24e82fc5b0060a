/**
 * So many at once, and so many of each asker. Others wait, and askers have their turns one after
 * another: who asks for much waits behind itself only. Those past a bound are refused, so that
 * nothing grows with the number of askers, nor with what one of them asks for.
 */
export interface TurnLimits {
  readonly atOnce: number
  readonly maxWaiting: number
  /** Of one asker. */
  readonly atOnceEach: number
  readonly maxWaitingEach: number
}

interface Line {
  readonly waiting: (() => void)[]
  taken: number
}

export class FairTurns {
  readonly #limits: TurnLimits
  /** Askers that have a turn or wait for one; who had the last turn is behind the others. */
  readonly #lines = new Map<string, Line>()
  #taken = 0
  #waiting = 0

  constructor(limits: TurnLimits) {
    this.#limits = limits
  }

  /**
   * Waits for a turn. Gives what ends it, which may be called more than once; undefined when too
   * many wait already.
   */
  async take(asker: string): Promise<(() => void) | undefined> {
    const line = this.#lines.get(asker) ?? { waiting: [], taken: 0 }
    const { maxWaiting, maxWaitingEach } = this.#limits
    if (!this.#mayHave(line)) {
      if (this.#waiting >= maxWaiting || line.waiting.length >= maxWaitingEach) return undefined
      this.#lines.set(asker, line)
      this.#waiting++
      await new Promise<void>((resolve) => line.waiting.push(resolve))
    } else this.#give(asker, line)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#end(asker, line)
    }
  }

  #mayHave({ taken }: Line): boolean {
    const { atOnce, atOnceEach } = this.#limits
    return this.#taken < atOnce && taken < atOnceEach
  }

  #give(asker: string, line: Line): void {
    line.taken++
    this.#taken++
    this.#lines.delete(asker)
    this.#lines.set(asker, line)
  }

  #end(asker: string, line: Line): void {
    line.taken--
    this.#taken--
    if (line.taken === 0 && line.waiting.length === 0) this.#lines.delete(asker)
    for (const [next, waiter] of this.#lines) {
      if (waiter.waiting.length === 0 || !this.#mayHave(waiter)) continue
      const resolve = waiter.waiting.shift()
      this.#waiting--
      this.#give(next, waiter)
      resolve?.()
      return
    }
  }
}

/**
 * How often the audit log is told of strangers who were refused: a few at once and then one every
 * ten minutes, with the number of those between.
 */
import { EntryBudget } from './entryBudget.ts'

const LIMITS = { burst: 5, everyMs: 600_000 }

export class RefusalPace {
  readonly #budget = new EntryBudget(LIMITS)
  #untold = 0

  /** Undefined when this one is not to be told; otherwise what to add about those before it. */
  take(): string | undefined {
    if (!this.#budget.take()) {
      this.#untold++
      return undefined
    }
    const untold = this.#untold
    this.#untold = 0
    return untold > 0 ? `; ${untold} more were refused since the entry before` : ''
  }
}

/**
 * How many ask for the past at once: so many of one asker, and few at all. Others are refused at
 * once, so that nothing waits and nothing grows with the number of askers.
 */
import { WalcastError } from '../../errors.ts'

export interface AskerLimits {
  readonly each: number
  readonly all: number
}

export class PastAskers {
  readonly #limits: AskerLimits
  readonly #node: () => string
  readonly #under = new Map<string, number>()
  #all = 0

  /** `node`: id of this node. */
  constructor(limits: AskerLimits, node: () => string) {
    this.#limits = limits
    this.#node = node
  }

  /** Runs `answer` if it may begin. Throws PAST_BUSY, and what `answer` throws. */
  async run<T>(reader: string, answer: () => Promise<T>): Promise<T> {
    const { each, all } = this.#limits
    const own = this.#under.get(reader) ?? 0
    if (own >= each) throw this.#busy(`it answers ${each} of your questions already`)
    if (this.#all >= all) throw this.#busy(`it answers ${all} questions of others already`)
    this.#under.set(reader, own + 1)
    this.#all++
    try {
      return await answer()
    } finally {
      this.#all--
      const left = (this.#under.get(reader) ?? 1) - 1
      if (left > 0) this.#under.set(reader, left)
      else this.#under.delete(reader)
    }
  }

  #busy(detail: string): WalcastError {
    return new WalcastError('PAST_BUSY', { node: this.#node(), detail })
  }
}

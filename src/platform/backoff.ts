import { random as systemRandom } from './random.ts'

const GROWTH = 1.5

/**
 * Delays between attempts: growing up to a bound, with jitter so that many replicas do not come
 * back at once.
 */
export class Backoff {
  readonly #minMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #attempt = 0

  constructor(minMs: number, maxMs: number, random: () => number = systemRandom) {
    this.#minMs = minMs
    this.#maxMs = maxMs
    this.#random = random
  }

  /** Between half and all of the present bound. */
  nextMs(): number {
    const boundMs = Math.min(this.#maxMs, this.#minMs * GROWTH ** Math.min(this.#attempt++, 50))
    return boundMs * (0.5 + this.#random() / 2)
  }

  reset(): void {
    this.#attempt = 0
  }
}

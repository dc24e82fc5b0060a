/**
 * Whether page images of the published state are what was written, told by the page checksums of a
 * copy that is being resynced.
 */
import type { PageSet } from '../sqlite/pageSet.ts'
import { type PageSums, pageSum } from '../sqlite/pageSums.ts'

/**
 * Pages that have come have their new checksum in memory. Their old ones are checked together: the
 * state checksum at the position and the one now differ by the XOR of both. All of these pages that
 * the old state has must be looked at, once each.
 */
export class StateCheck {
  readonly #sums: PageSums
  readonly #pending: PageSet
  #expected: bigint
  #isSound = true

  private constructor(sums: PageSums, pending: PageSet) {
    this.#sums = sums
    this.#pending = pending
    this.#expected = sums.settled.state ^ sums.state
  }

  static async of(sums: PageSums, pending: PageSet): Promise<StateCheck> {
    const check = new StateCheck(sums, pending)
    for await (const part of pending.turns())
      for (const page of part) check.#expected ^= sums.get(page)
    return check
  }

  look(page: number, image: Buffer): void {
    const sum = pageSum(page, image)
    if (this.#pending.has(page)) this.#expected ^= sum
    else this.#isSound &&= sum === this.#sums.get(page)
  }

  get isSound(): boolean {
    return this.#isSound && this.#expected === 0n
  }
}

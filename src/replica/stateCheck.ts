/**
 * Checks that page images of the published state are what was written, by the page checksums of a
 * copy under resync.
 */
import type { PageSet } from '../sqlite/pageSet.ts'
import { type PageSums, pageSum } from '../sqlite/pageSums.ts'

/**
 * Pages that a resync has brought already have their new checksum in memory. Their old checksums
 * are checked together: the state checksums before and now differ by the XOR of old and new ones.
 * The caller must pass each of these pages that the old state has to `look`, once.
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

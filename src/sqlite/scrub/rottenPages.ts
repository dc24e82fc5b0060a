/** Pages known to be rotten and not yet right again: at most as many as a few passes find. */
import { MAX_ROTTEN, type RottenPage } from './scrubPass.ts'

const MAX_KNOWN = 4 * MAX_ROTTEN

export class RottenPages {
  readonly #pages = new Set<number>()
  /** Those whose repair was not taken on yet. */
  readonly #unasked = new Set<number>()

  get size(): number {
    return this.#pages.size
  }

  /** The first `limit` of them, in order. */
  list(limit = MAX_KNOWN): number[] {
    return [...this.#pages].sort((a, b) => a - b).slice(0, limit)
  }

  /** Gives those of `rotten` that were not known, as far as there is room for them. */
  add(rotten: readonly RottenPage[]): number[] {
    const unknown = rotten.map(({ page }) => page).filter((page) => !this.#pages.has(page))
    const fresh = unknown.slice(0, Math.max(0, MAX_KNOWN - this.#pages.size))
    for (const page of fresh) this.#pages.add(page)
    return fresh
  }

  /** Whether the repair of `rotten` was taken on. */
  asked(rotten: readonly RottenPage[], isTaken: boolean): void {
    for (const { page } of rotten) {
      if (isTaken) this.#unasked.delete(page)
      else if (this.#pages.has(page)) this.#unasked.add(page)
    }
  }

  isUnasked({ page }: RottenPage): boolean {
    return this.#unasked.has(page)
  }

  /**
   * Pages `first` to `last` were looked at, and but for `rotten` they are right. Gives those that
   * were known to be rotten.
   */
  settle(first: number, last: number, rotten: readonly RottenPage[]): number[] {
    if (this.#pages.size === 0) return []
    return this.settlePages(
      this.list().filter((page) => page >= first && page <= last),
      rotten,
    )
  }

  /** As `settle`, for pages that were looked at one by one. */
  settlePages(pages: readonly number[], rotten: readonly RottenPage[]): number[] {
    const wrong = new Set(rotten.map(({ page }) => page))
    const right = pages.filter((page) => this.#pages.has(page) && !wrong.has(page))
    for (const page of right) {
      this.#pages.delete(page)
      this.#unasked.delete(page)
    }
    return right
  }
}

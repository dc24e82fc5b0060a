/**
 * Counts what is under way, in all and for each owner (a client, a node), against a bound for
 * either.
 */

/**
 * The most that one owner may have of `total`, however high its own bound is: the total may be the
 * lower one.
 */
export function largestShare(total: number): number {
  return Math.ceil(total * 0.75)
}

export class RequestBudget {
  readonly #maxTotal: number
  readonly maxPerOwner: number
  readonly #byOwner = new Map<string, number>()
  #total = 0

  constructor(maxTotal: number, maxPerOwner: number) {
    this.#maxTotal = maxTotal
    this.maxPerOwner = Math.min(maxPerOwner, largestShare(maxTotal))
  }

  get total(): number {
    return this.#total
  }

  /** Whether this owner may have no more. Without an owner only the total counts. */
  isSpentBy(owner: string | undefined): boolean {
    return owner !== undefined && (this.#byOwner.get(owner) ?? 0) >= this.maxPerOwner
  }

  get isSpent(): boolean {
    return this.#total >= this.#maxTotal
  }

  /**
   * Counts one more; the caller asks first whether there is room. Without an owner only the total
   * counts.
   */
  take(owner: string | undefined): void {
    this.#total++
    if (owner !== undefined) this.#byOwner.set(owner, (this.#byOwner.get(owner) ?? 0) + 1)
  }

  /** Counts one less: call it once for each `take`. */
  give(owner: string | undefined): void {
    this.#total--
    if (owner === undefined) return
    const left = (this.#byOwner.get(owner) ?? 0) - 1
    if (left > 0) this.#byOwner.set(owner, left)
    else this.#byOwner.delete(owner)
  }
}

/** How much may be under way at once: of all together, and of one owner (a client, a node). What is refused costs nothing. */
export class RequestBudget {
  readonly #maxTotal: number
  readonly #maxPerOwner: number
  readonly #byOwner = new Map<string, number>()
  #total = 0

  constructor(maxTotal: number, maxPerOwner: number) {
    this.#maxTotal = maxTotal
    this.#maxPerOwner = maxPerOwner
  }

  get total(): number {
    return this.#total
  }

  /** Whether this owner may have no more. One that is undefined is bounded by the total alone. */
  isSpentBy(owner: string | undefined): boolean {
    return owner !== undefined && (this.#byOwner.get(owner) ?? 0) >= this.#maxPerOwner
  }

  get isSpent(): boolean {
    return this.#total >= this.#maxTotal
  }

  /** One more. To be asked before whether there is room. */
  take(owner: string | undefined): void {
    this.#total++
    if (owner !== undefined) this.#byOwner.set(owner, (this.#byOwner.get(owner) ?? 0) + 1)
  }

  /** One less, once for each `take`. */
  give(owner: string | undefined): void {
    this.#total--
    if (owner === undefined) return
    const left = (this.#byOwner.get(owner) ?? 0) - 1
    if (left > 0) this.#byOwner.set(owner, left)
    else this.#byOwner.delete(owner)
  }
}

/** Which of many owners takes most of what all share, found without looking at all of them. */

export interface Weighed {
  /** In whole units of what is shared; only `Heaviest` sets it. */
  weight: number
}

export class Heaviest<Owner extends Weighed> {
  /** The owners of each weight, in the order in which they came to it. */
  readonly #levels = new Map<number, Set<Owner>>()
  #highest = 0

  weigh(owner: Owner, weight: number): void {
    if (weight === owner.weight) return
    const level = this.#levels.get(owner.weight)
    if (level?.delete(owner) && level.size === 0) this.#levels.delete(owner.weight)
    owner.weight = weight
    if (weight > 0) this.#put(owner)
    // The highest weight rose step by step, and falls the same way.
    while (this.#highest > 0 && !this.#levels.has(this.#highest)) this.#highest--
  }

  /** Owners from the heaviest down to the weight `least`. */
  *from(least: number): Generator<Owner> {
    for (let weight = this.#highest; weight >= Math.max(1, least); weight--) {
      const level = this.#levels.get(weight)
      if (level) yield* level
    }
  }

  #put(owner: Owner): void {
    const { weight } = owner
    const level = this.#levels.get(weight)
    if (level) level.add(owner)
    else this.#levels.set(weight, new Set([owner]))
    if (weight > this.#highest) this.#highest = weight
  }
}

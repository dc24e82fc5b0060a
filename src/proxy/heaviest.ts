/** Who of many takes most of what all share: told without looking at all of them. */

export interface Weighed {
  /** In whole units of what is shared; set by `Heaviest` alone. */
  weight: number
}

export class Heaviest<Owner extends Weighed> {
  /** Those of one weight, the first that came to it first. */
  readonly #levels = new Map<number, Set<Owner>>()
  #highest = 0

  weigh(owner: Owner, weight: number): void {
    if (weight === owner.weight) return
    const level = this.#levels.get(owner.weight)
    if (level?.delete(owner) && level.size === 0) this.#levels.delete(owner.weight)
    owner.weight = weight
    if (weight > 0) this.#put(owner)
    // What was raised step by step goes down so.
    while (this.#highest > 0 && !this.#levels.has(this.#highest)) this.#highest--
  }

  /** From the heaviest down to those of the weight `least`. */
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

/** Choices by chance, which follow from a round's seed. */

/** A number in [0, 1). */
export type Random = () => number

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]
}

export type Weighted<T> = readonly (readonly [name: string, weight: number, value: T])[]

/** Each as often as its weight says. */
export function spread<T>(list: Weighted<T>): (readonly [string, T])[] {
  return list.flatMap(([name, weight, value]) =>
    Array<readonly [string, T]>(weight).fill([name, value]),
  )
}

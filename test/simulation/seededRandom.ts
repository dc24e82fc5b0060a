/** One seed's randomness: the same numbers in the same order each time. */
import type { RandomSource } from '../../src/platform/random.ts'

export class SeededRandom implements RandomSource {
  #state: number

  /** `stream`: another sequence of the same seed. */
  constructor(seed: number, stream = 0) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) | 0
  }

  /** 32 bits: splitmix32 (https://doi.org/10.1145/2714064.2660195, with the 32-bit finalizer). */
  word(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  random = (): number => this.word() / 2 ** 32

  randomBytes = (count: number): Buffer => {
    const bytes = Buffer.alloc(count)
    for (let i = 0; i < count; i++) bytes[i] = this.word() & 0xff
    return bytes
  }

  randomUuid = (): string => {
    const hex = this.randomBytes(16).toString('hex')
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
      .join('-')
      .toLowerCase()
  }

  /** From `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + (this.word() % (high - low + 1))
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low)
  }

  isTrue(probability: number): boolean {
    return this.random() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.whole(0, from.length - 1)]
  }
}

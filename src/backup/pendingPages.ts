/**
 * Pages that wait to be written, in memory that is used again: a restore goes through gigabytes of
 * them, and a buffer for each would keep the garbage collector busy.
 */

/** Of one piece of memory. */
const SLAB_BYTES = 1024 * 1024

export class PendingPages {
  readonly #pageSize: number
  readonly #perSlab: number
  readonly #slabs: Buffer[] = []
  /** Where each page lies, by its number. */
  readonly #slots = new Map<number, number>()
  /** Slots that were used and are free. */
  readonly #free: number[] = []
  #used = 0

  constructor(pageSize: number) {
    this.#pageSize = pageSize
    this.#perSlab = Math.max(1, Math.floor(SLAB_BYTES / pageSize))
  }

  get size(): number {
    return this.#slots.size
  }

  numbers(): IterableIterator<number> {
    return this.#slots.keys()
  }

  /** Copies `bytes`, which are one page. */
  set(number: number, bytes: Uint8Array): void {
    const slot = this.#slots.get(number) ?? this.#free.pop() ?? this.#used++
    this.#slots.set(number, slot)
    this.#at(slot).set(bytes)
  }

  /** Valid until the page is set again or leaves. Throws RangeError when it does not wait. */
  get(number: number): Buffer {
    const slot = this.#slots.get(number)
    if (slot === undefined) throw new RangeError(`page ${number} does not wait`)
    return this.#at(slot)
  }

  delete(number: number): void {
    const slot = this.#slots.get(number)
    if (slot === undefined) return
    this.#slots.delete(number)
    this.#free.push(slot)
  }

  clear(): void {
    this.#slots.clear()
    this.#free.length = 0
    this.#used = 0
  }

  #at(slot: number): Buffer {
    const number = Math.floor(slot / this.#perSlab)
    const slab = this.#slabs[number] ?? Buffer.allocUnsafeSlow(this.#perSlab * this.#pageSize)
    this.#slabs[number] = slab
    const at = (slot % this.#perSlab) * this.#pageSize
    return slab.subarray(at, at + this.#pageSize)
  }
}

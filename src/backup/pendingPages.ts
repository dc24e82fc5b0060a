/**
 * Pages that wait to be written, in memory that is used again: a restore goes through gigabytes of
 * them, and a buffer for each would keep the garbage collector busy. Pages that come many at once
 * may stay where they are, and are written from there.
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
  /** Pages that lie in the memory of whoever gave them. */
  readonly #kept = new Map<number, Buffer>()
  #keptSinceClear = 0

  constructor(pageSize: number) {
    this.#pageSize = pageSize
    this.#perSlab = Math.max(1, Math.floor(SLAB_BYTES / pageSize))
  }

  get size(): number {
    return this.#slots.size + this.#kept.size
  }

  /** Pages for which there is memory: also for kept ones that were replaced since. */
  get load(): number {
    return this.#used - this.#free.length + this.#keptSinceClear
  }

  *numbers(): Generator<number> {
    yield* this.#slots.keys()
    yield* this.#kept.keys()
  }

  /** Without a copy: `bytes`, one page, must not change while it waits. */
  keep(number: number, bytes: Buffer): void {
    this.delete(number)
    this.#kept.set(number, bytes)
    this.#keptSinceClear++
  }

  /** Copies `bytes`, which are one page. */
  set(number: number, bytes: Uint8Array): void {
    this.#kept.delete(number)
    const slot = this.#slots.get(number) ?? this.#free.pop() ?? this.#used++
    this.#slots.set(number, slot)
    this.#at(slot).set(bytes)
  }

  /** Valid until the page is set again or leaves. Throws RangeError when it does not wait. */
  get(number: number): Buffer {
    const kept = this.#kept.get(number)
    if (kept) return kept
    const slot = this.#slots.get(number)
    if (slot === undefined) throw new RangeError(`page ${number} does not wait`)
    return this.#at(slot)
  }

  delete(number: number): void {
    this.#kept.delete(number)
    const slot = this.#slots.get(number)
    if (slot === undefined) return
    this.#slots.delete(number)
    this.#free.push(slot)
  }

  clear(): void {
    this.#kept.clear()
    this.#keptSinceClear = 0
    this.#slots.clear()
    this.#free.length = 0
    this.#used = 0
  }

  /** Whether `next` lies right behind `page`, where whoever gave both has them. */
  follows(page: number, next: number): boolean {
    const [before, behind] = [this.#kept.get(page), this.#kept.get(next)]
    if (!before || !behind) return before === behind
    const end = before.byteOffset + this.#pageSize
    return before.buffer === behind.buffer && behind.byteOffset === end
  }

  /** The bytes of pages of which each `follows` the one before. Valid as those of `get` are. */
  bytesOf(run: readonly number[]): Buffer {
    const first = this.#kept.get(run[0])
    if (!first) return Buffer.concat(run.map((page) => this.get(page)))
    return Buffer.from(first.buffer, first.byteOffset, run.length * this.#pageSize)
  }

  #at(slot: number): Buffer {
    const number = Math.floor(slot / this.#perSlab)
    const slab = this.#slabs[number] ?? Buffer.allocUnsafeSlow(this.#perSlab * this.#pageSize)
    this.#slabs[number] = slab
    const at = (slot % this.#perSlab) * this.#pageSize
    return slab.subarray(at, at + this.#pageSize)
  }
}

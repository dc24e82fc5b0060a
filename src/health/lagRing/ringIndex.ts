/**
 * Where each slot of a ring stands and what time it is of, and so which slots a question needs.
 * Pure.
 *
 * Slots are numbered as they are written. Where the clock was set back, a slot that was written
 * later is of an earlier time: what was written before and is of a later time then counts no more,
 * since nobody can tell which of both is right. It becomes a gap.
 */

export interface SlotTimes {
  readonly seq: number
  readonly fromMs: number
  readonly toMs: number
}

export class RingIndex {
  readonly #slots: number
  /** By place in the file; a sequence number of 0 is of no slot. */
  readonly #seqs: Float64Array
  readonly #from: Float64Array
  readonly #to: Float64Array
  #newest = 0

  constructor(slots: number) {
    this.#slots = slots
    this.#seqs = new Float64Array(slots)
    this.#from = new Float64Array(slots)
    this.#to = new Float64Array(slots)
  }

  /** Number of the next slot. */
  get nextSeq(): number {
    return this.#newest + 1
  }

  placeOf(seq: number): number {
    return seq % this.#slots
  }

  /** The slot was written. In any order. */
  add({ seq, fromMs, toMs }: SlotTimes): void {
    const at = this.placeOf(seq)
    this.#seqs[at] = seq
    this.#from[at] = fromMs
    this.#to[at] = toMs
    this.#newest = Math.max(this.#newest, seq)
  }

  /** The slots that end in a time past `fromMs` and up to `toMs`, oldest first. */
  wanted(fromMs: number, toMs: number): number[] {
    const found: number[] = []
    let laterFromMs = Number.POSITIVE_INFINITY
    const oldest = Math.max(1, this.#newest - this.#slots + 1)
    for (let seq = this.#newest; seq >= oldest; seq--) {
      const at = this.placeOf(seq)
      if (this.#seqs[at] !== seq || this.#to[at] > laterFromMs) continue
      laterFromMs = this.#from[at]
      if (this.#to[at] <= fromMs) break
      if (this.#to[at] <= toMs) found.push(seq)
    }
    return found.reverse()
  }
}

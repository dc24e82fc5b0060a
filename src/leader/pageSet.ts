/** A set of page numbers: one bit a page, so that its size is bounded by the database's. */
export class PageSet {
  #bits: Uint32Array
  #size = 0

  constructor(pages: number) {
    this.#bits = new Uint32Array((pages >>> 5) + 64)
  }

  get size(): number {
    return this.#size
  }

  add(page: number): void {
    const word = page >>> 5
    if (word >= this.#bits.length) this.#grow(word)
    const bit = 1 << (page & 31)
    if (this.#bits[word] & bit) return
    this.#bits[word] |= bit
    this.#size++
  }

  delete(page: number): void {
    const word = page >>> 5
    const bit = 1 << (page & 31)
    if (word >= this.#bits.length || !(this.#bits[word] & bit)) return
    this.#bits[word] &= ~bit
    this.#size--
  }

  /** Removes and gives up to `most` pages from page `from` on, in order. */
  take(from: number, most: number): number[] {
    const taken: number[] = []
    for (let page = from; page < this.#bits.length * 32 && taken.length < most; page++) {
      const word = this.#bits[page >>> 5]
      if (word === 0) {
        page += 31 - (page & 31)
        continue
      }
      if (word & (1 << (page & 31))) taken.push(page)
    }
    for (const page of taken) this.delete(page)
    return taken
  }

  /** The first page of the set, 0 when it is empty. */
  peek(): number {
    const word = this.#bits.findIndex((bits) => bits !== 0)
    return word < 0 ? 0 : word * 32 + (31 - Math.clz32(this.#bits[word] & -this.#bits[word]))
  }

  #grow(word: number): void {
    const larger = new Uint32Array(Math.ceil((word + 1) * 1.5))
    larger.set(this.#bits)
    this.#bits = larger
  }
}

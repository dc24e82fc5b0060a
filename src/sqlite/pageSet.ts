import { nextTurn } from '../platform/time.ts'

/** Pages looked at without letting anything else run. */
export const PAGES_AT_ONCE = 8192

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

  has(page: number): boolean {
    const word = page >>> 5
    return word < this.#bits.length && (this.#bits[word] & (1 << (page & 31))) !== 0
  }

  /** Up to `most` pages from page `from` on, in order. */
  list(from: number, most: number): number[] {
    const listed: number[] = []
    for (let page = from; page < this.#bits.length * 32 && listed.length < most; page++) {
      const word = this.#bits[page >>> 5]
      if (word === 0) page += 31 - (page & 31)
      else if (word & (1 << (page & 31))) listed.push(page)
    }
    return listed
  }

  /** All pages in order, up to `most` at a time. */
  *parts(most: number): Generator<readonly number[], void, void> {
    for (
      let part = this.list(1, most);
      part.length > 0;
      part = this.list(part[part.length - 1] + 1, most)
    )
      yield part
  }

  /** All pages in order, some thousands at a time; after each part whatever else waits runs. */
  async *turns(): AsyncGenerator<readonly number[], void, void> {
    for (const part of this.parts(PAGES_AT_ONCE)) {
      yield part
      await nextTurn()
    }
  }

  /** Adds the pages from `first` to `last`, a word at a time. */
  addRange(first: number, last: number): void {
    if (last < first) return
    if (last >>> 5 >= this.#bits.length) this.#grow(last >>> 5)
    for (let word = first >>> 5; word <= last >>> 5; word++) {
      const added = maskOf(word, first, last) & ~this.#bits[word]
      this.#bits[word] |= added
      this.#size += countBits(added)
    }
  }

  /** Removes the pages from `first` to `last`, a word at a time. */
  deleteRange(first: number, last: number): void {
    const end = Math.min(last >>> 5, this.#bits.length - 1)
    for (let word = first >>> 5; word <= end; word++) {
      const gone = maskOf(word, first, last) & this.#bits[word]
      this.#bits[word] &= ~gone
      this.#size -= countBits(gone)
    }
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
    const taken = this.list(from, most)
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

/** The bits of the pages from `first` to `last` within a word. */
function maskOf(word: number, first: number, last: number): number {
  const from = Math.max(0, first - word * 32)
  const to = Math.min(31, last - word * 32)
  return (-1 << from) & (-1 >>> (31 - to))
}

/** How many bits are set in a word (Hacker's Delight, 5-1). */
function countBits(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555)
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

import { xxh64 } from '../xxh64.ts'
import { lockPage } from './walFormat.ts'

/** Checksum of one page: XXH64 of its bytes, seeded with its number. */
export function pageSum(page: number, bytes: Uint8Array): bigint {
  return xxh64(bytes, BigInt(page))
}

/**
 * The checksums of all pages of a database and their XOR, the state checksum. 8 bytes a page.
 * The lock page never counts. Changes can be taken back until `settle`, so that a batch is verified before it is made visible.
 */
export class PageSums {
  readonly #lockPage: number
  #sums: BigUint64Array
  #pages = 0
  #state = 0n
  readonly #undoPages: number[] = []
  readonly #undoSums: bigint[] = []
  #undoSize = 0
  #undoState = 0n

  constructor(pageSize: number, pages = 0) {
    this.#lockPage = lockPage(pageSize)
    this.#sums = new BigUint64Array(Math.max(1024, pages))
  }

  get pages(): number {
    return this.#pages
  }

  /** The state checksum. */
  get state(): bigint {
    return this.#state
  }

  /** The state checksum and size at the last `settle`. */
  get settled(): { readonly state: bigint; readonly pages: number } {
    return { state: this.#undoState, pages: this.#undoSize }
  }

  /** Checksum of a page, 0 when it is not there. */
  get(page: number): bigint {
    return page <= this.#pages ? this.#sums[page - 1] : 0n
  }

  /** Records the checksum of a page. `page` is from 1; the database grows to it when it is larger. */
  set(page: number, sum: bigint): void {
    if (page === this.#lockPage) return
    if (page > this.#pages) this.#grow(page)
    const old = this.#sums[page - 1]
    if (old === sum) return
    this.#undoPages.push(page)
    this.#undoSums.push(old)
    this.#sums[page - 1] = sum
    this.#state ^= old ^ sum
  }

  /** Sets the size of the database; pages past it are forgotten. */
  resize(pages: number): void {
    for (let page = this.#pages; page > pages; page--) this.set(page, 0n)
    if (pages > this.#pages) this.#grow(pages)
    this.#pages = pages
  }

  /** The first page from `from` on that was never set, 0 when all are: a state with a hole is not whole, though the XOR does not show it. */
  firstMissing(from: number): number {
    for (let page = from; page <= this.#pages; page++) {
      if (this.#sums[page - 1] === 0n && page !== this.#lockPage) return page
    }
    return 0
  }

  /** Makes all changes since the last `settle` final. */
  settle(): void {
    this.#undoPages.length = 0
    this.#undoSums.length = 0
    this.#undoSize = this.#pages
    this.#undoState = this.#state
  }

  /** Takes back all changes since the last `settle`. */
  revert(): void {
    for (let i = this.#undoPages.length - 1; i >= 0; i--)
      this.#sums[this.#undoPages[i] - 1] = this.#undoSums[i]
    this.#pages = this.#undoSize
    this.#state = this.#undoState
    this.settle()
  }

  /** The sums of pages `first` to `last` as little-endian bytes. */
  slice(first: number, last: number): Buffer {
    const part = this.#sums.slice(first - 1, last)
    return Buffer.from(part.buffer)
  }

  #grow(pages: number): void {
    if (pages > this.#sums.length) {
      const larger = new BigUint64Array(Math.max(pages, Math.ceil(this.#sums.length * 1.5)))
      larger.set(this.#sums)
      this.#sums = larger
    }
    this.#pages = pages
  }
}

import { xxh64 } from '../xxh64.ts'
import { lockPage } from './walFormat.ts'

/** Entries of the undo log that are kept allocated between transactions. */
const MAX_IDLE_UNDO = 65536

/** Checksum of one page: XXH64 of its bytes, seeded with its number. */
export function pageSum(page: number, bytes: Uint8Array): bigint {
  return xxh64(bytes, BigInt(page))
}

/** A point among the changes since the last `settle`. */
export interface SumsMark {
  readonly changes: number
  readonly pages: number
  readonly state: bigint
}

/**
 * The checksums of all pages of a database and their XOR, the state checksum. 8 bytes a page. The
 * lock page never counts. Changes can be taken back until `settle`, so that a batch is verified
 * before it is made visible.
 */
export class PageSums {
  readonly #lockPage: number
  #sums: BigUint64Array
  #pages = 0
  #state = 0n
  /**
   * What `revert` takes back: as many of the first `#undoCount` entries as a transaction changes
   * pages, a database's worth at most a few times over.
   */
  #undoPages = new Uint32Array(1024)
  #undoSums = new BigUint64Array(1024)
  #undoCount = 0
  /** Pages whose checksums `#recounted` has; 0 when nothing is being counted. */
  #counted = 0
  #recounted = 0n
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

  /**
   * Records the checksum of a page. `page` is from 1; the database grows to it when it is larger.
   */
  set(page: number, sum: bigint): void {
    if (page === this.#lockPage) return
    if (page > this.#pages) this.#grow(page)
    const old = this.#sums[page - 1]
    if (old === sum) return
    this.#remember(page, old)
    if (page <= this.#counted) this.#recounted ^= old ^ sum
    this.#sums[page - 1] = sum
    this.#state ^= old ^ sum
  }

  /** Sets the size of the database; pages past it are forgotten. */
  resize(pages: number): void {
    for (let page = this.#pages; page > pages; page--) this.set(page, 0n)
    if (pages > this.#pages) this.#grow(pages)
    this.#pages = pages
  }

  /**
   * The first page from `from` on that was never set, 0 when all are: a state with a hole is not
   * whole, though the XOR does not show it.
   */
  firstMissing(from: number): number {
    for (let page = from; page <= this.#pages; page++) {
      if (this.#sums[page - 1] === 0n && page !== this.#lockPage) return page
    }
    return 0
  }

  /** Runs of pages that have a checksum: first and last. */
  runs(): [number, number][] {
    const runs: [number, number][] = []
    // In halves: a bigint for each would cost ten times as much.
    const halves = new Uint32Array(this.#sums.buffer, this.#sums.byteOffset, 2 * this.#pages)
    let first = 0
    for (let page = 1; page <= this.#pages; page++) {
      const isThere = (halves[2 * page - 2] | halves[2 * page - 1]) !== 0
      if (isThere && first === 0) first = page
      if (isThere || first === 0) continue
      runs.push([first, page - 1])
      first = 0
    }
    if (first > 0) runs.push([first, this.#pages])
    return runs
  }

  /** Makes all changes since the last `settle` final. */
  settle(): void {
    this.#undoCount = 0
    if (this.#undoPages.length > MAX_IDLE_UNDO) {
      this.#undoPages = new Uint32Array(1024)
      this.#undoSums = new BigUint64Array(1024)
    }
    this.#undoSize = this.#pages
    this.#undoState = this.#state
  }

  /** Takes back all changes since the last `settle`. */
  revert(): void {
    this.returnTo({ changes: 0, pages: this.#undoSize, state: this.#undoState })
    this.settle()
  }

  /** Where changes may be taken back to with `returnTo`, until the next `settle`. */
  mark(): SumsMark {
    return { changes: this.#undoCount, pages: this.#pages, state: this.#state }
  }

  returnTo({ changes, pages, state }: SumsMark): void {
    for (let i = this.#undoCount - 1; i >= changes; i--) {
      const at = this.#undoPages[i] - 1
      if (at < this.#counted) this.#recounted ^= this.#sums[at] ^ this.#undoSums[i]
      this.#sums[at] = this.#undoSums[i]
    }
    this.#undoCount = changes
    this.#pages = pages
    this.#state = state
  }

  /** The sums of pages `first` to `last` as little-endian bytes. */
  slice(first: number, last: number): Buffer {
    const part = this.#sums.slice(first - 1, last)
    return Buffer.from(part.buffer)
  }

  /**
   * Checksum of a group's page checksums (see GROUP_PAGES); pages that are not there count as 0.
   */
  groupSum(group: number, groupPages: number): bigint {
    const first = group * groupPages
    const end = first + groupPages
    const part =
      end <= this.#sums.length
        ? this.#sums.subarray(first, end)
        : padded(this.#sums.subarray(Math.min(first, this.#sums.length)), groupPages)
    return xxh64(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), BigInt(group))
  }

  /**
   * Counts the XOR of all page checksums anew, the next `most` of them, and takes in what changes
   * until the end. Undefined until all are counted; what it gives then is `state`, unless memory
   * was damaged. The call after that begins again.
   */
  recount(most: number): bigint | undefined {
    const end = Math.min(this.#pages, this.#counted + most)
    this.#recounted ^= xorOf(this.#sums.subarray(this.#counted, end))
    this.#counted = end
    if (end < this.#pages) return undefined
    const whole = this.#recounted
    this.#counted = 0
    this.#recounted = 0n
    return whole
  }

  #remember(page: number, old: bigint): void {
    if (this.#undoCount === this.#undoPages.length) {
      const pages = new Uint32Array(2 * this.#undoCount)
      const sums = new BigUint64Array(2 * this.#undoCount)
      pages.set(this.#undoPages)
      sums.set(this.#undoSums)
      this.#undoPages = pages
      this.#undoSums = sums
    }
    this.#undoPages[this.#undoCount] = page
    this.#undoSums[this.#undoCount++] = old
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

/** In halves: a bigint for each would cost ten times as much. */
function xorOf(sums: BigUint64Array): bigint {
  const halves = new Int32Array(sums.buffer, sums.byteOffset, 2 * sums.length)
  let even = 0
  let odd = 0
  for (let i = 0; i < halves.length; i += 2) {
    even ^= halves[i]
    odd ^= halves[i + 1]
  }
  return (BigInt(odd >>> 0) << 32n) | BigInt(even >>> 0)
}

function padded(part: BigUint64Array, length: number): BigUint64Array {
  const whole = new BigUint64Array(length)
  whole.set(part)
  return whole
}

/**
 * Which of many positions has the newest image of each page, found from page numbers alone. Four
 * bytes a page of the database: 100 MiB for 100 GiB in pages of 4 KiB.
 */
import { lockPage } from '../../sqlite/walFormat.ts'

export class PageOrigins {
  readonly #lockPage: number
  /** Number of a position from 1, by page; 0 where there is none. */
  #newest = new Uint32Array(1024)
  #pages = 0

  constructor(pageSize: number) {
    this.#lockPage = lockPage(pageSize)
  }

  get pages(): number {
    return this.#pages
  }

  /** The position `origin`, later than all before, has images of these pages. */
  note(numbers: Uint32Array, origin: number): void {
    const most = numbers.length > 0 ? numbers[numbers.length - 1] : 0
    if (most > this.#newest.length) this.#grow(most)
    for (const number of numbers) if (number !== this.#lockPage) this.#newest[number - 1] = origin
    this.#pages = Math.max(this.#pages, most)
  }

  /** A database that shrinks forgets the pages behind its end. */
  resize(pages: number): void {
    if (pages > this.#newest.length) this.#grow(pages)
    if (pages < this.#pages) this.#newest.fill(0, pages, this.#pages)
    this.#pages = pages
  }

  isNewest(number: number, origin: number): boolean {
    return this.#newest[number - 1] === origin
  }

  /** Pages whose newest image is of a position from `first` to `last`. */
  count(first: number, last: number): number {
    let count = 0
    for (let i = 0; i < this.#pages; i++)
      if (this.#newest[i] >= first && this.#newest[i] <= last) count++
    return count
  }

  /** The first page that no position has, 0 when all have one. The lock page has none. */
  firstMissing(): number {
    for (let i = 0; i < this.#pages; i++)
      if (this.#newest[i] === 0 && i + 1 !== this.#lockPage) return i + 1
    return 0
  }

  #grow(pages: number): void {
    const larger = new Uint32Array(Math.max(pages, Math.ceil(this.#newest.length * 1.5)))
    larger.set(this.#newest)
    this.#newest = larger
  }
}

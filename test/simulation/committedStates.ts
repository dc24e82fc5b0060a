/** What an application has committed: the model that every copy is compared with. */
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'

export class CommittedStates {
  #pages: readonly Buffer[]
  #sums: readonly bigint[]
  #state: bigint
  /** The number of each commit, by the state checksum after it. */
  readonly #numbers = new Map<string, number>()
  #last = 0

  /** `pages`: of the database before the first commit, page 1 first. */
  constructor(pages: readonly Buffer[]) {
    this.#pages = pages
    this.#sums = pages.map((image, i) => pageSum(i + 1, image))
    this.#state = this.#sums.reduce((state, sum) => state ^ sum, 0n)
    this.#numbers.set(this.checksum, 0)
  }

  /** The last commit. */
  get last(): number {
    return this.#last
  }

  get pages(): readonly Buffer[] {
    return this.#pages
  }

  /** State checksum after the last commit. */
  get checksum(): string {
    return checksumHex(this.#state)
  }

  /** A commit of these images, after which the database has `size` pages. */
  commit(images: ReadonlyMap<number, Buffer>, size: number): void {
    const pages = [...this.#pages.slice(0, size)]
    const sums = [...this.#sums.slice(0, size)]
    let state = this.#state
    for (const sum of this.#sums.slice(size)) state ^= sum
    for (const [page, image] of images) {
      const sum = pageSum(page, image)
      state ^= sum ^ (sums[page - 1] ?? 0n)
      pages[page - 1] = image
      sums[page - 1] = sum
    }
    this.#pages = pages
    this.#sums = sums
    this.#state = state
    this.#numbers.set(this.checksum, ++this.#last)
  }

  /** The commit that has this state; undefined when none has. */
  numberOf(checksum: string): number | undefined {
    return this.#numbers.get(checksum)
  }
}

/** What an application has committed: the model that every copy is compared with. */
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'

/** The database after a commit. */
export interface State {
  readonly pages: readonly Buffer[]
  readonly sums: readonly bigint[]
  readonly state: bigint
}

export class CommittedStates {
  #now: State
  readonly #all: State[]
  /** The number of each commit, by the state checksum after it. */
  readonly #numbers = new Map<string, number>()
  /** Counts the lost ones too. */
  #last = 0

  /** `pages`: of the database before the first commit, page 1 first. */
  constructor(pages: readonly Buffer[]) {
    const sums = pages.map((image, i) => pageSum(i + 1, image))
    this.#now = { pages, sums, state: sums.reduce((state, sum) => state ^ sum, 0n) }
    this.#all = [this.#now]
    this.#numbers.set(this.checksum, 0)
  }

  /** The last commit. */
  get last(): number {
    return this.#last
  }

  /** The number of what is there now. */
  get newest(): number {
    return this.#numbers.get(this.checksum) ?? 0
  }

  get pages(): readonly Buffer[] {
    return this.#now.pages
  }

  /** State checksum after the last commit. */
  get checksum(): string {
    return checksumHex(this.#now.state)
  }

  /** What a commit of these images makes, after which the database has `size` pages. */
  after(images: ReadonlyMap<number, Buffer>, size: number): State {
    const pages = this.#now.pages.slice(0, size)
    const sums = this.#now.sums.slice(0, size)
    let { state } = this.#now
    for (const sum of this.#now.sums.slice(size)) state ^= sum
    for (const [page, image] of images) {
      const sum = pageSum(page, image)
      state ^= sum ^ (sums[page - 1] ?? 0n)
      pages[page - 1] = image
      sums[page - 1] = sum
    }
    return { pages, sums, state }
  }

  commit(state: State): void {
    this.#now = state
    this.#all.push(state)
    this.#numbers.set(this.checksum, ++this.#last)
  }

  /** A transaction that lies whole in a WAL and was never published: a recovery may find it. */
  abandon({ state }: State, follows: number): void {
    this.#numbers.set(checksumHex(state), follows)
  }

  /**
   * The commits after `number` are lost: the next one follows from that. Who still has one of them
   * has nothing newer than `number`.
   */
  loseAfter(number: number): void {
    this.#now = this.#all[number]
    for (const [checksum, each] of this.#numbers)
      if (each > number) this.#numbers.set(checksum, number)
  }

  /** The commit that has this state; undefined when none has. */
  numberOf(checksum: string): number | undefined {
    return this.#numbers.get(checksum)
  }
}

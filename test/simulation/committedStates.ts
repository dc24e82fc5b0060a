/**
 * What applications have committed: the model that every copy is compared with. Where leadership is
 * taken beside a leader that lives, history branches; one branch is the cluster's, and what is only
 * in another is lost.
 */
import assert from 'node:assert/strict'
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'

/** The database after a commit. */
export interface State {
  readonly pages: readonly Buffer[]
  readonly sums: readonly bigint[]
  readonly state: bigint
}

interface Known {
  readonly state: State
  /** Of the commit that made it; of a lost one, that of the last commit before it that is not. */
  number: number
}

export class CommittedStates {
  /** By state checksum. */
  readonly #known = new Map<string, Known>()
  /** Counts the lost ones too. */
  #last = 0
  /** The cluster's. */
  main: Branch

  /** `pages`: of the database before the first commit, page 1 first. */
  constructor(pages: readonly Buffer[]) {
    const sums = pages.map((image, i) => pageSum(i + 1, image))
    const state = { pages, sums, state: sums.reduce((all, sum) => all ^ sum, 0n) }
    this.#known.set(checksumHex(state.state), { state, number: 0 })
    this.main = new Branch(this, state)
  }

  /** The last commit. */
  get last(): number {
    return this.#last
  }

  get pages(): readonly Buffer[] {
    return this.main.pages
  }

  /** State checksum after the last commit. */
  get checksum(): string {
    return this.main.checksum
  }

  /** The commit that has this state; undefined when none has. */
  numberOf(checksum: string): number | undefined {
    return this.#known.get(checksum)?.number
  }

  /** `state` follows from `before` in that branch. Gives its number. */
  add(state: State, before: string, branch: Branch): number {
    const number = branch === this.main ? ++this.#last : (this.numberOf(before) ?? 0)
    this.#known.set(checksumHex(state.state), { state, number })
    return number
  }

  /** A transaction that lies whole in a WAL and was never published: a recovery may find it. */
  abandon(state: State, before: string): void {
    this.#known.set(checksumHex(state.state), { state, number: this.numberOf(before) ?? 0 })
  }

  /** A history that goes on from the state with this checksum, which is known. */
  branchFrom(checksum: string): Branch {
    const known = this.#known.get(checksum)
    assert.ok(known, `${checksum} is no commit`)
    return new Branch(this, known.state)
  }

  /**
   * The cluster's history goes on from there. What followed is lost: who still has some of it has
   * nothing newer than that.
   */
  goOnFrom(checksum: string): void {
    const number = this.numberOf(checksum) ?? 0
    this.main = this.branchFrom(checksum)
    for (const known of this.#known.values()) known.number = Math.min(known.number, number)
  }
}

/** Commits that follow from each other. */
export class Branch {
  readonly #states: CommittedStates
  #now: State
  /** Its leader has handed over: nobody commits to it any more. */
  isHandedOver = false

  constructor(states: CommittedStates, now: State) {
    this.#states = states
    this.#now = now
  }

  get pages(): readonly Buffer[] {
    return this.#now.pages
  }

  get checksum(): string {
    return checksumHex(this.#now.state)
  }

  /** Of all commits, also those of other branches. */
  get last(): number {
    return this.#states.last
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

  /** Gives its number. */
  commit(state: State): number {
    assert.ok(!this.isHandedOver, 'a leader that has handed over lets a commit in')
    const before = this.checksum
    this.#now = state
    return this.#states.add(state, before, this)
  }

  abandon(state: State): void {
    this.#states.abandon(state, this.checksum)
  }
}

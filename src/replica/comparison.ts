/**
 * The replica's side of a comparison: checksums of groups of its pages, then those of the pages of
 * the groups that differ.
 */
import { GROUP_PAGES } from '../../proto/limits.ts'
import { WalcastError } from '../errors.ts'
import { delay, nextTurn } from '../platform/time.ts'
import type { PageSums } from '../sqlite/pageSums.ts'
import type { Subscription } from './subscription.ts'

/** Bytes of checksums in the socket before more are sent. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024
const WAIT_MS = 5
/**
 * Groups of one message: neither side is to be held up for longer than some tenths of a
 * millisecond.
 */
const SLICE = 256
/** Groups whose pages' checksums go into one message. */
const RUN_GROUPS = 64

/** What a comparison needs of the connection that it is made over. */
export type ComparisonLink = Pick<Subscription, 'connectionId' | 'bufferedBytes' | 'send'>

export class Comparison {
  readonly #db: string
  readonly #sums: PageSums
  readonly #link: ComparisonLink
  readonly #connectionId: number
  #isSent = false
  #asked = 0

  /** `sums` must not change before the pages that differ arrive. */
  constructor(db: string, sums: PageSums, link: ComparisonLink) {
    this.#db = db
    this.#sums = sums
    this.#link = link
    this.#connectionId = link.connectionId
  }

  /** Sends the checksums of all groups; of none when there are no pages yet. */
  async sendGroups(): Promise<void> {
    const { pages } = this.#sums
    const groups = Math.ceil(pages / GROUP_PAGES)
    for (let first = 0; first === 0 || first < groups; first += SLICE) {
      const count = Math.min(SLICE, groups - first)
      const sums = Buffer.alloc(8 * count)
      for (let i = 0; i < count; i++)
        sums.writeBigUInt64LE(this.#sums.groupSum(first + i, GROUP_PAGES), 8 * i)
      await nextTurn()
      if (!(await this.#hasRoom())) return
      this.#link.send(
        'groups',
        { db: this.#db, pages, firstGroup: first, sums: count, last: first + SLICE >= groups },
        sums,
      )
    }
    this.#isSent = true
  }

  /**
   * Answers with the checksums of the pages of `groups` (4 bytes each, little-endian, ascending).
   * Throws MESSAGE_BAD for groups that were not sent.
   */
  async onDiffer(groups: Buffer, last: boolean): Promise<void> {
    const { pages } = this.#sums
    const count = groups.length / 4
    this.#asked += count
    if (!this.#isSent)
      throw new WalcastError('MESSAGE_BAD', { detail: 'differ came before groups' })
    for (let i = 0; i < count; ) {
      const first = groups.readUInt32LE(4 * i)
      let end = i + 1
      const isNext = () => end < count && groups.readUInt32LE(4 * end) === first + (end - i)
      while (isNext() && end - i < RUN_GROUPS) end++
      const firstPage = first * GROUP_PAGES + 1
      const lastPage = Math.min(pages, (first + end - i) * GROUP_PAGES)
      if (firstPage > lastPage)
        throw new WalcastError('MESSAGE_BAD', { detail: `group ${first} is not here` })
      await nextTurn()
      if (!(await this.#hasRoom())) return
      const sums = lastPage - firstPage + 1
      this.#link.send(
        'have',
        { db: this.#db, firstPage, sums, last: last && end === count },
        this.#sums.slice(firstPage, lastPage),
      )
      i = end
    }
    // The message that ends the list may hold no group itself.
    if (last && count === 0 && this.#asked > 0)
      this.#link.send('have', { db: this.#db, firstPage: 1, sums: 0, last: true }, Buffer.alloc(0))
  }

  /** Waits for room. False when the connection that this comparison belongs to has ended. */
  async #hasRoom(): Promise<boolean> {
    while (this.#link.connectionId === this.#connectionId) {
      if (this.#link.bufferedBytes <= MAX_BUFFERED_BYTES) return true
      await delay(WAIT_MS)
    }
    return false
  }
}

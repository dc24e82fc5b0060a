/**
 * The replica's side of a comparison. It sends the checksum of each group of pages. For the groups
 * that differ it sends the checksum of each page.
 */
import { GROUP_PAGES } from '../../proto/limits.ts'
import { WalcastError } from '../errors.ts'
import { delay, nextTurn } from '../platform/time.ts'
import type { PageSums } from '../sqlite/pageSums.ts'
import type { Subscription } from './subscription.ts'

/** While the socket buffers more bytes than this, the comparison waits. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024
const WAIT_MS = 5
/** Groups in one message. It holds up either side for a few tenths of a millisecond at most. */
const SLICE = 256
/** Groups whose page checksums go into one message. */
const RUN_GROUPS = 64

/** The part of a connection that a comparison uses. */
export type ComparisonLink = Pick<Subscription, 'connectionId' | 'bufferedBytes' | 'send'>

export class Comparison {
  readonly #db: string
  readonly #sums: PageSums
  readonly #link: ComparisonLink
  readonly #connectionId: number
  #isSent = false
  #asked = 0

  /** `sums` must not change until the pages that differ arrive. */
  constructor(db: string, sums: PageSums, link: ComparisonLink) {
    this.#db = db
    this.#sums = sums
    this.#link = link
    this.#connectionId = link.connectionId
  }

  /** Sends the checksums of all groups. Without pages it sends one empty message. */
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
   * Throws MESSAGE_BAD for groups that this side never sent.
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
    // The message that ends the list of groups may be empty itself.
    if (last && count === 0 && this.#asked > 0)
      this.#link.send('have', { db: this.#db, firstPage: 1, sums: 0, last: true }, Buffer.alloc(0))
  }

  /** Waits for room in the socket. False when the comparison's connection has ended. */
  async #hasRoom(): Promise<boolean> {
    while (this.#link.connectionId === this.#connectionId) {
      if (this.#link.bufferedBytes <= MAX_BUFFERED_BYTES) return true
      await delay(WAIT_MS)
    }
    return false
  }
}

/**
 * What a resync is about to overwrite: the pages, and ways to read the database as it is before and
 * after.
 */
import { payloadPage, payloadPageNumber } from '../../../proto/codec.ts'
import { nextTurn } from '../../platform/time.ts'
import type { ReadPage } from '../../sqlite/btreeWalk.ts'
import { FrameMap } from '../../sqlite/frameMap.ts'
import type { CheckedPages } from '../../sqlite/pageCheck.ts'
import { PageReader } from '../../sqlite/pageReader.ts'
import { PAGES_AT_ONCE, PageSet } from '../../sqlite/pageSet.ts'
import { lockPage } from '../../sqlite/walFormat.ts'
import type { Applier } from '../copy/applier.ts'

/** A copy with pages of a resync that are not visible yet. */
export interface ResyncedCopy {
  readonly pageSize: number
  readonly pages: Pick<CheckedPages, 'files' | 'frames'>
  readonly applier: Pick<Applier, 'pages' | 'sums' | 'pendingPages' | 'publishedFrames'>
}

/** The last message of a resync: `pages` images in `payload`, and the future database size. */
export interface LastPages {
  readonly pages: number
  readonly dbPages: number
  readonly payload: Buffer
}

/**
 * Valid until the resync is published. Memory: some bytes for each page that has come, a few bits
 * for each page of the database.
 */
export class Overwriting {
  readonly #copy: ResyncedCopy
  readonly #last: LastPages
  readonly #reader: PageReader
  /** Frames of the images that are not visible yet. */
  readonly #frames = new FrameMap()
  readonly #places = new Map<number, number>()
  /** Pages whose images came before the last message. */
  readonly pending = new PageSet(0)
  /** Pages of the old state that will change, or be cut off. */
  readonly pages: PageSet

  private constructor(copy: ResyncedCopy, last: LastPages) {
    this.#copy = copy
    this.#last = last
    this.#reader = new PageReader(copy.pages)
    this.pages = new PageSet(copy.applier.pages)
  }

  /** The caller keeps the copy undisturbed. */
  static async of(copy: ResyncedCopy, last: LastPages): Promise<Overwriting> {
    const overwriting = new Overwriting(copy, last)
    await overwriting.#collect()
    return overwriting
  }

  /** Reads the old state. */
  readonly before: ReadPage = (page) => this.#reader.read(page)

  /** Reads the new state. */
  readonly after: ReadPage = async (page) => {
    const { payload, pages } = this.#last
    const place = this.#places.get(page)
    if (place !== undefined) return payloadPage(payload, place, pages, this.#copy.pageSize)
    const frame = this.#frames.get(page)
    return frame > 0 ? this.#reader.readFrame(frame) : this.#reader.read(page)
  }

  /** Reads many pages of the old state; see PageReader. */
  readAll(pages: readonly number[], into: Buffer): Promise<void> {
    return this.#reader.readAll(pages, into)
  }

  async #collect(): Promise<void> {
    const { applier, pageSize } = this.#copy
    const { payload, pages: count, dbPages } = this.#last
    const { pendingPages, publishedFrames, pages: oldPages } = applier
    for (let at = 0; at < pendingPages.length; at++) {
      const page = pendingPages[at]
      this.#frames.set(page, publishedFrames + at + 1)
      this.pending.add(page)
      if (page <= oldPages) this.pages.add(page)
      if (at % PAGES_AT_ONCE === PAGES_AT_ONCE - 1) await nextTurn()
    }
    for (let i = 0; i < count; i++) {
      const page = payloadPageNumber(payload, i)
      this.#places.set(page, i)
      if (page <= oldPages) this.pages.add(page)
    }
    this.pages.addRange(dbPages + 1, oldPages)
    // SQLite never stores anything there.
    this.pages.delete(lockPage(pageSize))
  }
}

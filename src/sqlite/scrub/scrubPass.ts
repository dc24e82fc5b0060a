/**
 * One pass over a database: every page is read from the disk and compared with its checksum in
 * memory, while writers go on and checkpoints run. No lock is held, so a page that does not match
 * is only suspected at first: what was published meanwhile is taken in, and the page is read again,
 * several times, before it counts as rotten.
 */
import { systemCode } from '../../errors.ts'
import { delay, nextTurn } from '../../platform/time.ts'
import { type CheckedPages, PageCheck } from '../pageCheck.ts'
import { lockPage } from '../walFormat.ts'
import { DiskReader } from './diskReader.ts'

/** Read at once: disks are several times faster with reads of this size than with small ones. */
const RUN_BYTES = 1024 * 1024
/** Compared at once: a quarter of a millisecond before something else may run. */
const SLICE_BYTES = 256 * 1024
/** Looks at one page under the same checksum before it is rotten. */
const LOOKS = 6
/** Pause before the second look; each further one is twice as long. */
const LOOK_AGAIN_MS = 4
/**
 * Looks at a page whose checksum changes again and again. It was captured that often: it is left to
 * the next pass.
 */
const MAX_LOOKS = 60
/**
 * A pass ends with so many rotten pages: a copy that is so wrong must be brought anew as a whole.
 */
export const MAX_ROTTEN = 16_384
const REST_MS = 20

/** A page that is not what was written. */
export interface RottenPage {
  readonly page: number
  /** Checksum of what is there; some other wrong one when it cannot be read. */
  readonly found: bigint
}

export interface ScrubHost {
  /**
   * What is compared now. Undefined while it is not at rest: a transaction has come in part, or the
   * database is being opened.
   */
  pages(): CheckedPages | undefined
  /** Takes in what was published meanwhile. */
  look(): void
  /** Resolves when the next run may be read: after the time that `bytes` may take. */
  pace(bytes: number): Promise<void>
  /** Pages `first` to `last` were looked at: they are right, or `rotten`. */
  onChecked(first: number, last: number, rotten: readonly RottenPage[]): void
}

export interface PassResult {
  /** False when it was ended before the last page. */
  readonly isWhole: boolean
  readonly pagesRead: number
  readonly isDirect: boolean
  readonly rotten: readonly RottenPage[]
  /** Whether the state checksum is that of the page checksums: not so when memory was damaged. */
  readonly isStateRight: boolean
}

interface Suspect {
  sum: bigint
  looks: number
  /** Looks under any checksum. */
  allLooks: number
}

/** Checksums counted without letting anything else run: some tenths of a millisecond. */
const RECOUNT_PAGES = 65536

export class ScrubPass {
  readonly #host: ScrubHost
  readonly #signal: AbortSignal
  readonly #rotten: RottenPage[] = []
  #check: PageCheck | undefined
  #reader: DiskReader | undefined
  #next = 1
  #pagesRead = 0
  #isStateRight = true

  /** `signal` ends the pass. */
  constructor(host: ScrubHost, signal: AbortSignal) {
    this.#host = host
    this.#signal = signal
  }

  /** The next page to read. */
  get next(): number {
    return this.#next
  }

  /** Throws what reading throws, but for EIO: a page that cannot be read is rotten. */
  async run(): Promise<PassResult> {
    let isWhole = false
    while (!this.#signal.aborted && this.#rotten.length < MAX_ROTTEN) {
      const pages = await this.#atRest()
      if (!pages) break
      if (this.#next <= pages.sums.pages) {
        await this.#checkRun(pages)
        continue
      }
      const state = pages.sums.recount(RECOUNT_PAGES)
      isWhole = state !== undefined
      if (isWhole) {
        this.#isStateRight = state === pages.sums.state
        break
      }
      await nextTurn()
    }
    const isDirect = this.#reader?.isDirect ?? false
    const { rotten, isStateRight } = { rotten: this.#rotten, isStateRight: this.#isStateRight }
    return { isWhole, pagesRead: this.#pagesRead, isDirect, rotten, isStateRight }
  }

  /** Which of `pages` are rotten now; undefined when it was ended. */
  async recheck(pages: Iterable<number>): Promise<readonly RottenPage[] | undefined> {
    await this.#settle(new Set(pages))
    return this.#signal.aborted ? undefined : this.#rotten
  }

  async #checkRun({ files, sums }: CheckedPages): Promise<void> {
    const { pageSize } = files
    const first = this.#next
    const last = Math.min(sums.pages, first + Math.max(1, RUN_BYTES / pageSize) - 1)
    this.#next = last + 1
    const length = (last - first + 1) * pageSize
    const images = await this.#read((first - 1) * pageSize, length)
    const perSlice = Math.max(1, SLICE_BYTES / pageSize)
    let check: PageCheck | undefined
    const before = this.#rotten.length
    const suspects = new Set<number>()
    const skipped = lockPage(pageSize)
    for (let page = first; page <= last; page++) {
      if ((page - first) % perSlice === 0) {
        await nextTurn()
        check = this.#currentCheck()
      }
      if (page === skipped) continue
      this.#pagesRead++
      const at = (page - first) * pageSize
      if (
        !check ||
        !images ||
        check.wrongSum(page, images.subarray(at, at + pageSize)) !== undefined
      )
        suspects.add(page)
    }
    if (suspects.size > 0) await this.#settle(suspects)
    this.#host.onChecked(first, last, this.#rotten.slice(before))
    await this.#host.pace(length)
  }

  /** Looks at pages again until each of them is right or rotten. */
  async #settle(pages: ReadonlySet<number>): Promise<void> {
    const suspects = new Map<number, Suspect>()
    for (const page of pages) suspects.set(page, { sum: 0n, looks: 0, allLooks: 0 })
    for (let round = 0; suspects.size > 0; round++) {
      await this.#pause(LOOK_AGAIN_MS << Math.min(round, LOOKS))
      if (!(await this.#atRest())) return
      for (const [page, suspect] of suspects)
        if (await this.#isSettled(page, suspect)) suspects.delete(page)
    }
  }

  async #isSettled(page: number, suspect: Suspect): Promise<boolean> {
    const before = await this.#atRest()
    if (!before) return true
    const { pageSize } = before.files
    const image = await this.#read((page - 1) * pageSize, pageSize)
    this.#host.look()
    const pages = this.#host.pages()
    const check = this.#currentCheck()
    // A transaction that began meanwhile ends by itself, and says nothing about the page.
    if (!pages || !check) return false
    if (page > pages.sums.pages) return true
    const found = check.wrongSum(page, image)
    if (found === undefined) return true
    const sum = pages.sums.get(page)
    suspect.looks = sum === suspect.sum ? suspect.looks + 1 : 1
    suspect.sum = sum
    if (suspect.looks >= LOOKS) this.#rotten.push({ page, found })
    return suspect.looks >= LOOKS || ++suspect.allLooks >= MAX_LOOKS
  }

  /**
   * The comparison for what is there now, made anew when that was replaced; undefined while it is
   * not at rest.
   */
  #currentCheck(): PageCheck | undefined {
    const pages = this.#host.pages()
    if (!pages) return undefined
    if (!this.#check?.isOf(pages)) this.#check = new PageCheck(pages)
    return this.#check
  }

  /** Undefined when it was ended. */
  async #atRest(): Promise<CheckedPages | undefined> {
    while (!this.#signal.aborted) {
      const pages = this.#host.pages()
      if (pages) {
        this.#reader ??= new DiskReader(
          pages.files.database,
          Math.max(RUN_BYTES, pages.files.pageSize),
        )
        return pages
      }
      await this.#pause(REST_MS)
    }
    return undefined
  }

  async #read(position: number, length: number): Promise<Buffer | undefined> {
    try {
      return await this.#reader?.read(position, length)
    } catch (error) {
      if (systemCode(error) === 'EIO') return undefined
      throw error
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, { signal: this.#signal }).catch(() => {})
  }
}

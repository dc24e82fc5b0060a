/** The pages of a bundle: the list in `pages.txt`, and the images that it indexes. */
import { readSync } from '../../platform/files.ts'
import type { KeptFile } from './keptFile.ts'

const UNCHANGED = ' unchanged'

/**
 * Writes a line `N` or `N-M` for each run of neighbours. It ends with ` unchanged` for pages that
 * the leader has as they are, or has freed.
 */
export class PageListWriter {
  readonly #file: KeptFile
  #first = 0
  #last = 0
  #isOverwritten = false

  constructor(file: KeptFile) {
    this.#file = file
  }

  /** Pages must come in ascending order. */
  async add(page: number, isOverwritten: boolean): Promise<void> {
    if (page !== this.#last + 1 || this.#isOverwritten !== isOverwritten || this.#first === 0) {
      await this.end()
      this.#first = page
    }
    this.#last = page
    this.#isOverwritten = isOverwritten
  }

  async end(): Promise<void> {
    if (this.#first === 0) return
    const range = this.#first === this.#last ? `${this.#first}` : `${this.#first}-${this.#last}`
    await this.#file.line(`${range}${this.#isOverwritten ? '' : UNCHANGED}`)
    this.#first = 0
  }
}

/** Reads the images of `pages.bin`. Memory: 12 bytes for each line of the list. */
export class KeptPages {
  readonly #fd: number
  readonly #pageSize: number
  readonly #firsts: Uint32Array
  readonly #lasts: Uint32Array
  /** For each line, the number of images before it. */
  readonly #before: Uint32Array
  readonly size: number

  /** `list` is the text of `pages.txt`. The caller closes `fd`, that of `pages.bin`. */
  constructor(list: string, fd: number, pageSize: number) {
    const lines = list.split('\n').filter((line) => /^\d+(-\d+)?( unchanged)?$/.test(line))
    this.#fd = fd
    this.#pageSize = pageSize
    this.#firsts = new Uint32Array(lines.length)
    this.#lasts = new Uint32Array(lines.length)
    this.#before = new Uint32Array(lines.length)
    let size = 0
    lines.forEach((line, i) => {
      const [first, last = first] = line.split(' ')[0].split('-').map(Number)
      this.#firsts[i] = first
      this.#lasts[i] = last
      this.#before[i] = size
      size += last - first + 1
    })
    this.size = size
  }

  /** The image of a page, in new memory; undefined when it was not kept. */
  get(page: number): Buffer | undefined {
    const line = this.#lineOf(page)
    if (line < 0 || page > this.#lasts[line]) return undefined
    const image = Buffer.alloc(this.#pageSize)
    const place = this.#before[line] + page - this.#firsts[line]
    const got = readSync(this.#fd, image, 0, image.length, place * this.#pageSize)
    return got === image.length ? image : undefined
  }

  /** The last line that begins at `page` or before; -1 for none. */
  #lineOf(page: number): number {
    let [low, high] = [0, this.#firsts.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#firsts[middle] <= page) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

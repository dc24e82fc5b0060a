/** Pages that are listed at most: 256 KiB. */
const MAX_LISTED = 65536

/** Which frame of the current WAL generation holds the newest image of a page. 4 bytes a page. */
export class FrameMap {
  #frames = new Uint32Array(1024)
  #highest = 0
  /**
   * The pages of this generation, as long as they are few: a small WAL of a large database is
   * cleared at the cost of the WAL.
   */
  readonly #pages = new Uint32Array(MAX_LISTED)
  #listed = 0

  /** 0 when the WAL does not hold the page. */
  get(page: number): number {
    return page <= this.#highest ? this.#frames[page] : 0
  }

  set(page: number, frame: number): void {
    if (page >= this.#frames.length) {
      const larger = new Uint32Array(Math.max(page + 1, Math.ceil(this.#frames.length * 1.5)))
      larger.set(this.#frames)
      this.#frames = larger
    }
    if (page > this.#highest) this.#highest = page
    if (this.#frames[page] === 0 && this.#listed <= MAX_LISTED) this.#pages[this.#listed++] = page
    this.#frames[page] = frame
  }

  clear(): void {
    if (this.#listed > MAX_LISTED) this.#frames.fill(0, 0, this.#highest + 1)
    else for (let i = 0; i < this.#listed; i++) this.#frames[this.#pages[i]] = 0
    this.#listed = 0
    this.#highest = 0
  }
}

/** Which frame of the current WAL generation holds the newest image of a page. 4 bytes a page. */
export class FrameMap {
  #frames = new Uint32Array(1024)
  #highest = 0

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
    this.#frames[page] = frame
  }

  clear(): void {
    this.#frames.fill(0, 0, this.#highest + 1)
    this.#highest = 0
  }
}

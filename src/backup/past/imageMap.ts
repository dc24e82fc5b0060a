/**
 * Which image of which file holds each page of a database. Memory: 8 bytes for each page, twice
 * that while the database grows.
 */

export interface ImagePlace {
  /** Place of the file, from 0. */
  readonly file: number
  /** Number of the image in its file, from 0. */
  readonly image: number
}

const FIRST_PAGES = 1024

export class ImageMap {
  /** Place of the file and 1, 0 for a page without image. */
  #files = new Uint32Array(FIRST_PAGES)
  #images = new Uint32Array(FIRST_PAGES)
  #pages = 0

  /** Pages of the database. */
  get pages(): number {
    return this.#pages
  }

  /** Pages behind the end are forgotten. */
  resize(pages: number): void {
    if (pages > this.#files.length) this.#grow(pages)
    if (pages < this.#pages) this.#files.fill(0, pages, this.#pages)
    this.#pages = pages
  }

  /** `page` may lie behind the end: parts of a position come before its size is known. */
  set(page: number, file: number, image: number): void {
    if (page > this.#pages) this.resize(page)
    this.#files[page - 1] = file + 1
    this.#images[page - 1] = image
  }

  get(page: number): ImagePlace | undefined {
    if (page < 1 || page > this.#pages || this.#files[page - 1] === 0) return undefined
    return { file: this.#files[page - 1] - 1, image: this.#images[page - 1] }
  }

  #grow(pages: number): void {
    const capacity = Math.max(pages, this.#files.length * 2)
    const [files, images] = [new Uint32Array(capacity), new Uint32Array(capacity)]
    files.set(this.#files)
    images.set(this.#images)
    this.#files = files
    this.#images = images
  }
}

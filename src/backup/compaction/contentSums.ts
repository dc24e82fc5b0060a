/**
 * One number for all that some files hold: positions with their times, and the pages of each. How
 * they are cut into files and blocks does not matter, so what was written is compared with what is
 * read back, and a merged file with the files that it was made of.
 */
import { pageSum } from '../../sqlite/pageSums.ts'
import { checksumHex, xxh64 } from '../../xxh64.ts'
import type { PageImage, PointOf } from '../archiveFileWriter.ts'

const POINT_BYTES = 48

export class ContentSums {
  #digest = 0n
  #point: PointOf | undefined
  #images = 0
  #pages = 0n

  /** The images of a position that goes over several files are those of all of them. */
  begin(point: PointOf): void {
    if (this.#point?.txid !== point.txid) this.#endPoint()
    this.#point = point
  }

  add({ number, bytes }: PageImage): void {
    this.#images++
    this.#pages ^= pageSum(number, bytes)
  }

  /** Adds the images of a position as they pass. */
  async *through(
    point: PointOf,
    images: Iterable<PageImage> | AsyncIterable<PageImage>,
  ): AsyncGenerator<PageImage> {
    this.begin(point)
    for await (const image of images) {
      this.add(image)
      yield image
    }
  }

  /** XOR of the checksums of the pages of the current position: the state, if they are all. */
  get state(): string {
    return checksumHex(this.#pages)
  }

  /** Of all so far, 16 hex digits. */
  get digest(): string {
    this.#endPoint()
    return checksumHex(this.#digest)
  }

  #endPoint(): void {
    if (!this.#point) return
    const { txid, checksum, timeMs, pages } = this.#point
    const bytes = Buffer.alloc(POINT_BYTES)
    const fields = [BigInt(txid), BigInt(`0x${checksum}`), BigInt(timeMs), BigInt(pages)]
    for (const [i, value] of [...fields, BigInt(this.#images), this.#pages].entries())
      bytes.writeBigUInt64LE(value, 8 * i)
    this.#digest = xxh64(bytes, this.#digest)
    this.#point = undefined
    this.#images = 0
    this.#pages = 0n
  }
}

/** Bytes of one part of an object. Most objects are small, so it grows up to its bound. */
const FIRST_BYTES = 64 * 1024

export class PartBuffer {
  readonly #maxBytes: number
  #buffer: Buffer
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#buffer = Buffer.allocUnsafe(Math.min(FIRST_BYTES, maxBytes))
  }

  get isFull(): boolean {
    return this.#length === this.#maxBytes
  }

  /** Valid until the next `take`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Copies from the beginning of `bytes` what there is room for, and tells how much that was. */
  take(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#maxBytes - this.#length)
    this.#grow(this.#length + taken)
    this.#buffer.set(bytes.subarray(0, taken), this.#length)
    this.#length += taken
    return taken
  }

  empty(): void {
    this.#length = 0
  }

  #grow(bytes: number): void {
    if (bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.min(this.#maxBytes, 2 * bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

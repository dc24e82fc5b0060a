/** A SHA-256 over rows, to compare what two sides hold. */
import { createHash } from 'node:crypto'

export class RowDigest {
  readonly #hash = createHash('sha256')

  /** Each value with its type and length, so that no two lists of values look the same. */
  add(...values: readonly unknown[]): void {
    for (const value of values) {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
      this.#hash.update(`${typeof value}:${bytes.length}:`)
      this.#hash.update(bytes)
    }
  }

  hex(): string {
    return this.#hash.digest('hex')
  }
}

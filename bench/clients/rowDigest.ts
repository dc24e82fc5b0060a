/** A SHA-256 over rows, to compare what two sides hold. */
import { createHash } from 'node:crypto'

export class RowDigest {
  readonly #hash = createHash('sha256')

  /** One row. Number of values, then each with its type and length: no two rows look the same. */
  add(...values: readonly unknown[]): void {
    this.#hash.update(`${values.length};`)
    for (const value of values) {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
      const type = Buffer.isBuffer(value) ? 'bytes' : value === null ? 'null' : typeof value
      this.#hash.update(`${type}:${bytes.length}:`)
      this.#hash.update(bytes)
    }
  }

  hex(): string {
    return this.#hash.digest('hex')
  }
}

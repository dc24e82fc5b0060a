/** A SHA-256 over rows, to compare what two sides hold. */
import { createHash } from 'node:crypto'

/** Rows fetched at a time. */
const PAGE_ROWS = 10_000

/**
 * Over all rows of a server, fetched in the order of their ids: at most `limit` of those after `id`
 * at a time; the id comes first.
 */
export async function pagedDigest(
  fetchAfter: (id: number, limit: number) => Promise<readonly (readonly unknown[])[]>,
): Promise<string> {
  const found = new RowDigest()
  for (let last = 0; ; ) {
    const rows = await fetchAfter(last, PAGE_ROWS)
    if (rows.length === 0) return found.hex()
    for (const row of rows) found.add(...row)
    last = Number(rows.at(-1)?.[0])
  }
}

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

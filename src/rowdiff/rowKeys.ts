/**
 * Keys of rows as people name them: values as text, those of several columns joined by commas, a
 * blob in hexadecimal.
 */
import type { KeyColumn } from './tableShape.ts'

/** What `keyCondition` and `foundKeysQuery` of rowQueries.ts take, as JSON. */
export interface KeyParameters {
  /** The keys as they were given. */
  readonly keys: string
  /**
   * The values of each key one by one, as pairs: the text, and what that says as upper-case
   * hexadecimal. Null for a key with more or fewer values than columns.
   */
  readonly parts: string
}

export function keyParameters(keys: readonly string[], columns: number): KeyParameters {
  const parts = keys.map((key) => {
    const texts = key.split(',')
    return texts.length === columns ? texts.map((text) => [text, hexOf(text)]) : null
  })
  return { keys: JSON.stringify(keys), parts: JSON.stringify(parts) }
}

/** A blob as SQL writes it, as C writes a number, or the digits alone. */
function hexOf(text: string): string | null {
  const digits =
    /^(?:x'(.*)'|0x(.*)|(.*))$/is
      .exec(text)
      ?.slice(1)
      .find((found) => found !== undefined) ?? ''
  return /^([0-9a-f]{2})*$/i.test(digits) ? digits.toUpperCase() : null
}

/**
 * Why `key` names no row of any table whose key has these columns, undefined when it may. A text
 * may have commas of its own.
 */
export function objectionToKeyText(key: string, columns: readonly KeyColumn[]): string | undefined {
  const given = key.split(',').length
  if (given >= columns.length) return undefined
  const names = columns.map(({ name }) => name).join(', ')
  const wanted = `the key has ${columns.length} columns (${names})`
  return `${wanted}, and "${key}" names ${given}; join them by commas`
}

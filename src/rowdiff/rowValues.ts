/** Values of SQLite without loss, and their form in JSON. */
import type { TextEncoding } from '../sqlite/databaseHeader.ts'

/**
 * Bytes in lower-case hexadecimal: a blob, or a text that is no well-formed Unicode in the encoding
 * of its database.
 */
export interface Bytes {
  readonly type: 'blob' | 'text'
  readonly hex: string
}

/** `bigint` is an INTEGER, `number` a REAL, `string` a TEXT. */
export type SqlValue = null | bigint | number | string | Bytes

/** A value as a query of rowQueries.ts gives it: a text as its bytes, a blob in hexadecimal. */
export type RawValue = null | bigint | number | string | Buffer

/**
 * The expression that reads `column` as a RawValue, so that one result column tells its value and
 * its type.
 */
export function rawExpression(column: string): string {
  return `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB)
    WHEN 'blob' THEN hex(${column}) ELSE ${column} END`
}

export type Decode = (raw: RawValue) => SqlValue

export function decoderOf(encoding: TextEncoding): Decode {
  const label = encoding.toLowerCase()
  const text = new TextDecoder(label, { fatal: true, ignoreBOM: true })
  return (raw) => {
    if (typeof raw === 'string') return { type: 'blob', hex: raw.toLowerCase() }
    if (!Buffer.isBuffer(raw)) return raw
    try {
      return text.decode(raw)
    } catch {
      // SQLite stores any bytes as text: bytes that are no Unicode are told apart, not swallowed.
      return { type: 'text', hex: raw.toString('hex') }
    }
  }
}

export function sameValue(a: SqlValue, b: SqlValue): boolean {
  if (isBytes(a) && isBytes(b)) return a.type === b.type && a.hex === b.hex
  return a === b
}

export function isBytes(value: SqlValue): value is Bytes {
  return typeof value === 'object' && value !== null
}

/**
 * A REAL in decimal that no reader takes for an integer: shortest digits that give the same number
 * back.
 */
export function realText(value: number): string {
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

export type JsonValue = null | number | string | Readonly<Record<string, string>>

/**
 * A value in JSON, without loss. A number in JSON is an INTEGER exactly when it has no fraction and
 * no exponent.
 */
export function jsonValue(value: SqlValue): JsonValue {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : { integer: String(value) }
  }
  if (typeof value === 'number')
    return Number.isInteger(value) || !Number.isFinite(value) ? { real: realText(value) } : value
  if (isBytes(value)) return { [value.type]: value.hex }
  return value
}

/**
 * Names and values of settings, and how a value is written: text and JSON as UTF-8, bytes as they
 * are. What is refused here never reaches the table.
 */
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue }

/** A string is text, a Uint8Array is bytes, anything else is JSON. */
export type SettingValue = JsonValue | Uint8Array

export type SettingType = 'text' | 'json' | 'bytes'

export interface EncodedValue {
  readonly type: SettingType
  readonly content: Buffer
}

export interface ValueBounds {
  readonly maxNameBytes: number
  readonly maxValueBytes: number
}

const TYPES: readonly string[] = ['text', 'json', 'bytes'] satisfies SettingType[]
/** Deeper values are taken for circular ones. */
const MAX_DEPTH = 100
const MAX_SHOWN_CHARS = 100

export function isSettingType(type: unknown): type is SettingType {
  return typeof type === 'string' && TYPES.includes(type)
}

/** A name as errors and terminals may show it. */
export function shownName(name: string): string {
  return plainText(name, MAX_SHOWN_CHARS)
}

export function refused(name: string, detail: string): WalcastError {
  return new WalcastError('SETTING_REFUSED', { name: shownName(name), detail })
}

export function altered(name: string, detail: string): WalcastError {
  return new WalcastError('SETTING_ALTERED', { name: shownName(name), detail })
}

/** Throws SETTING_REFUSED. */
export function requireName(name: string, { maxNameBytes }: ValueBounds): void {
  if (typeof name !== 'string' || name === '') throw refused('', 'its name is empty')
  if (Buffer.byteLength(name) > maxNameBytes)
    throw refused(name, `its name has more than ${maxNameBytes} bytes`)
  if (/\p{Cc}/u.test(name)) throw refused(name, 'its name has a control character')
  if (!isWellFormed(name)) throw refused(name, 'its name is not well-formed Unicode')
}

/** Throws SETTING_REFUSED. */
export function encode(name: string, value: SettingValue, bounds: ValueBounds): EncodedValue {
  const encoded = encoding(name, value)
  const { length } = encoded.content
  if (length > bounds.maxValueBytes)
    throw refused(name, `it has ${length} bytes, and the limit is ${bounds.maxValueBytes}`)
  return encoded
}

function encoding(name: string, value: SettingValue): EncodedValue {
  if (value instanceof Uint8Array) return { type: 'bytes', content: Buffer.from(value) }
  if (typeof value !== 'string') {
    requireJson(name, value, 0)
    return { type: 'json', content: Buffer.from(JSON.stringify(value)) }
  }
  if (!isWellFormed(value)) throw refused(name, 'its text is not well-formed Unicode')
  return { type: 'text', content: Buffer.from(value) }
}

/** What JSON.stringify would leave out or change is refused, save undefined in an object. */
function requireJson(name: string, value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw refused(name, `it is nested deeper than ${MAX_DEPTH} levels`)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number' && Number.isFinite(value)) return
  if (Array.isArray(value)) {
    for (const each of value) requireJson(name, each, depth + 1)
    return
  }
  if (typeof value !== 'object' || !isPlain(value)) throw refused(name, 'it is no JSON value')
  for (const each of Object.values(value))
    if (each !== undefined) requireJson(name, each, depth + 1)
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  const isOwn = prototype === null || Object.getPrototypeOf(prototype) === null
  return isOwn && !('toJSON' in value && typeof value.toJSON === 'function')
}

/** Half of a surrogate pair has no UTF-8. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

/**
 * The value that was written. Objects and arrays are frozen, since a cache may give them again.
 * Throws SETTING_ALTERED.
 */
export function decode(name: string, { type, content }: EncodedValue): SettingValue {
  switch (type) {
    case 'bytes':
      return content
    case 'text':
      return content.toString('utf8')
    case 'json':
      try {
        return frozen(JSON.parse(content.toString('utf8')) as JsonValue)
      } catch {
        throw altered(name, 'it is not JSON')
      }
  }
}

function frozen(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value
  for (const each of Object.values(value)) frozen(each)
  return Object.freeze(value)
}

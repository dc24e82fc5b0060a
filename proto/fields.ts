/** Field types of message bodies. Each checks a decoded value; what it does not accept makes the message bad. */
import { MAX_NAME_CHARS, MAX_PAGE_NUMBER, MAX_TEXT_CHARS } from './limits.ts'

export interface Field<T> {
  readonly accepts: (value: unknown) => value is T
  readonly describe: string
}

const field = <T>(describe: string, accepts: (value: unknown) => value is T): Field<T> => ({
  describe,
  accepts,
})

const text = (maxChars: number): Field<string> =>
  field(
    `text up to ${maxChars} characters`,
    (value): value is string => typeof value === 'string' && value.length <= maxChars,
  )

const whole = (max: number): Field<number> =>
  field(
    `whole number up to ${max}`,
    (value): value is number =>
      Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max,
  )

const oneOf = <const T extends string>(...values: readonly T[]): Field<T> =>
  field(`one of ${values.join(', ')}`, (value): value is T => values.includes(value as T))

export const name = text(MAX_NAME_CHARS)
export const prose = text(MAX_TEXT_CHARS)
export const count = whole(Number.MAX_SAFE_INTEGER)
export const pageNumber = whole(MAX_PAGE_NUMBER)
export const flag = field('true or false', (value): value is boolean => typeof value === 'boolean')
/** A time or duration in milliseconds, fractions allowed. */
export const millis = field(
  'milliseconds',
  (value): value is number => typeof value === 'number' && Number.isFinite(value),
)
/** A page size, 0 for "none yet". */
export const pageSize = field(
  'page size',
  (value): value is number =>
    Number.isInteger(value) &&
    typeof value === 'number' &&
    (value === 0 || (value >= 512 && value <= 65536 && (value & (value - 1)) === 0)),
)
/** A state checksum as 16 hex digits, '' for "none yet". */
export const checksum = field(
  '16 hex digits or nothing',
  (value): value is string => typeof value === 'string' && (value === '' || /^[0-9a-f]{16}$/.test(value)),
)
export { oneOf }

export type Fields = Readonly<Record<string, Field<unknown>>>
export type BodyOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

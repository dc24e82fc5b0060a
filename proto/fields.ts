/**
 * Field types of message bodies. Each checks a decoded value. A value that it does not accept makes
 * the message bad.
 */
import { parseHostPort } from '../src/hostPort.ts'
import { isNodeId } from '../src/nodeId.ts'
import { isPlain } from '../src/plainText.ts'
import {
  MAX_COUNTED,
  MAX_DURATION_MS,
  MAX_NAME_CHARS,
  MAX_PAGE_NUMBER,
  MAX_TEXT_CHARS,
  MAX_TIME_MS,
} from './limits.ts'
import { isIncarnation, parseTrail } from './lineage.ts'

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

export const whole = (max: number): Field<number> =>
  field(
    `whole number up to ${max}`,
    (value): value is number =>
      Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max,
  )

const oneOf = <const T extends string>(...values: readonly T[]): Field<T> =>
  field(`one of ${values.join(', ')}`, (value): value is T => values.includes(value as T))

/** Without control and format characters: names are shown on terminals. */
export const name = field(
  `text up to ${MAX_NAME_CHARS} characters without control characters`,
  (value): value is string =>
    typeof value === 'string' && value.length <= MAX_NAME_CHARS && isPlain(value),
)
/** Id of a node, '' for "not known". */
export const nodeId = field(
  'node id',
  (value): value is string => typeof value === 'string' && (value === '' || isNodeId(value)),
)
/** Where other nodes reach a node, '' for "not known". */
export const address = field(
  'HOST:PORT or nothing',
  (value): value is string =>
    name.accepts(value) && (value === '' || parseHostPort(value) !== undefined),
)
export const prose = text(MAX_TEXT_CHARS)
export const count = whole(Number.MAX_SAFE_INTEGER)
/** An epoch or a txid. */
export const counted = whole(MAX_COUNTED)
export const pageNumber = whole(MAX_PAGE_NUMBER)
export const flag = field('true or false', (value): value is boolean => typeof value === 'boolean')
/** Milliseconds since 1970-01-01 UTC, fractions allowed: what a date can hold. */
export const time = field(
  `time up to ${MAX_TIME_MS} ms`,
  (value): value is number => typeof value === 'number' && Math.abs(value) <= MAX_TIME_MS,
)
/** Milliseconds, fractions allowed. */
export const duration = field(
  `duration up to ${MAX_DURATION_MS} ms`,
  (value): value is number => typeof value === 'number' && value >= 0 && value <= MAX_DURATION_MS,
)

/**
 * A duration as it may be sent: a clock that is set can make one negative, and "never" is infinite.
 */
export function durationOf(ms: number): number {
  return Math.min(MAX_DURATION_MS, Math.max(0, ms))
}
/** A page size, 0 for "none yet". */
export const pageSize = field(
  'page size',
  (value): value is number =>
    Number.isInteger(value) &&
    typeof value === 'number' &&
    (value === 0 || (value >= 512 && value <= 65536 && (value & (value - 1)) === 0)),
)
/** Permission bits of a file. */
export const fileMode = whole(0o777)
/** A state checksum as 16 hex digits, '' for "none yet". */
export const checksum = field(
  '16 hex digits or nothing',
  (value): value is string =>
    typeof value === 'string' && (value === '' || /^[0-9a-f]{16}$/.test(value)),
)
/** Id of an incarnation of the leader. */
export const incarnation = field(
  '16 hex digits',
  (value): value is string => typeof value === 'string' && isIncarnation(value),
)
/**
 * Id of the incarnation before another one. A node keeps it in its role file, which takes nothing
 * else.
 */
export const incarnationBefore = field(
  '16 hex digits or nothing',
  (value): value is string => typeof value === 'string' && (value === '' || isIncarnation(value)),
)
/** Points of a history, the newest first, as `formatTrail` gives them. */
export const trail = field(
  'points of a history',
  (value): value is string => typeof value === 'string' && parseTrail(value) !== undefined,
)
export { oneOf }

export type Fields = Readonly<Record<string, Field<unknown>>>
export type BodyOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never
}

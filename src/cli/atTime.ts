/** Times as people write them. */
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'

const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/
const AGO = /^(?:-(\d{1,6}) ?([smhd])|(\d{1,6}) ?([smhd]) ago)$/
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * ms since 1970 of an ISO 8601 time, which is local unless it names a zone, or of a time before
 * `nowMs` such as `-6h` or `6h ago`. Throws USAGE.
 */
export function timeOf(flag: string, text: string, nowMs: number): number {
  const [, count, unit, otherCount, otherUnit] = AGO.exec(text) ?? []
  const number = count ?? otherCount
  if (number !== undefined) return nowMs - Number(number) * UNITS_MS[unit ?? otherUnit ?? 's']
  const [, date, clock = '00:00', zone = ''] = ISO.exec(text) ?? []
  // A date alone would be taken for one in UTC.
  const ms =
    date === undefined ? Number.NaN : Date.parse(`${date}T${clock.replace(',', '.')}${zone}`)
  if (!Number.isNaN(ms) && ms >= 0) return ms
  throw new WalcastError('USAGE', {
    detail:
      `--${flag} wants a time such as "2026-11-29 14:02:07", 2026-11-29T13:02:07Z or -6h, ` +
      `not "${plainText(text, 100)}"`,
  })
}

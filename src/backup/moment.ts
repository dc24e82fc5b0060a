/** Positions of the past as people name them: a time, a txid, a position or a name. Pure. */
import { MAX_COUNTED } from '../../proto/limits.ts'

export type Moment =
  | { readonly kind: 'newest' }
  /** The last position at or before this time, ms since 1970. */
  | { readonly kind: 'time'; readonly atMs: number }
  | { readonly kind: 'txid'; readonly txid: number }
  | { readonly kind: 'position'; readonly epoch: number; readonly txid: number }
  /** The one that "walcast backups name" gave this name. */
  | { readonly kind: 'named'; readonly name: string }

/** For help texts and errors. */
export const TIME_FORMS = 'a time (2026-11-30T14:00, with or without zone), -6h or "6h ago"'
export const MOMENT_FORMS = `${TIME_FORMS}, a position such as 3-120, a txid, newest, or a name`
/** Of names that say so, and of those that nothing else is written like. */
const NAMED = /^(?:point:|(?=[a-z]))([a-z0-9][\w.-]{0,99})$/i

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
}
const DURATION = /^(?:\d{1,9}(?:\.\d{1,3})?(?:ms|[smhdw]))+$/
const PART = /(\d+(?:\.\d+)?)(ms|[smhdw])/g
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?(Z|[+-]\d\d:?\d\d)?)?$/
/** MAX_COUNTED has 15 digits. */
const NUMBER = /^\d{1,15}$/
const POSITION = /^(\d{1,15})-(\d{1,15})$/

/** A moment, or the name of a position; undefined for a text that is neither. */
export function parseNamedMoment(text: string, nowMs: number): Moment | undefined {
  const [, name] = NAMED.exec(text.trim()) ?? []
  return parseMoment(text, nowMs) ?? (name === undefined ? undefined : { kind: 'named', name })
}

/** Undefined for a text that names no moment. `nowMs`: ms since 1970, from which `-6h` counts. */
export function parseMoment(text: string, nowMs: number): Moment | undefined {
  const given = text.trim()
  if (/^(?:newest|now)$/i.test(given)) return { kind: 'newest' }
  if (NUMBER.test(given)) return counted(Number(given))
  const [, epoch, txid] = POSITION.exec(given) ?? []
  if (epoch !== undefined) return positionOf(Number(epoch), Number(txid))
  const atMs = parseTime(given, nowMs)
  return atMs === undefined ? undefined : { kind: 'time', atMs }
}

/**
 * ms since 1970, and not before; undefined for a text that is no time. A time without zone is
 * local, and one that the clocks skip in spring is the hour after.
 */
export function parseTime(text: string, nowMs: number): number | undefined {
  const given = text.trim()
  const ago = /^(?:-(.+)|(.+?)\s+ago)$/i.exec(given)
  const atMs = Math.floor(ago ? nowMs - durationMs(ago[1] ?? ago[2]) : isoMs(given))
  return atMs >= 0 ? atMs : undefined
}

function counted(txid: number): Moment | undefined {
  return txid <= MAX_COUNTED ? { kind: 'txid', txid } : undefined
}

function positionOf(epoch: number, txid: number): Moment | undefined {
  const isBounded = epoch <= MAX_COUNTED && txid <= MAX_COUNTED
  return isBounded ? { kind: 'position', epoch, txid } : undefined
}

/** NaN for what is none. */
function durationMs(text: string): number {
  const compact = text.replaceAll(/\s+/g, '').toLowerCase()
  if (!DURATION.test(compact)) return Number.NaN
  return [...compact.matchAll(PART)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit],
    0,
  )
}

/** NaN for what is none. */
function isoMs(text: string): number {
  const parts = ISO.exec(text)
  if (!parts) return Number.NaN
  const [year, month, day, hour, minute, second] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  const millisecond = Number((parts[7] ?? '').padEnd(3, '0').slice(0, 3))
  const utc = Date.UTC(year, month - 1, day, hour, minute, second, millisecond)
  const read = new Date(utc)
  const isReal =
    read.getUTCMonth() === month - 1 && read.getUTCDate() === day && read.getUTCHours() === hour
  if (!isReal || minute > 59 || second > 59) return Number.NaN
  const zone = parts[8]
  if (zone === undefined)
    return new Date(year, month - 1, day, hour, minute, second, millisecond).getTime()
  return utc - zoneMs(zone)
}

/** East of Greenwich is above 0; NaN for an offset that no place has. */
function zoneMs(zone: string): number {
  if (zone === 'Z') return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))]
  if (hours > 14 || minutes > 59) return Number.NaN
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

/** `2026-11-30 14:00:00.123 +01:00`, in the zone of this machine. */
export function momentText(timeMs: number): string {
  const at = new Date(timeMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  const east = -at.getTimezoneOffset()
  const [hours, minutes] = [Math.floor(Math.abs(east) / 60), Math.abs(east) % 60]
  const zone = `${east < 0 ? '-' : '+'}${two(hours)}:${two(minutes)}`
  return `${date} ${time}.${String(at.getMilliseconds()).padStart(3, '0')} ${zone}`
}

/**
 * Values of options as texts, which options read back as the same value. Whatever may hold a secret
 * is cut off: of a command its arguments, of a URL its path and its query.
 */
import type { OptionKind } from './optionSpec.ts'

const BYTE_UNITS = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const
const TIME_UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const
/** In place of what is not shown. */
export const HIDDEN = '…'

/** Undefined for a value that is not set: undefined, or an empty list. */
export function optionText(kind: OptionKind, value: unknown): string | undefined {
  if (value === undefined || value === '') return undefined
  if (Array.isArray(value)) return listText(kind, value)
  switch (kind) {
    case 'bytes':
      return inUnits(Number(value), BYTE_UNITS, '')
    case 'duration':
      return inUnits(Number(value), TIME_UNITS, 'ms')
    case 'fileMode':
      return Number(value).toString(8).padStart(4, '0')
    case 'command':
      return commandText(String(value))
    case 'webhook':
      return webhookText(String(value))
    case 'target':
      return withoutQuery(String(value))
    case 'place':
      return placeText(String(value))
    default:
      return String(value)
  }
}

function listText(kind: OptionKind, values: readonly unknown[]): string | undefined {
  if (values.length === 0) return kind === 'statuses' ? 'none' : undefined
  const texts = values.map(String)
  return (kind === 'places' ? texts.map(placeText) : texts).join(',')
}

/** In the largest unit of which it is a whole number. */
function inUnits(
  value: number,
  units: readonly (readonly [string, number])[],
  smallest: string,
): string {
  const unit = units.find(([, size]) => value >= size && value % size === 0)
  return unit ? `${value / unit[1]}${unit[0]}` : `${value}${smallest}`
}

/** An assignment before the program may be a secret as well. */
function commandText(command: string): string {
  const [first, ...more] = command.trim().split(/\s+/)
  if (!/^[\w@%+:,./-]+$/.test(first)) return HIDDEN
  return more.length > 0 ? `${first} ${HIDDEN}` : first
}

/** Such services have the secret in the path. */
function webhookText(text: string): string {
  return URL.canParse(text) ? `${new URL(text).origin}/${HIDDEN}` : HIDDEN
}

/** A folder has no scheme, and may have a question mark in its name. */
function placeText(place: string): string {
  const [, scheme, rest] = /^([a-z0-9+]+:\/\/)(.*)$/is.exec(place) ?? []
  if (scheme === undefined) return place
  const path = withoutQuery(rest)
  return `${scheme}${path.includes('@') ? `${HIDDEN}${path.slice(path.lastIndexOf('@'))}` : path}`
}

function withoutQuery(text: string): string {
  const at = text.indexOf('?')
  return at < 0 ? text : `${text.slice(0, at)}?${HIDDEN}`
}

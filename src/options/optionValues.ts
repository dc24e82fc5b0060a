/** Parses the texts of flags, environment and file into values with units. */
import { Cron } from 'croner'
import { WalcastError } from '../errors.ts'
import { ACK_LEVELS, parseAckLevel } from '../feed/ackLevel.ts'
import { parseHostPort } from '../hostPort.ts'
import { isNodeId } from '../nodeId.ts'
import { keepOf } from './keepPolicy.ts'
import { parseNetwork, TRUST_LOOPBACK, TRUST_NONE } from './network.ts'
import type { OptionKind } from './optionSpec.ts'

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
}

/** A timer takes at most 2^31 ms. */
export const MAX_DURATION_MS = 24 * 3_600_000
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** The words that an option takes, of kinds that take no other. */
export const CHOICES: Partial<Record<OptionKind, readonly string[]>> = {
  backupOn: ['replica', 'leader', 'this'],
  onStale: ['forward', 'serve', 'refuse'],
  upstreamCounts: ['readyz', 'leader', 'nowhere'],
}

/** Parses a value of an option. Throws USAGE. */
export function parseValue(
  flag: string,
  kind: OptionKind,
  text: string,
): string | number | boolean | readonly string[] | readonly number[] {
  switch (kind) {
    case 'bytes':
      return parseBytes(flag, text)
    case 'duration':
      return parseDurationMs(flag, text)
    case 'number':
      return parseNumber(flag, text)
    case 'flag':
      return parseFlag(flag, text)
    case 'address':
      return parseAddress(flag, text)
    case 'addresses':
      return text
        .split(',')
        .filter(Boolean)
        .map((address) => parseAddress(flag, address.trim()))
    case 'networks':
      return text
        .split(',')
        .filter(Boolean)
        .map((network) => parseTrusted(flag, network.trim()))
    case 'text':
      if (!isNodeId(text))
        throw usage(flag, text, 'up to 128 letters, digits, ".", "_" and "-", other than "cli"')
      return text
    case 'url':
      return parseUrl(flag, text)
    case 'origin':
      return parseOrigin(flag, text)
    case 'origins': {
      const origins = text.split(',').flatMap((origin) => origin.trim() || [])
      if (origins.length === 0) throw usage(flag, text, 'URLs such as http://127.0.0.1:2379')
      return origins.map((origin) => parseOrigin(flag, origin))
    }
    case 'election':
      return parseElection(flag, text)
    case 'prefixes':
      return text
        .split(',')
        .filter(Boolean)
        .map((prefix) => parsePrefix(flag, prefix.trim()))
    case 'place':
      return parsePlace(flag, text)
    case 'places':
      return parsePlaces(flag, text)
    case 'backupOn':
    case 'onStale':
    case 'upstreamCounts':
      return parseChoice(flag, text, CHOICES[kind] ?? [])
    case 'schedule':
      return parseSchedule(flag, text)
    case 'query':
      if (!/^[^\0]{1,4096}$/s.test(text) || text.trim() === '') throw usage(flag, text, 'a query')
      return text
    case 'keep':
      return parseKeepText(flag, text)
    case 'cookie':
      if (!/^[\w!#$%&'*+.^`|~-]{1,64}$/.test(text)) throw usage(flag, text, 'the name of a cookie')
      return text
    case 'statuses':
      return parseStatuses(flag, text)
    case 'target':
      if (!/^\/[\x21\x22\x24-\x7e]{0,1023}$/.test(text))
        throw usage(flag, text, 'a path such as /health')
      return text
    case 'ackLevel':
      if (!parseAckLevel(text)) throw usage(flag, text, ACK_LEVELS)
      return text
    case 'fileMode':
      return parseFileMode(flag, text)
    case 'path':
      if (text === '') throw usage(flag, text, 'a path')
      return text
    case 'command':
      if (!/^[^\0]{1,4096}$/s.test(text) || text.trim() === '')
        throw usage(flag, text, 'a command of the shell')
      return text
    case 'webhook':
      return parseWebhook(flag, text)
  }
}

function parseChoice(flag: string, text: string, choices: readonly string[]): string {
  if (choices.includes(text)) return text
  throw usage(flag, text, `${choices.slice(0, -1).join(', ')} or ${choices[choices.length - 1]}`)
}

/** Its errors name the other option that takes a policy. */
function parseKeepText(flag: string, text: string): string {
  try {
    keepOf(text)
    return text
  } catch (error) {
    if (!(error instanceof WalcastError)) throw error
    const detail = String(error.details['detail']).replace('--keep', `--${flag}`)
    throw new WalcastError('USAGE', { detail }, error)
  }
}

function parseAddress(flag: string, text: string): string {
  if (!parseHostPort(text)) throw usage(flag, text, 'HOST:PORT')
  return text
}

/** Parses a network whose proxies are trusted, or a word in its place. */
function parseTrusted(flag: string, text: string): string {
  if (text !== TRUST_NONE && text !== TRUST_LOOPBACK && !parseNetwork(text))
    throw usage(flag, text, 'networks such as 10.0.0.0/8,2001:db8::/32, or none')
  return text
}

function parseUrl(flag: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.username ||
    url.password ||
    url.search ||
    url.hash
  )
    throw usage(flag, text, 'a URL such as http://127.0.0.1:3000')
  return text
}

/** Parses a URL that may have a query. The error does not repeat `text`: it may be a secret. */
function parseWebhook(flag: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.hash)
    throw usage(flag, '...', 'a URL such as https://ops.example/walcast, without user and password')
  return text
}

/** Parses a URL without a path. */
function parseOrigin(flag: string, text: string): string {
  const { origin, pathname } = new URL(parseUrl(flag, text))
  if (pathname !== '/')
    throw usage(flag, text, 'a URL without a path, such as http://127.0.0.1:3000')
  return origin
}

/** Parses a folder or the URL of a bucket. An error does not repeat it: a URL may have a secret. */
/** At least one: a node that archives nowhere is most likely a variable that is not set. */
function parsePlaces(flag: string, text: string): string[] {
  const places = text.split(',').flatMap((place) => place.trim() || [])
  if (places.length === 0) throw usage(flag, text, 'a folder, or a URL such as s3://bucket/prefix')
  return places.map((place) => parsePlace(flag, place))
}

function parsePlace(flag: string, text: string): string {
  const isUrl = /^[a-z0-9+]+:\/\//i.test(text)
  if (text === '' || text.includes('\0') || (isUrl && !text.startsWith('s3://')))
    throw usage(flag, '...', 'folders, or URLs such as s3://bucket/prefix')
  return text
}

/** Parses a word, or the URL of a bucket. */
function parseElection(flag: string, text: string): string {
  if (['static', 'etcd', 'consul'].includes(text)) return text
  if (text.startsWith('s3://')) return parsePlace(flag, text)
  throw usage(flag, '...', 'static, etcd, consul or s3://BUCKET/PREFIX')
}

/** Parses `daily`, `off` or a cron expression of five or six fields, without a year. */
function parseSchedule(flag: string, text: string): string {
  if (text === 'daily' || text === 'off') return text
  if (!/^(@\w+|\S+( \S+){4,5})$/.test(text) || !hasTimes(text))
    throw usage(flag, text, 'a cron expression such as "30 4 * * *", daily or off')
  return text
}

/** Some are well formed and never come: 30 February. */
function hasTimes(text: string): boolean {
  try {
    return new Cron(text).nextRuns(2, new Date(0)).length === 2
  } catch {
    return false
  }
}

/** Parses the beginning of a path, in whole segments. */
function parsePrefix(flag: string, text: string): string {
  const isPlain = text === '/' || !/\/\.{0,2}\//.test(`${text}/`)
  if (!/^\/[^\s?#%\\]*$/.test(text) || !isPlain)
    throw usage(flag, text, 'paths such as /admin,/upload')
  return text
}

/** Parses HTTP statuses of failures. */
function parseStatuses(flag: string, text: string): readonly number[] {
  if (text === 'none') return []
  const statuses = text.split(',').map((status) => status.trim())
  if (!statuses.every((status) => /^[45]\d\d$/.test(status)))
    throw usage(flag, text, 'statuses from 400 to 599 such as 500,400, or none')
  return [...new Set(statuses.map(Number))]
}

/** Parses permission bits of a database file, in octal as for chmod(1). */
function parseFileMode(flag: string, text: string): number {
  if (!/^0?6[046][046]$/.test(text))
    throw usage(
      flag,
      text,
      'an octal mode such as 0640: 6, then 0, 4 or 6 for the group and for others',
    )
  return Number.parseInt(text, 8)
}

function parseBytes(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text)
  const unit = match && BYTE_UNITS[match[2].toUpperCase()]
  if (!match || !unit) throw usage(flag, text, 'a size such as 4MiB')
  return Math.round(Number(match[1]) * unit)
}

/** Parses a time such as 250ms, 30s, 5m or 1h into milliseconds. */
function parseDurationMs(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  if (!match) throw usage(flag, text, 'a time such as 250ms, 30s or 5m')
  const durationMs = Number(match[1]) * TIME_UNITS[match[2]]
  if (durationMs < 1 || durationMs > MAX_DURATION_MS)
    throw usage(flag, text, 'a time from 1ms to 24h')
  return durationMs
}

export function parseNumber(flag: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw usage(flag, text, 'a whole number')
  return Number(text)
}

function parseFlag(flag: string, text: string): boolean {
  if (['1', 'true', 'yes'].includes(text)) return true
  if (['0', 'false', 'no', ''].includes(text)) return false
  throw usage(flag, text, 'true or false')
}

function usage(flag: string, text: string, wanted: string): WalcastError {
  return new WalcastError('USAGE', { detail: `--${flag} wants ${wanted}, not "${text}"` })
}

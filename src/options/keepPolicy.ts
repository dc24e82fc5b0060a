/**
 * What `--keep` promises: which positions stay restorable for how long, how many snapshots stay,
 * and how large the archive may become. docs/backup/retention.md has the grammar.
 */
import { WalcastError } from '../errors.ts'

export const GRAINS = ['all', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
/** How many positions of a time stay: `all`, or the last one of each period. */
export type Grain = (typeof GRAINS)[number]

export interface KeepWindow {
  readonly grain: Grain
  /** Ages up to which it holds, in ms. */
  readonly ageMs: number
}

export interface KeepPolicy {
  /** Ascending by age, each coarser than the one before. */
  readonly windows: readonly KeepWindow[]
  /** Newest snapshots that stay with all that follows them; at least 1. */
  readonly snapshots: number
  /** Bytes of all files, which the windows give way to. */
  readonly maxBytes: number | undefined
}

export const DEFAULT_KEEP = '7d:all,60d:daily,2y:monthly'
/** In place of a policy: everything stays. */
export const KEEP_ALL = 'all'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MAX_KEEP_CHARS = 200
const MAX_SNAPSHOTS = 1000
const MAX_AGE_MS = 100 * 365 * DAY_MS
/** The least size that makes sense: a smaller one is a slip. */
const MIN_BYTES = 1024 * 1024

const AGE_UNITS: Readonly<Record<string, number>> = {
  h: HOUR_MS,
  d: DAY_MS,
  w: 7 * DAY_MS,
  y: 365 * DAY_MS,
}
const BYTE_UNITS: Readonly<Record<string, number>> = {
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
  TIB: 1024 ** 4,
}

/** Undefined for `all`. Throws USAGE. */
export function keepOf(text: string): KeepPolicy | undefined {
  return text.trim() === KEEP_ALL ? undefined : parseKeep(text)
}

/** Parses `7d:all,60d:daily,3,200GiB`. Throws USAGE, which names the term that is wrong. */
export function parseKeep(text: string): KeepPolicy {
  if (text.length > MAX_KEEP_CHARS) throw wrong(`at most ${MAX_KEEP_CHARS} characters`)
  const terms = text.split(',').map((term) => term.trim())
  const windows: KeepWindow[] = []
  let snapshots: number | undefined
  let maxBytes: number | undefined
  for (const term of terms)
    if (term.includes(':')) windows.push(parseWindow(term))
    else if (/^\d+$/.test(term)) snapshots = once(term, snapshots, parseCount(term))
    else maxBytes = once(term, maxBytes, parseSize(term))
  return { windows: inOrder(windows), snapshots: snapshots ?? 1, maxBytes }
}

function parseWindow(term: string): KeepWindow {
  const [, count, unit, word] = /^(\d{1,6})([a-z]):([a-z]+)$/.exec(term) ?? []
  const grain = GRAINS.find((each) => each === word)
  const unitMs = unit === undefined ? undefined : AGE_UNITS[unit]
  if (!grain || unitMs === undefined)
    throw wrong(`an age in h, d, w or y and one of ${GRAINS.join(', ')}, such as 60d:daily`, term)
  const ageMs = Number(count) * unitMs
  if (ageMs < HOUR_MS || ageMs > MAX_AGE_MS) throw wrong('an age from 1h to 100y', term)
  return { grain, ageMs }
}

function parseCount(term: string): number {
  const count = Number(term)
  if (count < 1 || count > MAX_SNAPSHOTS) throw wrong(`1 to ${MAX_SNAPSHOTS} snapshots`, term)
  return count
}

function parseSize(term: string): number {
  const [, count, unit] = /^(\d{1,6}(?:\.\d{1,3})?)\s?([a-z]{2,3})$/i.exec(term) ?? []
  const factor = unit === undefined ? undefined : BYTE_UNITS[unit.toUpperCase()]
  if (factor === undefined)
    throw wrong('ages such as 7d:all, a number of snapshots, or a size such as 200GiB', term)
  const bytes = Math.round(Number(count) * factor)
  if (bytes < MIN_BYTES) throw wrong('a size of 1 MiB or more', term)
  return bytes
}

function once(term: string, before: number | undefined, value: number): number {
  if (before !== undefined) throw wrong('one number of snapshots and one size', term)
  return value
}

/** A window that is not longer than a finer one would never hold anything. */
function inOrder(windows: readonly KeepWindow[]): KeepWindow[] {
  const sorted = windows.toSorted((a, b) => GRAINS.indexOf(a.grain) - GRAINS.indexOf(b.grain))
  for (const [i, { grain, ageMs }] of sorted.entries()) {
    if (i === 0) continue
    const finer = sorted[i - 1]
    if (finer.grain === grain) throw wrong(`one age for ${grain}`)
    if (finer.ageMs >= ageMs)
      throw wrong(`a longer age for ${grain} than for ${finer.grain}: the first would do nothing`)
  }
  return sorted
}

function wrong(wanted: string, term?: string): WalcastError {
  const got = term === undefined ? '' : `, not "${term}"`
  return new WalcastError('USAGE', { detail: `--keep wants ${wanted}${got}` })
}

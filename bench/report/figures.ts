/** Numbers and names as people read them. */
import { formatNumber } from '../table.ts'
import type { Measured } from './summary.ts'

/** Three significant digits, or all of a whole number, with a comma between thousands. */
export function figure(value: number): string {
  const text = formatNumber(value)
  return Math.abs(value) >= 10_000 ? text.replace(/\B(?=(\d{3})+$)/g, ',') : text
}

/** Milliseconds without digits that no reader of a clock in this bench could tell apart. */
export function milliseconds(ms: number): string {
  if (ms > 0 && ms < 0.005) return '<0.01'
  return ms < 100 ? ms.toFixed(ms < 10 ? 2 : 1) : figure(ms)
}

/** A part of a whole, such as a rate with something to the rate without. */
export function share(ratio: number): string {
  return ratio.toFixed(2)
}

/**
 * The median, and in brackets the smallest and the largest of the rounds where they read
 * differently.
 */
export function withRange(measured: Measured, format = figure): string {
  const range = rangeText(measured, format)
  return range ? `${format(measured.value)} (${range})` : format(measured.value)
}

/** Empty when the smallest and the largest read the same. */
export function rangeText({ range }: Measured, format = figure): string {
  if (!range) return ''
  const [least, most] = range.map((value) => format(value))
  return least === most ? '' : `${least}–${most}`
}

/** How numbers of a column are written. */
export function formatOf(unit: string): (value: number) => string {
  return unit === 'ms' ? milliseconds : figure
}

/** A duration with its unit, for the marks of an axis. */
export function duration(ms: number): string {
  return ms >= 1000 ? `${figure(ms / 1000)} s` : `${figure(ms)} ms`
}

/** An ISO date as `2026-01-31 12:34 UTC`. */
export function minuteOf(at: string): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function dayOf(at: string): string {
  return new Date(at).toISOString().slice(0, 10)
}

export function rateText(rate: string): string {
  return rate === 'full'
    ? 'full speed'
    : `${/^\d+$/.test(rate) ? figure(Number(rate)) : rate} commits/s`
}

const UNITS: readonly (readonly [RegExp, string])[] = [
  [/MbPerSecond$/, 'MB/s'],
  [/PerSecond$/, '/s'],
  [/Percent$/, '%'],
  [/Seconds$/, 's'],
  [/Bytes$/, 'bytes'],
  [/Mb$/, 'MB'],
  [/Ms$/, 'ms'],
  [/Us$/, 'µs'],
]

export interface ColumnTitle {
  readonly name: string
  readonly unit: string
}

/** `fromDueP50Ms` is `from due p50` in `ms`. */
export function columnTitle(column: string): ColumnTitle {
  const [pattern, unit] = UNITS.find(([each]) => each.test(column)) ?? [/$/, '']
  const words = column
    .replace(pattern, '')
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
  return { name: words, unit }
}

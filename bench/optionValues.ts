/** How values of options are read. All of these throw UsageError. */
import type { Pinning } from './processes.ts'

/** The largest value of any option: beyond it timers and arrays fail, or the run would not end. */
const MAX_VALUE = 1_000_000

export class UsageError extends Error {}

export interface PinSetup {
  /** As given, for the report. */
  readonly text: string
  readonly pinning: Pinning
}

export function notNegative(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new UsageError(`--${name}: ${text} is not a number`)
  if (value > MAX_VALUE) throw new UsageError(`--${name}: ${text} is more than ${MAX_VALUE}`)
  return value
}

export function aboveZero(name: string, text: string): number {
  const value = notNegative(name, text)
  if (value === 0) throw new UsageError(`--${name}: 0 is too small`)
  return value
}

export function count(name: string, text: string): number {
  const value = aboveZero(name, text)
  if (!Number.isInteger(value)) throw new UsageError(`--${name}: ${text} is not a whole number`)
  return value
}

/** Commits a second; Infinity for as many as possible, where a suite can do that. */
export function parseRate(suite: string, text: string): number {
  if (text === 'full' && (suite === 'throughput' || suite === 'guest')) return Infinity
  if (text === 'full') throw new UsageError(`--rates: ${suite} wants numbers`)
  return aboveZero('rates', text)
}

export function parsePin(text: string): PinSetup {
  if (text === 'none') return { text, pinning: {} }
  const pairs = text.split(',').map((part) => part.split('='))
  if (pairs.some((pair) => pair.length !== 2 || !/^[\d-]+$/.test(pair[1])))
    throw new UsageError(`--pin: ${text} is not NAME=CPU,...`)
  return { text, pinning: Object.fromEntries(pairs) }
}

export function oneOf<Value extends string>(
  option: string,
  values: readonly Value[],
  text: string,
): Value {
  const value = values.find((name) => name === text)
  if (!value) throw new UsageError(`--${option}: ${text} is not one of ${values.join(', ')}`)
  return value
}

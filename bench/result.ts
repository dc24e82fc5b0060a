/** The result of a suite, as suites make it and as it is kept and printed. */
import type { Spread } from './arithmetic.ts'
import type { Machine } from './machine.ts'

/** Of walcast's lag, in the order in which a commit goes through them. */
export const STAGE_NAMES = ['noticed', 'sent', 'received', 'applied'] as const

export type Cell = string | number | boolean | null

/** One line of a report. `system` names what was measured; units are in the names. */
export interface Row {
  readonly system: string
  readonly [column: string]: Cell | Spread | undefined
}

export interface SuiteResult {
  readonly rows: readonly Row[]
  /** Comparisons within the run, by a name such as `p50/postgres@200`. */
  readonly ratios: Readonly<Record<string, Spread>>
}

/**
 * A row as JSON has it: the median under the column's name, and where rounds differed `...Range:
 * [min, max]`.
 */
export type KeptRow = { readonly system: string } & Readonly<
  Record<string, Cell | readonly [number, number]>
>

export interface KeptResult {
  readonly suite: string
  /** ISO 8601, UTC. */
  readonly at: string
  readonly machine: Machine
  readonly commit: string
  /** Left out of results that have none. */
  readonly settings?: Readonly<
    Record<'rounds' | 'seconds' | 'warmupSeconds' | 'warmupPerSecond', number>
  >
  readonly rows: readonly KeptRow[]
  readonly ratios: Readonly<Record<string, number | readonly [number, number]>>
}

/** Spreads become a number and a range beside it; what is not there is left out. */
export function keepable(values: Readonly<Record<string, Cell | Spread | undefined>>) {
  const kept: Record<string, Cell | readonly [number, number]> = {}
  for (const [column, value] of Object.entries(values)) {
    if (value === undefined) continue
    if (!isSpread(value)) {
      kept[column] = typeof value === 'number' ? finite(value) : value
      continue
    }
    kept[column] = finite(value.median)
    if (value.min < value.max && value.max < Infinity)
      kept[`${column}Range`] = [rounded(value.min), rounded(value.max)]
  }
  return kept
}

export function isSpread(value: Cell | Spread | undefined): value is Spread {
  return typeof value === 'object' && value !== null
}

/** NaN and infinity, which JSON lacks, become null. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? rounded(value) : null
}

/** Four significant digits: more would pretend. */
function rounded(value: number): number {
  return Math.abs(value) >= 10_000 || Number.isInteger(value)
    ? Math.round(value)
    : Number(value.toPrecision(4))
}

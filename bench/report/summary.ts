/**
 * What the report, its picture and the README show of the results. Pure: from results alone, always
 * the same.
 */
import { type KeptResult, type KeptRow, STAGE_NAMES } from '../result.ts'

/** The median of the rounds, and where they differed the smallest and the largest. */
export interface Measured {
  readonly value: number
  readonly range?: readonly [number, number]
}

export interface LagLine {
  readonly system: string
  /** From the return of COMMIT, in ms. Near 0 when COMMIT itself waits until the row is visible. */
  readonly p50?: Measured
  readonly p99?: Measured
  /** From the moment the writer began, in ms: with what COMMIT itself waited for. */
  readonly fromBegin?: Measured
  /** Why it was not measured. */
  readonly skipped?: string
}

export interface LagComparison {
  readonly rate: number
  readonly rounds: number
  readonly lines: readonly LagLine[]
}

/** Lines of a chart: one value (or nothing) for each rate, in ms. */
export interface LagSeries {
  readonly system: string
  readonly p50: readonly (number | null)[]
  readonly p99: readonly (number | null)[]
}

export interface LagByRate {
  readonly rates: readonly number[]
  readonly series: readonly LagSeries[]
}

export interface WriterLine {
  readonly system: string
  /** Commits a second, with nothing replicating and with a replica. */
  readonly alone?: Measured
  readonly replicated?: Measured
  /** The second divided by the first, round by round. */
  readonly ratio?: Measured
  readonly skipped?: string
}

export interface WriterCase {
  /** Commits a second that were wanted; `full` is as many as possible. */
  readonly rate: string
  readonly autocheckpoint: string
  readonly rounds: number
  readonly lines: readonly WriterLine[]
}

/** walcast's own stages of its lag, in ms. */
export interface Stages {
  readonly name: string
  readonly parts: readonly number[]
}

export interface Skipped {
  readonly system: string
  readonly reason: string
}

export interface Summary {
  readonly lag?: { readonly result: KeptResult; readonly comparison: LagComparison }
  readonly writer?: { readonly result: KeptResult; readonly full: WriterCase }
}

/** The rate at which systems are compared when it was measured. */
const COMPARED_RATE = 200
/** What makes a case of the suite lag, besides the rate. */
const LAG_CASE = ['pages', 'replicas', 'readers', 'pin']

export function summarize(results: readonly KeptResult[]): Summary {
  const lag = results.find(({ suite }) => suite === 'lag')
  const throughput = results.find(({ suite }) => suite === 'throughput')
  const comparison = lag && compareLag(lag)
  const full = throughput && writerCases(throughput).find(({ rate }) => rate === 'full')
  return {
    ...(lag && comparison ? { lag: { result: lag, comparison } } : {}),
    ...(throughput && full ? { writer: { result: throughput, full } } : {}),
  }
}

/** A column of a row as a number with its range; undefined when it is none. */
export function measured(row: KeptRow, column: string): Measured | undefined {
  const value = row[column]
  const range = row[`${column}Range`]
  if (typeof value !== 'number') return undefined
  return isRange(range) ? { value, range } : { value }
}

export function isRange(cell: KeptRow[string] | undefined): cell is readonly [number, number] {
  return Array.isArray(cell)
}

/** Every system at 200 commits a second, or at the first rate when that was not measured. */
export function compareLag({ rows }: KeptResult): LagComparison | undefined {
  const first = rows.find((row) => row['rate'] === COMPARED_RATE) ?? rows[0]
  const rate = first?.['rate']
  if (!first || typeof rate !== 'number') return undefined
  const compared = rows.filter((row) => row['rate'] === rate && isSame(row, first, LAG_CASE))
  const lines = compared.map((row) => ({
    system: row.system,
    ...present({
      p50: measured(row, 'p50Ms'),
      p99: measured(row, 'p99Ms'),
      fromBegin: measured(row, 'fromBegunP50Ms'),
      skipped: reasonOf(row),
    }),
  }))
  return { rate, rounds: roundsOf(compared), lines }
}

/** Every rate of the first case. */
export function lagByRate({ rows }: KeptResult): LagByRate {
  const first = rows[0]
  const compared = first ? rows.filter((row) => isSame(row, first, LAG_CASE) && !reasonOf(row)) : []
  const rates = unique(
    compared.map((row) => row['rate']).filter((rate) => typeof rate === 'number'),
  )
  rates.sort((a, b) => a - b)
  const series = unique(compared.map(({ system }) => system)).map((system) => {
    const at = (column: string) =>
      rates.map((rate) => {
        const row = compared.find((each) => each.system === system && each['rate'] === rate)
        return (row && measured(row, column)?.value) ?? null
      })
    return { system, p50: at('p50Ms'), p99: at('p99Ms') }
  })
  return { rates, series }
}

/** One entry for each case in which walcast reported its stages. */
export function stagesOf({ rows }: KeptResult): Stages[] {
  return rows.flatMap((row) => {
    const parts = String(row['stagesP50Ms'] ?? '')
      .split('+')
      .map((part) => Number.parseFloat(part))
    if (parts.length !== STAGE_NAMES.length || parts.some(Number.isNaN)) return []
    return [{ name: lagCaseName(row), parts }]
  })
}

/** What sets a case apart, in words. */
function lagCaseName(row: KeptRow): string {
  const { rate, pages, replicas, readers, pin } = row as KeptRow & Readonly<Record<string, unknown>>
  return [
    `${rate}/s`,
    ...(pages === 1 || pages === undefined ? [] : [`${pages} pages`]),
    ...(replicas === 1 || replicas === undefined ? [] : [`${replicas} replicas`]),
    ...(readers === 'loaded' ? ['loaded'] : []),
    ...(pin === 'none' || pin === undefined ? [] : [String(pin)]),
  ].join(', ')
}

/** The cases of the suite throughput in the order they were measured. */
export function writerCases({ rows }: KeptResult): WriterCase[] {
  const columns = ['rate', 'autocheckpoint', 'pin']
  const firsts = rows.filter((row, i) => rows.findIndex((each) => isSame(row, each, columns)) === i)
  return firsts.map((first) => {
    const compared = rows.filter((row) => isSame(row, first, columns))
    return {
      rate: String(first['rate']),
      autocheckpoint: String(first['autocheckpoint']),
      rounds: roundsOf(compared),
      lines: compared.map((row) => ({
        system: row.system,
        ...present({
          alone: measured(row, 'aloneCommitsPerSecond'),
          replicated: measured(row, 'commitsPerSecond'),
          ratio: measured(row, 'ratio'),
          skipped: reasonOf(row),
        }),
      })),
    }
  })
}

/** Each system that could not be measured, once for each reason. */
export function skippedSystems({ rows }: KeptResult): Skipped[] {
  const all = rows.flatMap((row) => {
    const reason = reasonOf(row)
    return reason === undefined ? [] : [{ system: row.system, reason }]
  })
  const isFirst = ({ system, reason }: Skipped, i: number) =>
    all.findIndex((each) => each.system === system && each.reason === reason) === i
  return all.filter(isFirst)
}

export function reasonOf(row: KeptRow): string | undefined {
  return row['skipped'] ? String(row['skipped']) : undefined
}

export function unique<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)]
}

function roundsOf(rows: readonly KeptRow[]): number {
  return Math.max(0, ...rows.map((row) => measured(row, 'rounds')?.value ?? 0))
}

function isSame(a: KeptRow, b: KeptRow, columns: readonly string[]): boolean {
  return columns.every((column) => a[column] === b[column])
}

/** Without the fields that are undefined. */
function present<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: NonNullable<Fields[Name]> }
}

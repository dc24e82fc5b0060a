/**
 * The arithmetic of the benchmarks, without clocks, files or processes. Times are nanoseconds of
 * one monotonic clock.
 */
import { createHistogram } from 'node:perf_hooks'

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Percentiles of one run, in milliseconds, from a histogram of three significant digits. */
export interface Percentiles {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** A write: when it was due, when the writer began it, and when its COMMIT returned. */
export interface Written {
  readonly id: number
  readonly dueNs: bigint
  readonly begunNs: bigint
  readonly committedNs: bigint
}

/** A reader's first sight of `maxId`; every smaller id was visible by then. */
export interface Seen {
  readonly maxId: number
  readonly seenNs: bigint
}

export interface Joined {
  readonly fromCommitNs: readonly number[]
  readonly fromBegunNs: readonly number[]
  readonly fromDueNs: readonly number[]
  /** Writes that no reader saw. */
  readonly missing: number
  /** Writes that a reader saw before COMMIT had returned to the writer; they count as 0. */
  readonly beforeReturn: number
}

const NS_PER_SECOND = 1_000_000_000

/** The middle value, or the mean of the two middle ones. Throws RangeError without values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * Median, smallest and largest of the rounds; all NaN when one of them is. Throws RangeError
 * without rounds.
 */
export function spread(values: readonly number[]): Spread {
  if (values.some(Number.isNaN)) return { median: Number.NaN, min: Number.NaN, max: Number.NaN }
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Percentiles of durations in nanoseconds. All are 0 when there are no durations. */
export function percentiles(durationsNs: readonly number[]): Percentiles {
  if (durationsNs.length === 0) return { count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 }
  const histogram = createHistogram()
  for (const ns of durationsNs) histogram.record(Math.max(1, Math.round(ns)))
  return {
    count: histogram.count,
    p50Ms: histogram.percentile(50) / 1e6,
    p90Ms: histogram.percentile(90) / 1e6,
    p99Ms: histogram.percentile(99) / 1e6,
    maxMs: histogram.max / 1e6,
  }
}

/**
 * When the write with this index (from 0) is due. Computed from the start each time, so that it
 * does not drift.
 */
export function dueNs(startNs: bigint, index: number, ratePerSecond: number): bigint {
  return startNs + BigInt(Math.round((index * NS_PER_SECOND) / ratePerSecond))
}

/**
 * Joins writes with the first sight of an id at least as large, both in the order of ids. Throws
 * RangeError for an impossible sight: an id that was never written, or a row before its commit
 * began.
 */
export function joinById(written: readonly Written[], seen: readonly Seen[]): Joined {
  const fromCommitNs: number[] = []
  const fromBegunNs: number[] = []
  const fromDueNs: number[] = []
  let missing = 0
  let beforeReturn = 0
  let at = 0
  const [lastWritten, lastSeen] = [written.at(-1), seen.at(-1)]
  if (lastWritten && lastSeen && lastSeen.maxId > lastWritten.id)
    throw new RangeError(
      `a reader saw row ${lastSeen.maxId}; the last one written is ${lastWritten.id}`,
    )
  for (const write of written) {
    while (at < seen.length && seen[at].maxId < write.id) at++
    if (at === seen.length) {
      missing++
      continue
    }
    if (seen[at].seenNs < write.begunNs)
      throw new RangeError(`a reader saw row ${write.id} before its commit began`)
    const afterCommitNs = Number(seen[at].seenNs - write.committedNs)
    if (afterCommitNs < 0) beforeReturn++
    fromCommitNs.push(Math.max(0, afterCommitNs))
    fromBegunNs.push(Math.max(0, Number(seen[at].seenNs - write.begunNs)))
    fromDueNs.push(Math.max(0, Number(seen[at].seenNs - write.dueNs)))
  }
  return { fromCommitNs, fromBegunNs, fromDueNs, missing, beforeReturn }
}

/** Megabytes (10^6 bytes) a second. */
export function megabytesPerSecond(bytes: number, elapsedNs: bigint): number {
  return bytes / 1e6 / (Number(elapsedNs) / NS_PER_SECOND)
}

/**
 * How old the files of an archive are. Deletion never rests on one clock: ages are taken between
 * the times that the files themselves tell, and what this node's clock says is bounded by them.
 *
 * - A clock that is behind the newest file by more than a day, or differs from the store's by as
 *   much, stops retention.
 * - Without a store's time, an archive that nothing is added to does not age by more than a day.
 * - A file that is more than a day ahead of the ones before it moves no age until a day of history
 *   follows it: a leader's clock that jumped to 2038 makes nothing twelve years old, and one that
 *   is three days ahead makes nothing three days old. Pauses of some days that come again are no
 *   jumps: an archive that gets a file every other day ages too, a file later.
 * - A later position is never older than an earlier one, whatever a clock that was set back says.
 */
import { DAY_MS } from './periods.ts'

/** Two clocks that differ by more are not both right. */
const MAX_SKEW_MS = DAY_MS
/** Files that lie further apart are a jump, until as much history as `SETTLED_MS` follows. */
const MAX_STEP_MS = DAY_MS
/** Of shorter ones only the last is one: a pause that comes again is how the database is used. */
const MAX_PAUSE_MS = 7 * DAY_MS
const SETTLED_MS = DAY_MS

export interface ClockReadings {
  /** ms since 1970 in this node's clock. */
  readonly nowMs: number
  /** The same in the store's clock, when it has one. */
  readonly storeMs?: number | undefined
}

export interface ArchiveClock {
  /** What ages are taken from. */
  readonly nowMs: number
  /** The time of each file, never before that of the one before it. */
  readonly timesMs: readonly number[]
}

/**
 * `lastMs`: the time of the last position of each file, in the order of positions; undefined where
 * it is not known. Gives the reason why no age can be told instead, for people.
 */
export function archiveClock(
  lastMs: readonly (number | undefined)[],
  { nowMs, storeMs }: ClockReadings,
): ArchiveClock | string {
  if (storeMs !== undefined && Math.abs(nowMs - storeMs) > MAX_SKEW_MS)
    return `this node's clock says ${iso(nowMs)}, and the store's ${iso(storeMs)}`
  const newest = lastMs.findLast((ms) => ms !== undefined)
  if (newest !== undefined && newest > nowMs + MAX_SKEW_MS)
    return `the newest file is of ${iso(newest)}, and this node's clock says ${iso(nowMs)}`
  const timesMs = ascending(lastMs, nowMs)
  if (storeMs !== undefined || timesMs.length === 0) return { nowMs, timesMs }
  return { nowMs: Math.min(nowMs, settledEnd(timesMs) + DAY_MS), timesMs }
}

/** What lies in the future gets the time of what follows it. */
function ascending(lastMs: readonly (number | undefined)[], nowMs: number): number[] {
  const latest = nowMs + MAX_SKEW_MS
  let highest = Number.NEGATIVE_INFINITY
  const risen = lastMs.map((ms) => {
    if (ms === undefined || ms > latest) return undefined
    highest = Math.max(highest, ms)
    return highest
  })
  let next = Math.max(nowMs, highest)
  return risen
    .reduceRight<number[]>((times, ms) => {
      next = ms ?? next
      times.push(next)
      return times
    }, [])
    .reverse()
}

/** The last time that enough history follows, or leads to, without a jump. */
function settledEnd(timesMs: readonly number[]): number {
  let end = timesMs.length - 1
  let historyMs = 0
  let hasPause = false
  for (let i = end; i > 0 && historyMs < SETTLED_MS; i--) {
    const stepMs = timesMs[i] - timesMs[i - 1]
    const isPause = stepMs > MAX_STEP_MS && stepMs <= MAX_PAUSE_MS
    if (stepMs <= MAX_STEP_MS || (isPause && hasPause)) historyMs += stepMs
    else {
      end = i - 1
      historyMs = 0
      hasPause ||= isPause
    }
  }
  return timesMs[end]
}

function iso(ms: number): string {
  return new Date(Math.round(ms)).toISOString()
}

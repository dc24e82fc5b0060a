/**
 * When drills are due. A decision without a clock: callers give the time, which may jump.
 *
 *   never drilled, or missed while the node was down: soon after the start
 *   else: at the next time of the schedule after the last drill ended
 */
import { Cron } from 'croner'
import { xxh64 } from '../../xxh64.ts'

/** A start has other things to do at first, ms. */
const SOON_MS = 5 * 60_000
const MINUTES = 24n * 60n
/** Times of a schedule that are looked at for its longest pause. */
const LOOKED_AT = 8

/** The next time after `afterMs`, ms since 1970; undefined when there is none. */
export type NextTime = (afterMs: number) => number | undefined

/**
 * `when`: a cron expression in local time, `daily` or `off`, which gives undefined. Daily means a
 * minute that comes from the id of the node, so that nodes do not read one store together.
 */
export function nextTimeOf(when: string, node: string): NextTime | undefined {
  if (when === 'off') return undefined
  const minute = Number(xxh64(Buffer.from(node), 0n) % MINUTES)
  const daily = `${minute % 60} ${Math.floor(minute / 60)} * * *`
  const cron = new Cron(when === 'daily' ? daily : when)
  return (afterMs) => cron.nextRun(new Date(afterMs))?.getTime()
}

/** The longest pause between two of the next times, ms. */
export function longestPauseMs(next: NextTime, afterMs: number): number {
  let longest = 0
  let before = next(afterMs)
  for (let i = 1; i < LOOKED_AT && before !== undefined; i++) {
    const after = next(before)
    if (after !== undefined) longest = Math.max(longest, after - before)
    before = after
  }
  return longest
}

/** Times of one place, ms since 1970. */
export interface PlaceTimes {
  /** Since when this node archives to it, in this run of the node. */
  readonly startedMs: number
  /** End of the last drill, whatever came of it; undefined before the first. */
  readonly lastMs: number | undefined
}

/** A clock that was set back: what lies in the future counts as now. */
export function notAfter({ startedMs, lastMs }: PlaceTimes, nowMs: number): PlaceTimes {
  return {
    startedMs: Math.min(startedMs, nowMs),
    lastMs: lastMs === undefined ? undefined : Math.min(lastMs, nowMs),
  }
}

/** When the next drill of a place is due; undefined when its schedule has ended. */
export function dueMs({ startedMs, lastMs }: PlaceTimes, next: NextTime): number | undefined {
  const scheduled = lastMs === undefined ? startedMs : next(lastMs)
  if (scheduled === undefined || scheduled > startedMs) return scheduled
  return Math.min(startedMs + SOON_MS, next(startedMs) ?? Infinity)
}

/**
 * Whether the last proof, or with none the beginning, is older than two pauses of the schedule. One
 * that lies so far ahead is of a clock that was wrong, and proves nothing.
 */
export function isOverdue(provenMs: number, nowMs: number, next: NextTime): boolean {
  const pauseMs = longestPauseMs(next, nowMs)
  return pauseMs > 0 && Math.abs(nowMs - provenMs) > 2 * pauseMs
}

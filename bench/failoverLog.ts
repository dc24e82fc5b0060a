/**
 * What clients of the suite failover were told: how long writes paused, and which acknowledged ones
 * are missing. Pure.
 */
import { type Percentiles, percentiles } from './arithmetic.ts'
import { type Asked, longestGapMs, type Window } from './roleLog.ts'

/**
 * Begin and end in ms of the monotonic clock, 1 when it was acknowledged as asked, the row's id,
 * and the number of the door through which it went.
 */
export type Write = readonly [
  beginMs: number,
  endMs: number,
  isAcknowledged: 0 | 1,
  id: number,
  door: number,
]

/** A leader that is gone: from when time counts, when it was gone for certain, and its door. */
export interface Gone {
  readonly fromMs: number
  readonly goneMs: number
  readonly door: number
}

const isAcknowledged = ([, , acknowledged]: Write) => acknowledged === 1

/**
 * From the loss of a leader to the first write that another node answered: one that began when the
 * leader was gone for certain. Throws RangeError when there is none.
 */
export function outageMs(writes: readonly Write[], { fromMs, goneMs, door }: Gone): number {
  const ends = writes
    .filter((write) => isAcknowledged(write) && write[0] >= goneMs && write[4] !== door)
    .map(([, endMs]) => endMs)
  if (ends.length === 0) throw new RangeError('no write was answered after the loss')
  return ends.reduce((least, endMs) => Math.min(least, endMs)) - fromMs
}

/** The longest time without an acknowledged write that touches the window; not through `door`. */
export function pauseMs(writes: readonly Write[], window: Window, door?: number): number {
  const answers = writes
    .filter((write) => isAcknowledged(write) && write[4] !== door)
    .sort((a, b) => a[1] - b[1])
    .map(([beginMs, endMs, , id]): Asked => ['write', beginMs, endMs, 200, id])
  return longestGapMs(answers, window)
}

/** Acknowledged writes whose rows are not there. */
export function lostOf(writes: readonly Write[], there: ReadonlySet<number>): number {
  return writes.filter((write) => isAcknowledged(write) && !there.has(write[3])).length
}

/** Of durations in ms. */
export function percentilesOfMs(durationsMs: readonly number[]): Percentiles {
  return percentiles(durationsMs.map((ms) => ms * 1e6))
}

/**
 * Requests a second that each of `nodes` sent between two readings of a counter, `elapsedMs` apart.
 */
export function requestsPerSecond(
  [from, to]: readonly [number, number],
  elapsedMs: number,
  nodes: number,
): number {
  return ((to - from) * 1000) / elapsedMs / nodes
}

/** When drills are due: a schedule, starts, and clocks that jump. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  dueMs,
  isOverdue,
  longestPauseMs,
  type NextTime,
  nextTimeOf,
  notAfter,
  type PlaceTimes,
} from '../../../src/backup/drill/drillTimes.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SOON = 5 * MINUTE
/** Each whole hour. */
const hourly: NextTime = (afterMs) => (Math.floor(afterMs / HOUR) + 1) * HOUR
const START = 1000 * HOUR + 10 * MINUTE

test('the first drill comes soon after the start, or with an earlier time of the schedule', () => {
  const never = { startedMs: START, lastMs: undefined }
  assert.equal(dueMs(never, hourly), START + SOON)
  assert.equal(dueMs({ ...never, startedMs: START + 48 * MINUTE }, hourly), 1001 * HOUR)
})

test('a drill comes at the next time after the last one; a missed one soon after the start', () => {
  assert.equal(dueMs({ startedMs: START, lastMs: START - 1 }, hourly), 1001 * HOUR)
  assert.equal(dueMs({ startedMs: START, lastMs: START - HOUR }, hourly), START + SOON)
})

test('a schedule that has ended gives no drill', () => {
  assert.equal(
    dueMs({ startedMs: START, lastMs: START }, () => undefined),
    undefined,
  )
})

/** Runs the schedule second by second; gives the times of the drills. */
function drillsOf(clock: Iterable<number>, first: PlaceTimes): number[] {
  const drills: number[] = []
  let times = first
  for (const nowMs of clock) {
    times = notAfter(times, nowMs)
    if ((dueMs(times, hourly) ?? Infinity) > nowMs) continue
    drills.push(nowMs)
    times = { ...times, lastMs: nowMs }
  }
  return drills
}

test('whatever the clock does, no pause is longer than the schedule or shorter than a jump', () => {
  const jump = fc.oneof(
    { weight: 20, arbitrary: fc.constant(MINUTE) },
    fc.integer({ min: -30 * HOUR, max: 30 * HOUR }),
  )
  fc.assert(
    fc.property(fc.array(jump, { minLength: 200, maxLength: 400 }), (steps) => {
      let nowMs = START
      let drills = 0
      let times: PlaceTimes = { startedMs: START, lastMs: undefined }
      /** Minutes by a clock that does not jump. */
      let quiet = 0
      for (const step of steps) {
        nowMs += step
        quiet = step === MINUTE ? quiet + 1 : 0
        times = notAfter(times, nowMs)
        const isDue = (dueMs(times, hourly) ?? Infinity) <= nowMs
        if (isDue) {
          drills++
          times = { ...times, lastMs: nowMs }
        }
        assert.ok((dueMs(times, hourly) ?? Infinity) > nowMs, 'one jump, one drill')
        assert.ok((dueMs(times, hourly) ?? Infinity) <= nowMs + HOUR, 'none is put off')
        if (quiet >= 60) assert.ok(drills > 0)
      }
    }),
    { numRuns: 50 },
  )
})

test('a clock that leaps ahead for days brings one drill, and back again one at its time', () => {
  const leap = [START + SOON, START + 90 * HOUR, START + 90 * HOUR + MINUTE, START + 51 * MINUTE]
  const drills = drillsOf(leap, { startedMs: START, lastMs: undefined })
  assert.deepEqual(drills, [START + SOON, START + 90 * HOUR])
  const back = { startedMs: START, lastMs: START + 90 * HOUR }
  assert.deepEqual(drillsOf([START + MINUTE, 1001 * HOUR], back), [1001 * HOUR])
})

test('nodes that drill daily do so at a minute of their own', () => {
  const times = ['node-a', 'node-b'].map((node) => nextTimeOf('daily', node)?.(START) ?? 0)
  assert.notEqual(times[0], times[1])
  assert.equal(nextTimeOf('daily', 'node-a')?.(START), times[0])
  for (const at of times) assert.ok(at > START && at <= START + 24 * HOUR)
  assert.equal(nextTimeOf('off', 'node-a'), undefined)
})

test('a proof is overdue after two pauses of the schedule, the longest ones', () => {
  const workdays = nextTimeOf('0 4 * * 1-5', 'node-a')
  assert.ok(workdays)
  assert.ok(longestPauseMs(workdays, START) >= 71 * HOUR)
  assert.equal(longestPauseMs(hourly, START), HOUR)
  assert.equal(isOverdue(START, START + 2 * HOUR, hourly), false)
  assert.equal(isOverdue(START, START + 2 * HOUR + 1, hourly), true)
  assert.equal(isOverdue(START + 5 * HOUR, START, hourly), true)
  assert.equal(
    isOverdue(START, START + 9 * HOUR, () => undefined),
    false,
  )
})

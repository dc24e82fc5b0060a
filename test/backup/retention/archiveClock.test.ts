/** No single clock makes files old. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { archiveClock } from '../../../src/backup/retention/archiveClock.ts'
import { DAY_MS, HOUR_MS } from '../../../src/backup/retention/periods.ts'

const T = Date.UTC(2026, 10, 30)
const FAR = Date.UTC(2038, 0, 19)
/** A file an hour for ten days. */
const HOURLY = Array.from({ length: 240 }, (_, i) => T + i * HOUR_MS)
const LAST = HOURLY[239]

function nowOf(lastMs: readonly (number | undefined)[], nowMs: number, storeMs?: number): number {
  const clock = archiveClock(lastMs, { nowMs, storeMs })
  assert.ok(typeof clock !== 'string', String(clock))
  return clock.nowMs
}

test('a right clock is taken as it is', () => {
  assert.equal(nowOf(HOURLY, LAST + HOUR_MS), LAST + HOUR_MS)
  assert.equal(nowOf([], T), T)
  assert.equal(nowOf([undefined], T), T)
})

test('a clock that jumps ahead ages nothing by more than a day', () => {
  assert.equal(nowOf(HOURLY, FAR), LAST + DAY_MS)
  // The leader's clock has jumped, so the newest files say it too.
  assert.equal(nowOf([...HOURLY, FAR, FAR + HOUR_MS], FAR + HOUR_MS), LAST + DAY_MS)
  // In two jumps.
  const twice = [...HOURLY, T + 900 * DAY_MS, FAR]
  assert.equal(nowOf(twice, FAR), LAST + DAY_MS)
  // A day of files says that time did pass.
  const settled = Array.from({ length: 25 }, (_, i) => FAR + i * HOUR_MS)
  assert.equal(nowOf([...HOURLY, ...settled], FAR + DAY_MS), FAR + DAY_MS)
})

test('a clock that is behind, or another than the store has, stops retention', () => {
  assert.match(String(archiveClock(HOURLY, { nowMs: T })), /the newest file is of 2026-12-09/)
  assert.match(String(archiveClock(HOURLY, { nowMs: FAR, storeMs: LAST })), /the store's 2026/)
  // The store agrees, so nothing was written for years.
  assert.equal(nowOf(HOURLY, FAR, FAR), FAR)
})

test('files of a clock that was wrong for a while take the time of those after them', () => {
  const ahead = HOURLY.with(100, FAR)
  const clock = archiveClock(ahead, { nowMs: LAST })
  assert.ok(typeof clock !== 'string')
  assert.equal(clock.timesMs[100], HOURLY[101])
  assert.equal(clock.nowMs, LAST)
  const back = archiveClock(HOURLY.with(100, 5), { nowMs: LAST })
  assert.ok(typeof back !== 'string')
  assert.equal(back.timesMs[100], HOURLY[99])
})

test('times never go back, and now is never later than the clock says', () => {
  const time = fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: undefined })
  fc.assert(
    fc.property(
      fc.array(time, { maxLength: 30 }),
      fc.integer({ min: 0, max: 4e12 }),
      (all, now) => {
        const clock = archiveClock(all, { nowMs: now })
        if (typeof clock === 'string') return
        assert.equal(clock.timesMs.length, all.length)
        assert.ok(clock.nowMs <= now)
        clock.timesMs.forEach((ms, i) => {
          assert.ok(i === 0 || ms >= clock.timesMs[i - 1])
          assert.ok(ms <= now + DAY_MS)
        })
      },
    ),
    { numRuns: 300 },
  )
})

test('an archive that gets a file every few days ages, one file later', () => {
  for (const days of [1.5, 2, 6.9]) {
    const seldom = Array.from({ length: 30 }, (_, i) => T + i * days * DAY_MS)
    const [before, last] = seldom.slice(-2)
    assert.equal(nowOf(seldom, last + HOUR_MS), Math.min(last + HOUR_MS, before + DAY_MS))
  }
  // After the weekend, on Monday morning and a day later.
  const monday = LAST + 2.6 * DAY_MS
  assert.equal(nowOf([...HOURLY, monday], monday + HOUR_MS), LAST + DAY_MS)
  const tuesday = Array.from({ length: 26 }, (_, i) => monday + i * HOUR_MS)
  assert.equal(nowOf([...HOURLY, ...tuesday], monday + 25 * HOUR_MS), monday + 25 * HOUR_MS)
})

test('a clock that is ahead makes nothing older by more than a day, until a day has passed', () => {
  const step = fc.integer({ min: 1000, max: DAY_MS })
  const upTo = (days: number) => fc.integer({ min: 0, max: days * DAY_MS })
  const ahead = fc.oneof(upTo(8), upTo(4000))
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      ahead,
      fc.array(fc.integer({ min: 1000, max: DAY_MS / 12 }), { maxLength: 11 }),
      (right, aheadMs, wrong) => {
        const times = [T]
        for (const ms of right) times.push(times[times.length - 1] + ms)
        let trueMs = times[times.length - 1]
        for (const ms of wrong) {
          trueMs += ms
          times.push(trueMs + aheadMs)
        }
        assert.ok(nowOf(times, trueMs + aheadMs) <= trueMs + DAY_MS)
      },
    ),
    { numRuns: 500 },
  )
})

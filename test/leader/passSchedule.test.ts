/** When the next checkpoint pass begins: at once, after a rest, or once the WAL has grown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PassEnd, PassSchedule } from '../../src/leader/passSchedule.ts'

const SOFT = 1000
const DONE: PassEnd = {
  complete: true,
  isBlocked: false,
  backfilledFrames: 1000,
  startMs: 100,
  endMs: 110,
  walFrames: SOFT,
}
const UNFINISHED: PassEnd = { ...DONE, complete: false }
const FUTILE: PassEnd = { ...UNFINISHED, isBlocked: true, backfilledFrames: 0 }

function scheduleAfter(...passes: readonly PassEnd[]): PassSchedule {
  const schedule = new PassSchedule(SOFT)
  for (const pass of passes) schedule.onPass(pass)
  return schedule
}

test('a complete pass is followed by the next at once', () => {
  const schedule = scheduleAfter(DONE)
  assert.equal(schedule.isDue(SOFT, 110, false), true)
})

test('after an unfinished pass writers rest for 3 times its duration, unless it is urgent', () => {
  const schedule = scheduleAfter(UNFINISHED)
  assert.equal(schedule.isDue(SOFT, 139, false), false)
  assert.equal(schedule.isDue(SOFT, 139, true), true)
  assert.equal(schedule.isDue(SOFT, 140, false), true)
})

test('three futile passes count as bad luck, the fourth as a long reader', () => {
  const few = scheduleAfter(FUTILE, FUTILE, FUTILE)
  assert.deepEqual([few.wasBlocked, few.hasLongReader], [true, false])
  assert.equal(few.isDue(SOFT, 140, false), true)
  const many = scheduleAfter(FUTILE, FUTILE, FUTILE, FUTILE)
  assert.equal(many.hasLongReader, true)
  assert.equal(many.isDue(SOFT, 1e9, true), false, 'neither time nor urgency helps')
})

test('behind a long reader each pass waits for twice the growth, up to 32 soft limits', () => {
  const passes = [FUTILE, FUTILE, FUTILE]
  for (const limits of [2, 4, 8, 16, 32, 32, 32]) {
    passes.push(FUTILE)
    const schedule = scheduleAfter(...passes)
    assert.equal(schedule.isDue(SOFT + limits * SOFT - 1, 1e9, false), false, `${limits}`)
    assert.equal(schedule.isDue(SOFT + limits * SOFT, 1e9, false), true, `${limits}`)
  }
})

test('growth counts from the beginning of a WAL that has started over', () => {
  const schedule = scheduleAfter(FUTILE, FUTILE, FUTILE, FUTILE)
  schedule.onFrames(10)
  assert.equal(schedule.isDue(2 * SOFT, 1e9, false), true)
})

test('progress ends the wait, however little it is', () => {
  const schedule = scheduleAfter(FUTILE, FUTILE, FUTILE, FUTILE, { ...FUTILE, backfilledFrames: 1 })
  assert.deepEqual([schedule.wasBlocked, schedule.hasLongReader], [false, false])
})

test('an idle database is backfilled in each round, behind a long reader in one of ten', () => {
  const rounds = (schedule: PassSchedule) =>
    Array.from({ length: 20 }, () => schedule.isDueWhenIdle()).filter(Boolean).length
  assert.equal(rounds(scheduleAfter(DONE)), 20)
  assert.equal(rounds(scheduleAfter(FUTILE, FUTILE, FUTILE, FUTILE)), 2)
})

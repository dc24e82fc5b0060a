/** How the suite switchover evaluates what its clients saw. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, answersOf, before, longestGapMs, longestWaitMs } from '../../bench/roleLog.ts'

const write = (beginMs: number, endMs: number, status = 201): Asked => [
  'write',
  beginMs,
  endMs,
  status,
  endMs,
]

/** One every 5 ms, none between 100 and 160. */
const asked: readonly Asked[] = [
  ...Array.from({ length: 21 }, (_, i) => write(i * 5 - 2, i * 5)),
  ['read', 128, 130, 200, 0],
  write(110, 120, 503),
  write(102, 160),
  ...Array.from({ length: 21 }, (_, i) => write(163 + i * 5, 165 + i * 5)),
]
const answers = answersOf(asked, 'write')

test('a gap lasts from the last answer before the window to the first after it', () => {
  assert.equal(longestGapMs(answers, { fromMs: 110, toMs: 130 }), 60)
  assert.equal(longestGapMs(answers, { fromMs: 90, toMs: 200 }), 60)
  assert.equal(longestGapMs(answers, { fromMs: 20, toMs: 60 }), 5)
})

test('failures, and answers of the other kind, do not end a gap', () => {
  assert.ok(!answers.some(([, , endMs]) => endMs === 120 || endMs === 130))
})

test('a window without requests has no gap', () => {
  assert.throws(() => longestGapMs(answers, { fromMs: -10, toMs: 10 }), RangeError)
  assert.throws(() => longestGapMs(answers, { fromMs: 200, toMs: 2000 }), RangeError)
})

test('the longest wait counts requests that waited within the window', () => {
  assert.equal(longestWaitMs(answers, { fromMs: 110, toMs: 130 }), 58)
  assert.equal(longestWaitMs(answers, { fromMs: 165, toMs: 200 }), 2)
  assert.equal(longestWaitMs(answers, { fromMs: 5000, toMs: 6000 }), 0)
})

test('the usual gap comes from an equally long time before', () => {
  assert.deepEqual(before({ fromMs: 100, toMs: 130 }, 40), { fromMs: 30, toMs: 60 })
})

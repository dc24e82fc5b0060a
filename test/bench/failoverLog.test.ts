/** How the suite failover evaluates what its clients were told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  lostOf,
  outageMs,
  pauseMs,
  percentilesOfMs,
  requestsPerSecond,
  type Write,
} from '../../bench/failoverLog.ts'
import { parseOptions } from '../../bench/options.ts'

/** The leader at door 0 is cut at 100 and gone for certain at 103. */
const writes: readonly Write[] = [
  [90, 95, 1, 1, 0],
  [98, 104, 1, 2, 1],
  [101, 106, 1, 3, 1],
  [104, 110, 1, 4, 0],
  [105, 300, 0, 5, 1],
  [110, 1250, 1, 6, 2],
  [108, 1260, 1, 7, 1],
]
const gone = { fromMs: 100, goneMs: 103, door: 0 }

test('an outage ends with a write that no answer of the lost leader can be', () => {
  assert.equal(outageMs(writes, gone), 1150)
})

test('an outage without an answer afterwards is an error', () => {
  assert.throws(() => outageMs(writes.slice(0, 5), gone), RangeError)
})

test('a pause ends with an acknowledged write, through other doors if one is left out', () => {
  const window = { fromMs: 107, toMs: 1200 }
  assert.equal(pauseMs(writes, window), 1140)
  assert.equal(pauseMs(writes, window, 0), 1144)
})

test('only acknowledged writes can be lost', () => {
  assert.equal(lostOf(writes, new Set([1, 2, 3, 4, 6])), 1)
  assert.equal(lostOf(writes, new Set([1, 2, 3, 4, 6, 7])), 0)
})

test('percentiles are of the rounds, and requests of one node', () => {
  const { count, maxMs } = percentilesOfMs([1000, 3000, 2000])
  assert.equal(count, 3)
  assert.ok(Math.abs(maxMs - 3000) < 10, `${maxMs} ms`)
  assert.equal(requestsPerSecond([100, 160], 20_000, 3), 1)
})

test('each case has thirty rounds', () => {
  const options = parseOptions(['failover'])
  assert.ok(options !== 'help')
  assert.equal(options.rounds, 30)
})

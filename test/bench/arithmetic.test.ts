import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  dueNs,
  joinById,
  median,
  megabytesPerSecond,
  percentiles,
  spread,
} from '../../bench/arithmetic.ts'
import { parseMetrics, sumOf } from '../../bench/prometheus.ts'

test('median of odd and even counts, whatever the order', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([10, 2, 1, 3]), 2.5)
  assert.equal(median([7]), 7)
  assert.throws(() => median([]), RangeError)
})

test('spread keeps the smallest and the largest value', () => {
  assert.deepEqual(spread([5, 1, 3]), { median: 3, min: 1, max: 5 })
  for (const values of [
    [Number.NaN, 2, 1],
    [2, Number.NaN, 1],
    [2, 1, Number.NaN],
  ])
    assert.deepEqual(spread(values), { median: Number.NaN, min: Number.NaN, max: Number.NaN })
})

test('percentiles are rounded to three significant digits', () => {
  const durationsNs = Array.from({ length: 1000 }, (_, i) => (i + 1) * 1000)
  const { count, p50Ms, p90Ms, p99Ms, maxMs } = percentiles(durationsNs)
  assert.equal(count, 1000)
  for (const [actual, expected] of [
    [p50Ms, 0.5],
    [p90Ms, 0.9],
    [p99Ms, 0.99],
    [maxMs, 1],
  ])
    assert.ok(Math.abs(actual / expected - 1) < 0.002, `${actual} is not ${expected}`)
})

test('percentiles of nothing and of zeros', () => {
  assert.deepEqual(percentiles([]), { count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 })
  assert.equal(percentiles([0, 0]).count, 2)
})

test('the schedule does not drift', () => {
  assert.equal(dueNs(5n, 0, 3), 5n)
  assert.equal(dueNs(5n, 3_000_000, 3), 5n + 1_000_000n * 1_000_000_000n)
  assert.equal(dueNs(0n, 1, 5000), 200_000n)
})

test('an id counts as seen when it, or a later one, is first seen', () => {
  const written = [
    { id: 1, dueNs: 100n, begunNs: 105n, committedNs: 110n },
    { id: 2, dueNs: 200n, begunNs: 205n, committedNs: 260n },
    { id: 3, dueNs: 300n, begunNs: 305n, committedNs: 310n },
    { id: 4, dueNs: 400n, begunNs: 405n, committedNs: 410n },
  ]
  const seen = [
    { maxId: 1, seenNs: 150n },
    { maxId: 3, seenNs: 305n },
  ]
  assert.deepEqual(joinById(written, seen), {
    fromCommitNs: [40, 45, 0],
    fromBegunNs: [45, 100, 0],
    fromDueNs: [50, 105, 5],
    missing: 1,
    beforeReturn: 1,
  })
})

test('an id that was never written is refused', () => {
  const written = [{ id: 1, dueNs: 100n, begunNs: 105n, committedNs: 110n }]
  assert.throws(
    () => joinById(written, [{ maxId: 2, seenNs: 150n }]),
    /row 2; the last one written is 1/,
  )
  assert.throws(() => joinById(written, [{ maxId: 1, seenNs: 104n }]), /before its commit began/)
  assert.equal(joinById(written, [{ maxId: 1, seenNs: 106n }]).beforeReturn, 1)
})

test('with nothing seen, every id is missing', () => {
  const written = [{ id: 1, dueNs: 0n, begunNs: 0n, committedNs: 1n }]
  assert.deepEqual(joinById(written, []), {
    fromCommitNs: [],
    fromBegunNs: [],
    fromDueNs: [],
    missing: 1,
    beforeReturn: 0,
  })
})

test('megabytes are millions of bytes', () => {
  assert.equal(megabytesPerSecond(3_000_000, 500_000_000n), 6)
})

test('metrics are summed over labels', () => {
  const text = '# HELP x y\nx_total{a="1"} 2\nx_total{a="} 9"} 3\ny 1e-3\nbroken\n'
  const samples = parseMetrics(text)
  assert.equal(sumOf(samples, 'x_total'), 5)
  assert.equal(sumOf(samples, 'y'), 0.001)
  assert.equal(sumOf(samples, 'z'), 0)
})

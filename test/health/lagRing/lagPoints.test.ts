/** Looks become slots, and slots become few enough points, with nothing made up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_LAG_POINTS, MIN_LAG_POINTS } from '../../../src/api/lagHistory.ts'
import { causeSpans, isGap } from '../../../src/api/lagSpans.ts'
import { lagPoints, stretchMs } from '../../../src/health/lagRing/lagPoints.ts'
import {
  type LagSample,
  type MeasuredSlot,
  SlotMeasure,
} from '../../../src/health/lagRing/slotMeasure.ts'
import { NO_PERCENTILES, percentilesOf } from '../../../src/health/lagRing/slotPercentiles.ts'
import { slotOf, valuesWith } from '../../support/lagSlots.ts'
import { seededRandom } from '../../support/seededRandom.ts'

const PERCENTILES = { p50Ms: 1, p95Ms: 2, p99Ms: 3, maxMs: 4, count: 9 }
const STAGES = {
  noticed: PERCENTILES,
  sent: PERCENTILES,
  received: PERCENTILES,
  applied: PERCENTILES,
}

function sampleAt(atMs: number, more: Partial<LagSample> = {}): LagSample {
  return {
    atMs,
    role: 'replica',
    causes: [],
    txid: 100,
    lagMs: 0,
    walBytes: 4096,
    held: 0,
    heldTotal: 0,
    bytesTotal: 0,
    pausesTotal: 0,
    pausedMsTotal: 0,
    longestPauseMs: 0,
    ...more,
  }
}

function measured(samples: readonly LagSample[], slotMs = 10_000) {
  const measure = new SlotMeasure(slotMs)
  const percentiles = () => percentilesOf({ ...PERCENTILES, stages: STAGES })
  const slots = samples.flatMap((sample) => measure.add(sample, percentiles) ?? [])
  return { slots, rest: measure.running(() => NO_PERCENTILES) }
}

test('a slot has the worst and the sums of its looks', () => {
  const looks = Array.from({ length: 25 }, (_, i) =>
    sampleAt(100_000 + i * 1000, {
      txid: 100 + i * 10,
      lagMs: i === 4 ? 77 : 1,
      bytesTotal: 500 * i,
      heldTotal: i >= 3 ? 2 : 0,
      held: i === 3 ? 2 : 0,
      pausesTotal: i >= 5 ? 1 : 0,
      pausedMsTotal: i >= 5 ? 6 : 0,
      longestPauseMs: i === 5 ? 6 : 0,
      causes: i === 4 ? ['slow-link'] : [],
    }),
  )
  const { slots, rest } = measured(looks)
  const [first, second] = slots
  assert.deepEqual([first.fromMs, first.toMs, second.toMs], [100_000, 110_000, 120_000])
  assert.deepEqual([first.causes, second.causes], [['slow-link'], []])
  const { transactions, bytes, lagMs, heldWrites, mostHeld, p99Ms } = first.values
  assert.deepEqual([transactions, bytes, lagMs, heldWrites, mostHeld], [100, 5000, 77, 2, 2])
  assert.deepEqual([first.values.pauses, first.values.longestPauseMs, p99Ms], [1, 6, 3])
  assert.equal(second.values.lagMs, 1)
  assert.deepEqual([rest?.fromMs, rest?.toMs, rest?.values.transactions], [120_000, 124_000, 40])
})

test('time that passed unseen belongs to no slot, whichever way the clock went', () => {
  const jump = 24 * 60 * 60_000
  for (const by of [jump, -jump, 6000, -1001]) {
    const before = [0, 1000, 2000].map((ms) => sampleAt(jump + ms, { txid: 10 }))
    const after = [3000, 4000].map((ms) => sampleAt(jump + ms + by, { txid: 900 }))
    const { slots, rest } = measured([...before, ...after])
    const all = [...slots, ...(rest ? [rest] : [])]
    assert.ok(
      all.every((slot) => slot.toMs - slot.fromMs <= 2000),
      `by ${by}`,
    )
    assert.equal(
      all.reduce((sum, { values }) => sum + values.transactions, 0),
      0,
    )
    assert.ok(Number.isNaN(slots[0]?.values.p50Ms))
  }
})

test('a first copy and counts that begin anew are no rates', () => {
  const { rest } = measured([
    sampleAt(100_000, { txid: 0, bytesTotal: 900 }),
    sampleAt(101_000, { txid: 5000, bytesTotal: 10 }),
  ])
  assert.deepEqual([rest?.values.transactions, rest?.values.bytes], [0, 0])
})

function total(slots: readonly MeasuredSlot[], name: 'transactions' | 'bytes'): number {
  return slots.reduce((sum, { values }) => sum + values[name], 0)
}

test('however many slots: never more points than asked, nothing lost, the worst kept', () => {
  const random = seededRandom(3)
  for (let run = 0; run < 100; run++) {
    const slotMs = random() < 0.5 ? 10_000 : 60_000
    const fromMs = Math.floor(random() * 1e12)
    const spanMs = 1 + Math.floor(random() * 7 * 24 * 60 * 60_000 * random())
    const points =
      MIN_LAG_POINTS + Math.floor(random() * (MAX_LAG_POINTS - MIN_LAG_POINTS) * random())
    const slots: MeasuredSlot[] = []
    // As a node measures: from one tick past a boundary to the next.
    for (let ms = fromMs - slotMs + 1 + random() * 1000; slots.length < 11_000; ) {
      const toMs = Math.floor(ms / slotMs + 1) * slotMs + random() * 900
      if (toMs > fromMs + spanMs) break
      if (toMs > fromMs && random() > 0.1)
        slots.push(slotOf(ms, toMs, { values: valuesWith({ lagMs: random() * 1000 }) }))
      ms = toMs
    }
    const lengthMs = stretchMs({ fromMs, toMs: fromMs + spanMs, points }, slotMs)
    const told = lagPoints(slots, lengthMs)
    assert.ok(told.length <= points, `${told.length} of ${points}, ${spanMs} ms`)
    const summed = told.reduce((sum, p) => sum + p.transactionsPerSecond * p.measuredSeconds, 0)
    const wanted = total(slots, 'transactions')
    assert.ok(Math.abs(summed - wanted) <= 1 + wanted * 0.01, `${summed} for ${wanted}`)
    const worst = Math.max(0, ...slots.map(({ values }) => values.lagMs))
    assert.ok(Math.abs(Math.max(0, ...told.map(({ lagMs }) => lagMs)) - worst) < 0.001)
    for (const [i, point] of told.entries()) if (i > 0) assert.ok(told[i - 1].to <= point.from)
  }
})

test('no percentiles where nothing was applied, and a gap where nothing was measured', () => {
  const quiet = slotOf(0, 10_000, { values: { ...valuesWith(), ...NO_PERCENTILES } })
  const busy = slotOf(60_000, 70_000, { causes: ['long-reader'] })
  const points = lagPoints([quiet, busy], 10_000)
  assert.deepEqual([points[0].percentiles, points[0].stages], [null, null])
  assert.deepEqual(points[1].percentiles, { p50Ms: 1, p95Ms: 2, p99Ms: 3 })
  assert.deepEqual(points[1].stages?.applied, { p50Ms: 13, p95Ms: 14, p99Ms: 15 })
  assert.ok(isGap(points[0], points[1], 10))
  assert.ok(!isGap(points[0], { from: points[0].to }, 10))
  const [merged] = lagPoints([quiet, busy], 100_000)
  assert.deepEqual([merged.measuredSeconds, merged.percentiles?.p50Ms], [20, 1])
})

test('a cause lasts until a point without it, or a gap', () => {
  const point = (fromMs: number, causes: MeasuredSlot['causes']) =>
    slotOf(fromMs, fromMs + 10_000, { causes })
  const slots = [
    point(0, ['slow-link']),
    point(10_000, ['slow-link', 'long-reader']),
    point(20_000, ['long-reader']),
    point(60_000, ['long-reader']),
  ]
  assert.deepEqual(causeSpans(lagPoints(slots, 10_000), 10), [
    { code: 'slow-link', fromMs: 0, toMs: 20_000 },
    { code: 'long-reader', fromMs: 10_000, toMs: 30_000 },
    { code: 'long-reader', fromMs: 60_000, toMs: 70_000 },
  ])
})

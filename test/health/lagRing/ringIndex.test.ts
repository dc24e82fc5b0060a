/** Which slots a question needs, whatever the clock did while they were written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RingIndex, type SlotTimes } from '../../../src/health/lagRing/ringIndex.ts'
import { seededRandom } from '../../support/seededRandom.ts'

const DAY_MS = 24 * 60 * 60_000

/** Slots of a minute; now and then the clock jumps, or a slot is not written. */
function history(random: () => number, count: number): SlotTimes[] {
  const all: SlotTimes[] = []
  let nowMs = 30 * DAY_MS
  for (let seq = 1; seq <= count; seq++) {
    if (random() < 0.05) nowMs += Math.round((random() - 0.5) * 2 * DAY_MS)
    const fromMs = nowMs
    nowMs += 1 + Math.floor(random() * 60_000)
    all.push({ seq, fromMs, toMs: nowMs })
    if (random() < 0.1) nowMs += Math.floor(random() * 600_000)
  }
  return all
}

/** By the rule itself: no slot that was written later is of an earlier time. */
function expected(all: readonly SlotTimes[], slots: number, fromMs: number, toMs: number) {
  const kept = all.slice(-slots)
  return kept
    .filter((slot, i) => kept.slice(i + 1).every((later) => later.fromMs >= slot.toMs))
    .filter((slot) => slot.toMs > fromMs && slot.toMs <= toMs)
    .map(({ seq }) => seq)
}

test('what a set clock contradicts is left out, and the rest is in order', () => {
  const random = seededRandom(11)
  for (let run = 0; run < 200; run++) {
    const slots = 5 + Math.floor(random() * 40)
    const all = history(random, 1 + Math.floor(random() * 100))
    const index = new RingIndex(slots)
    for (const slot of all) index.add(slot)
    const [a, b] = [all[Math.floor(random() * all.length)], all[Math.floor(random() * all.length)]]
    const [fromMs, toMs] = [Math.min(a.fromMs, b.fromMs), Math.max(a.toMs, b.toMs)]
    const found = index.wanted(fromMs, toMs)
    // A contradicted slot may contradict none that is older: the rule goes from the newest on.
    const strict = expected(all, slots, fromMs, toMs)
    assert.ok(strict.every((seq) => found.includes(seq)))
    const times = found.map((seq) => all[seq - 1])
    for (const [i, slot] of times.entries())
      if (i > 0) assert.ok(times[i - 1].toMs <= slot.fromMs && times[i - 1].seq < slot.seq)
    assert.ok(times.every((slot) => slot.toMs > fromMs && slot.toMs <= toMs))
  }
})

test('a clock a day ahead and back leaves none of its slots behind', () => {
  const index = new RingIndex(100)
  index.add({ seq: 1, fromMs: 0, toMs: 60_000 })
  index.add({ seq: 2, fromMs: DAY_MS, toMs: DAY_MS + 60_000 })
  assert.deepEqual(index.wanted(0, 2 * DAY_MS), [1, 2])
  index.add({ seq: 3, fromMs: 120_000, toMs: 180_000 })
  assert.deepEqual(index.wanted(0, 2 * DAY_MS), [1, 3])
  assert.equal(index.nextSeq, 4)
})

test('an empty ring has nothing, and begins with slot 1', () => {
  const index = new RingIndex(3)
  assert.deepEqual([index.wanted(0, 1e15), index.nextSeq], [[], 1])
})

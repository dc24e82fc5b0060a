import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeadContent } from '../../../../src/roles/election/s3/leadObject.ts'
import { ABSENT, Sightings } from '../../../../src/roles/election/s3/sightings.ts'
import { Scheduler } from '../../../simulation/scheduler.ts'
import { RatedMachine, replaceRatedTime } from '../../../support/ratedTime.ts'

const TTL_MS = 5000
const SLOW = 0.99
const FAST = 1.01

const lead = (count: number, holder = 'a', ttlMs = TTL_MS): LeadContent => ({
  ...{ value: 'v', holder, ttlMs, count, nonce: String(count) },
})

async function inTime(work: (at: (elapsedMs: number) => Promise<void>) => Promise<void>) {
  const scheduler = new Scheduler()
  const restore = replaceRatedTime(scheduler)
  try {
    await work((elapsedMs) => scheduler.run(elapsedMs))
  } finally {
    restore()
  }
}

test('a fast clock sees no lease end on which a slow one counts', async () => {
  const scheduler = new Scheduler()
  const restore = replaceRatedTime(scheduler)
  try {
    const holder = new RatedMachine('a', SLOW, 0)
    const watcher = new RatedMachine('b', FAST, 12_345)
    const seen = new Sightings(TTL_MS)
    // Written, read and seen at the very moment from which its holder counts.
    const sighting = scheduler.as(watcher, () => seen.saw('"1"', lead(1)))
    await scheduler.run(holder.elapsedAt(TTL_MS))
    assert.equal(
      scheduler.as(watcher, () => seen.isFree(sighting)),
      false,
    )
    await scheduler.run(scheduler.elapsedMs + TTL_MS / 20)
    assert.equal(
      scheduler.as(watcher, () => seen.isFree(sighting)),
      true,
    )
  } finally {
    restore()
  }
})

test('each new ETag begins anew, the same one does not', async () => {
  await inTime(async (at) => {
    const seen = new Sightings(TTL_MS)
    seen.saw('"1"', lead(1))
    await at(4000)
    seen.saw('"2"', lead(2))
    await at(8000)
    assert.equal(seen.isFree(seen.saw('"2"', lead(2))), false)
    await at(10_000)
    assert.equal(seen.isFree(seen.saw('"2"', lead(2))), true)
  })
})

test('the TTL is that of who holds it', async () => {
  await inTime(async (at) => {
    const seen = new Sightings(TTL_MS)
    const sighting = seen.saw('"1"', lead(1, 'a', 4 * TTL_MS))
    await at(3 * TTL_MS)
    assert.equal(seen.isFree(sighting), false)
    await at(5 * TTL_MS)
    assert.equal(seen.isFree(sighting), true)
  })
})

test('what never was, and what was released, is free at once', async () => {
  await inTime(async () => {
    const seen = new Sightings(TTL_MS)
    assert.equal(seen.isFree(seen.saw(ABSENT, undefined)), true)
    assert.equal(seen.isFree(seen.saw('"1"', lead(1))), false)
    assert.equal(seen.isFree(seen.saw('"2"', lead(2, ''))), true)
    assert.equal(seen.nextCount, 3)
  })
})

test('what is gone, or older than what was seen, is held for a TTL', async () => {
  await inTime(async (at) => {
    for (const [etag, content] of [
      [ABSENT, undefined],
      ['"1"', lead(1, '')],
    ] as const) {
      const seen = new Sightings(TTL_MS)
      await at(20_000)
      seen.saw('"2"', lead(2, 'a', 2 * TTL_MS))
      const sighting = seen.saw(etag, content)
      const freeInMs = seen.freeAtMs(sighting) - sighting.sinceMs
      assert.ok(freeInMs > 2 * TTL_MS, 'for the TTL of who may hold it')
      assert.equal(seen.isFree(sighting), false)
      assert.equal(seen.nextCount, 3, 'the next write is the latest again')
    }
  })
})

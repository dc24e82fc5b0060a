/** How many failed reads go to the leader, and which paths are reported. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Client } from '../../src/proxy/client.ts'
import { FailedReads, FrequentPaths } from '../../src/proxy/failedReads.ts'
import { RateBudget } from '../../src/proxy/rateBudget.ts'
import type { Answer } from '../../src/proxy/relayedAnswer.ts'
import { Routes } from '../../src/proxy/routes.ts'

test("a rate holds over any time; a quiet second adds one second's worth at most", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 200 }),
      (perSecond, pausesMs) => {
        let nowMs = 0
        const rate = new RateBudget(perSecond, () => nowMs)
        const takenMs: number[] = []
        for (const pauseMs of pausesMs) {
          nowMs += pauseMs
          if (rate.take()) takenMs.push(nowMs)
        }
        for (const [i, fromMs] of takenMs.entries()) {
          const within = takenMs.slice(i).filter((atMs) => atMs <= fromMs + 1000)
          assert.ok(within.length <= 2 * perSecond, `${within.length} of ${perSecond} a second`)
        }
        const seconds = nowMs / 1000
        assert.ok(takenMs.length <= perSecond * (seconds + 1))
      },
    ),
  )
  let nowMs = 0
  const rate = new RateBudget(2, () => nowMs)
  const takes = [0, 0, 0, 499, 500, 500, 5000, 5000, 5000].map((atMs) => {
    nowMs = atMs
    return rate.take()
  })
  assert.deepEqual(takes, [true, true, false, false, true, false, true, true, false])
})

test('the table of paths is bounded, never overcounts, and has every frequent path', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 400 }), (visits) => {
      const paths = new FrequentPaths(8)
      const counts = new Map<string, number>()
      for (const visit of visits) {
        const path = `/${Math.floor(visit / (1 + (visit % 3)))}`
        paths.add(path)
        counts.set(path, (counts.get(path) ?? 0) + 1)
      }
      assert.ok(paths.size <= 8)
      const told = new Map(paths.top(8).map(({ path, count }) => [path, count]))
      for (const [path, count] of told) assert.ok(count <= (counts.get(path) ?? 0), path)
      // A path with more than 1/8 of all is never displaced.
      for (const [path, count] of counts)
        assert.ok(count * 8 <= visits.length || told.has(path), path)
    }),
  )
})

test('forwarded requests, writes, streams and local paths do not go to the leader', () => {
  const reads = new FailedReads(
    { statuses: [500], maxPerSecond: 1 },
    {
      routes: new Routes({ forward: [], local: ['/own'] }),
      log: { warn() {} },
      onFailedRead() {},
      nowMs: () => 0,
    },
  )
  const concerned = (change: object = {}, headers: object = {}, answered: object = {}) =>
    reads.concerns(
      { method: 'GET', target: '/a', request: { headers }, ...change } as unknown as Client,
      { status: 500, isEventStream: false, ...answered } as unknown as Answer,
    )
  assert.deepEqual([concerned(), concerned({ method: 'HEAD' })], [true, true])
  for (const method of ['POST', 'OPTIONS']) assert.equal(concerned({ method }), false)
  assert.equal(concerned({ target: '/own/a' }), false)
  assert.equal(concerned({}, { 'walcast-via': 'node-b' }), false)
  assert.equal(concerned({}, {}, { status: 502 }), false)
  assert.equal(concerned({}, {}, { isEventStream: true }), false)
})

test('the log tells of replayed reads once, of too many once a minute', () => {
  const said: object[] = []
  let nowMs = 0
  const counted: string[] = []
  const reads = new FailedReads(
    { statuses: [500], maxPerSecond: 1 },
    {
      routes: new Routes({ forward: [], local: [] }),
      log: { warn: (details: object) => void said.push(details) },
      onFailedRead: (outcome) => counted.push(outcome),
      nowMs: () => nowMs,
    },
  )
  assert.equal(reads.report(), undefined)
  reads.onAnswered('/a?secret=1', 200)
  reads.onAnswered(`/${'x'.repeat(1000)}`, 404)
  reads.onAnswered('/b', 500)
  for (let i = 0; i < 3; i++) reads.onOutcome('limited')
  nowMs = 60_000
  reads.onOutcome('limited')
  assert.deepEqual(said, [
    { path: '/a' },
    { maxPerSecond: 1, limited: 1 },
    { maxPerSecond: 1, limited: 4 },
  ])
  assert.deepEqual(counted.slice(0, 3), ['answered', 'answered', 'failed'])
  const report = reads.report()
  assert.deepEqual(
    report?.paths.map(({ path, count }) => [path.slice(0, 3), path.length, count]),
    [
      ['/a', 2, 1],
      ['/xx', 200, 1],
    ],
  )
})

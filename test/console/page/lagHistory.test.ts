/** Which point of the history of lag is looked at. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LagPoint } from '../../../src/api/lagHistory.ts'
import { chartDataOf, pointAtTime } from '../../../src/console/page/lagHistory.ts'

const AT = Date.parse('2026-01-01T00:00:00.000Z')
const iso = (second: number) => new Date(AT + second * 1000).toISOString()
const point = (from: number, to: number) =>
  ({ from: iso(from), to: iso(to), lagMs: from }) as unknown as LagPoint

test('each time that a chart draws leads to its point, and the time in a hole to none', () => {
  const points = [point(0, 10), point(10, 20), point(100, 110)]
  const [times] = chartDataOf({ points, pointSeconds: 10 }, [({ lagMs }) => lagMs])
  const found = times.map((seconds) => pointAtTime(points, seconds))
  assert.deepEqual(found, [points[0], points[1], undefined, points[2]])
})

test('a point that has grown since it was drawn is still found', () => {
  const [times] = chartDataOf({ points: [point(0, 10), point(10, 13)], pointSeconds: 10 }, [])
  const now = [point(0, 10), point(10, 17)]
  assert.equal(pointAtTime(now, times[1]), now[1])
})

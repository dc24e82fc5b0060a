/** What charts of lag draw. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lagSeries, rateSeries } from '../../../src/console/page/lagSeries.ts'

const point = (second: number, txid: number) => ({
  atMs: second * 1000,
  lagMs: second,
  txid,
  walBytes: 0,
})

test('a rate is of two points; where nothing came there is a hole', () => {
  const points = [point(1, 10), point(2, 15), point(60, 900), point(61, 902)]
  assert.deepEqual(lagSeries(points), [
    [1, 2, 2.001, 60, 61],
    [1, 2, null, 60, 61],
  ])
  assert.deepEqual(rateSeries(points)[1], [null, 5, null, null, 2])
})

test('a position that went back is no negative rate', () => {
  assert.deepEqual(rateSeries([point(1, 10), point(2, 5)])[1], [null, 0])
  assert.deepEqual(rateSeries([]), [[], []])
})

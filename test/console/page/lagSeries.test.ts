/** What charts of lag draw. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lagSeries } from '../../../src/console/page/lagSeries.ts'

const point = (second: number) => ({ atMs: second * 1000, lagMs: second })

test('where nothing came there is a hole', () => {
  assert.deepEqual(lagSeries([1, 2, 60, 61].map(point)), [
    [1, 2, 2.001, 60, 61],
    [1, 2, null, 60, 61],
  ])
  assert.deepEqual(lagSeries([]), [[], []])
})

/** When a chart is drawn anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lookOf } from '../../../src/console/page/chartData.ts'

const HOUR_MS = 3_600_000
const START_MS = 1000 * HOUR_MS
const hourFrom = (ms: number) => [ms, ms + HOUR_MS] as const
const seconds = START_MS / 1000

test('what moves by less than a pixel looks the same, and what moves by more does not', () => {
  const look = lookOf([[seconds + 60], [1]], hourFrom(START_MS), [START_MS])
  assert.equal(lookOf([[seconds + 61], [1]], hourFrom(START_MS + 1000), [START_MS + 1000]), look)
  for (const other of [
    lookOf([[seconds + 70], [1]], hourFrom(START_MS), [START_MS]),
    lookOf([[seconds + 60], [2]], hourFrom(START_MS), [START_MS]),
    lookOf([[seconds + 60], [null]], hourFrom(START_MS), [START_MS]),
    lookOf([[seconds + 60], [1]], hourFrom(START_MS + 10_000), [START_MS]),
    lookOf([[seconds + 60], [1]], hourFrom(START_MS), []),
    lookOf([[seconds + 60], [1]], [START_MS, START_MS + 24 * HOUR_MS], [START_MS]),
  ])
    assert.notEqual(other, look)
})

test('without a window each time counts', () => {
  const look = lookOf(
    [
      [1, 2],
      [1, 1],
    ],
    undefined,
    [],
  )
  assert.equal(
    lookOf(
      [
        [1, 2],
        [1, 1],
      ],
      undefined,
      [],
    ),
    look,
  )
  assert.notEqual(
    lookOf(
      [
        [1, 3],
        [1, 1],
      ],
      undefined,
      [],
    ),
    look,
  )
})

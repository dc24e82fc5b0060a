/** What `--keep` takes, and what it refuses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS, periodStart } from '../../src/backup/retention/periods.ts'
import { WalcastError } from '../../src/errors.ts'
import { DEFAULT_KEEP, keepOf, parseKeep } from '../../src/options/keepPolicy.ts'

test('ages, a number of snapshots and a size are taken in any order', () => {
  assert.deepEqual(parseKeep(DEFAULT_KEEP), {
    windows: [
      { grain: 'all', ageMs: 7 * DAY_MS },
      { grain: 'daily', ageMs: 60 * DAY_MS },
      { grain: 'monthly', ageMs: 730 * DAY_MS },
    ],
    snapshots: 1,
    maxBytes: undefined,
  })
  assert.deepEqual(parseKeep('3, 1.5GiB, 10y:yearly, 12h:all, 1w:hourly'), {
    windows: [
      { grain: 'all', ageMs: DAY_MS / 2 },
      { grain: 'hourly', ageMs: 7 * DAY_MS },
      { grain: 'yearly', ageMs: 3650 * DAY_MS },
    ],
    snapshots: 3,
    maxBytes: 1.5 * 1024 ** 3,
  })
  assert.deepEqual(parseKeep('200gb').maxBytes, 200e9)
})

test('an error names the term and what is wanted', () => {
  for (const [text, wanted] of [
    ['', /a size such as 200GiB, not ""/],
    ['7d:all,', /not ""/],
    ['7d', /not "7d"/],
    ['7:all', /60d:daily, not "7:all"/],
    ['7d:some', /all, hourly, daily, weekly, monthly, yearly/],
    ['7m:all', /an age in h, d, w or y/],
    ['0d:all', /an age from 1h to 100y/],
    ['101y:yearly', /an age from 1h to 100y/],
    ['7d:all,8d:all', /one age for all/],
    ['7d:all,7d:daily', /a longer age for daily than for all/],
    ['2y:daily,60d:monthly', /a longer age for monthly than for daily/],
    ['0', /1 to 1000 snapshots, not "0"/],
    ['1001', /1 to 1000 snapshots/],
    ['1,2', /one number of snapshots/],
    ['1GiB,2GiB', /one size/],
    ['5B', /a size such as 200GiB/],
    ['0.5MB', /1 MiB or more/],
    ['1e9GB', /a size such as/],
    ['-7d:all', /not "-7d:all"/],
    ['x'.repeat(201), /at most 200 characters/],
  ] as const)
    assert.throws(
      () => parseKeep(text),
      (error) => error instanceof WalcastError && wanted.test(error.message),
      text,
    )
})

test('periods begin where the calendar in UTC says', () => {
  const at = Date.UTC(2028, 1, 29, 13, 14, 15, 16)
  const starts = (['minute', 'hour', 'day', 'week', 'month', 'year'] as const).map((period) =>
    new Date(periodStart(period, at)).toISOString().slice(0, 16),
  )
  assert.deepEqual(starts, [
    '2028-02-29T13:14',
    '2028-02-29T13:00',
    '2028-02-29T00:00',
    '2028-02-28T00:00',
    '2028-02-01T00:00',
    '2028-01-01T00:00',
  ])
  assert.equal(
    new Date(periodStart('week', Date.UTC(2028, 0, 2))).toISOString().slice(0, 10),
    '2027-12-27',
  )
})

test('all keeps everything, alone', () => {
  assert.equal(keepOf(' all '), undefined)
  assert.deepEqual(keepOf('3'), parseKeep('3'))
  assert.throws(() => keepOf('all,3'), /--keep wants/)
})

/** Numbers and times as people read them, and addresses of screens. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  agoText,
  bytesText,
  countText,
  durationText,
  plural,
  positionText,
  sentence,
  timeText,
} from '../../../src/console/page/format.ts'
import { parseRoute, routeText } from '../../../src/console/page/routes.ts'

test('durations have two units at most', () => {
  for (const [ms, text] of [
    [-5, '0 ms'],
    [0.44, '0.4 ms'],
    [37.4, '37 ms'],
    [4230, '4.2 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [185_000, '3 min 5 s'],
    [7_800_000, '2 h 10 min'],
    [4 * 86_400_000, '4 d'],
  ] as const)
    assert.equal(durationText(ms), text)
  assert.equal(agoText(300), 'just now')
  assert.equal(agoText(12_900), '12 s ago')
})

test('counts, sizes and sentences', () => {
  assert.equal(countText(1_234_567), '1,234,567')
  assert.equal(positionText(2, 1_234_567), '2-1234567')
  assert.equal(countText(999), '999')
  assert.equal(plural(1, 'transaction'), '1 transaction')
  assert.equal(plural(1200, 'transaction'), '1,200 transactions')
  assert.equal(bytesText(0), '0 B')
  assert.equal(bytesText(4096), '4.1 KB')
  assert.equal(bytesText(23_400_000), '23 MB')
  assert.equal(sentence('not fit'), 'Not fit')
})

test('times have a date when that is another day', () => {
  const at = new Date(2026, 0, 2, 3, 4, 5).getTime()
  assert.equal(timeText(at, at + 1000), '03:04:05')
  assert.equal(timeText(at, at + 86_400_000), '2026-01-02 03:04:05')
})

test('addresses of screens come back as they were made', () => {
  assert.deepEqual(parseRoute(''), { screen: '', rest: '' })
  assert.deepEqual(parseRoute('#/lag'), { screen: 'lag', rest: '' })
  assert.deepEqual(parseRoute('#/diverged/%zz'), { screen: 'diverged', rest: '%zz' })
  assert.deepEqual(parseRoute('#elsewhere'), { screen: '', rest: '' })
  for (const rest of ['', 'a/b', 'ü %', '<b>'])
    assert.deepEqual(parseRoute(routeText('x', rest)), { screen: 'x', rest })
})

/** The line on which a moment of the past is picked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlaceReport } from '../../../src/api/backupStatus.ts'
import { archiveLine, grainAt, momentText } from '../../../src/console/page/archiveLine.ts'

const EMPTY: PlaceReport = { place: '/backups', isArchiving: true, isStalled: false }
const UPKEEP = { at: '2026-11-30T12:00:00Z', files: 3, bytes: 1000 }

function placeWith(
  restorable: readonly (readonly [string, string, string])[],
  until?: string,
): PlaceReport {
  const spans = restorable.map(([grain, from, to]) => ({ grain, from, to }))
  const restorableUntil = until ? { position: '1-9', incarnation: 'a', at: until } : undefined
  const upkeep = { ...UPKEEP, restorable: spans }
  return { ...EMPTY, upkeep, ...(restorableUntil ? { restorableUntil } : {}) }
}

test('a place that has told nothing has no line', () => {
  assert.equal(archiveLine(EMPTY), undefined)
  assert.equal(archiveLine(placeWith([])), undefined)
  assert.equal(archiveLine(placeWith([['all', 'not a time', 'nor this']])), undefined)
})

test('the line goes from the oldest moment to what is restorable now', () => {
  const place = placeWith(
    [
      ['all', '2026-11-29T00:00:00Z', '2026-11-30T12:00:00Z'],
      ['day', '2026-10-01T00:00:00Z', '2026-11-27T00:00:00Z'],
    ],
    '2026-11-30T12:34:56Z',
  )
  const line = archiveLine(place)
  assert.ok(line)
  assert.equal(momentText(line.fromMs), '2026-10-01T00:00:00Z')
  assert.equal(momentText(line.toMs), '2026-11-30T12:34:56Z')
  assert.equal(grainAt(line, Date.parse('2026-10-15T00:00:00Z')), 'day')
  assert.equal(grainAt(line, Date.parse('2026-11-30T12:30:00Z')), 'all')
  assert.equal(grainAt(line, Date.parse('2026-11-28T00:00:00Z')), undefined, 'a gap')
})

/** What is news of an archive, and what is only the moment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlaceReport } from '../../src/api/backupStatus.ts'
import { archiveEvents } from '../../src/health/archiveEvents.ts'

const PLACE: PlaceReport = { place: '/a', isArchiving: true, isStalled: false, behindMs: 5 }
const PROVEN = { position: '1-5', incarnation: 'a', at: 't', provenAt: 'u', tookMs: 1, bytes: 2 }
const SNAPSHOTS = { place: '/s', everyMs: 60_000, isOverdue: false, sinceMs: 1 }

function told(place: PlaceReport, snapshots = SNAPSHOTS): string {
  const backup = { places: [place], logBytes: 0, queueBytes: 0 }
  return JSON.stringify(archiveEvents({ backup, snapshots }))
}

test('stalls, drills, broken files and dated snapshots are news; a new position is none', () => {
  assert.deepEqual(archiveEvents({}), [])
  const first = told(PLACE)
  const until = { position: '1-6', incarnation: 'a', at: 't' }
  assert.equal(told({ ...PLACE, behindMs: 900, restorableUntil: until }), first)
  assert.equal(told(PLACE, { ...SNAPSHOTS, sinceMs: 900 }), first)
  const failure = { code: 'c', message: 'm', at: 't' }
  const news = [
    told({ ...PLACE, isStalled: true }),
    told({ ...PLACE, proven: PROVEN }),
    told({ ...PLACE, drillFailure: failure }),
    told({ ...PLACE, renewed: failure }),
    told({ ...PLACE, isProofOverdue: true }),
    told(PLACE, { ...SNAPSHOTS, isOverdue: true }),
  ]
  assert.equal(new Set([first, ...news]).size, 7)
})

/** Which changes of a place the audit log gets, each once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackupReport, PlaceReport } from '../../src/api/backupStatus.ts'
import { archiveTurns } from '../../src/node/archiveJournal.ts'

const WELL: PlaceReport = { place: '/a', isArchiving: true, isStalled: false, behindMs: 0 }
const FULL: PlaceReport = {
  ...WELL,
  isStalled: true,
  lastError: { code: 'STORE_FAILED', message: 'no room' },
}
const RENEWED: PlaceReport = {
  ...WELL,
  renewed: { code: 'ARCHIVE_BROKEN', message: 'changes/0/a is broken', at: 't' },
}

function report(place: PlaceReport): BackupReport {
  return { places: [place], logBytes: 0, queueBytes: 0 }
}

test('a place that stands still is noted once, and once that it goes on', () => {
  assert.deepEqual(archiveTurns(undefined, report(WELL)), [])
  const stall = [{ outcome: 'failed', detail: '/a: it stands still: no room' }]
  assert.deepEqual(archiveTurns(undefined, report(FULL)), stall)
  assert.deepEqual(archiveTurns(report(WELL), report(FULL)), stall)
  assert.deepEqual(archiveTurns(report(FULL), report({ ...FULL, behindMs: 9 })), [])
  assert.deepEqual(archiveTurns(report(FULL), report(WELL)), [
    { outcome: 'done', detail: '/a: it stands still no longer' },
  ])
})

test('a snapshot for a broken file is noted once', () => {
  const [{ outcome, detail }, ...others] = archiveTurns(report(WELL), report(RENEWED))
  assert.deepEqual([outcome, others], ['failed', []])
  assert.match(detail, /^\/a: went on with a snapshot.*changes\/0\/a is broken$/)
  assert.deepEqual(archiveTurns(report(RENEWED), report(RENEWED)), [])
})

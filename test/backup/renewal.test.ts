/** When a snapshot is due because files were found broken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ArchiveName } from '../../proto/archiveNames.ts'
import { isPassed, RENEW_EVERY_MS, Renewal } from '../../src/backup/renewal.ts'
import { A, B } from '../support/batchLogs.ts'

const found = (what: string) => ({ key: 'ARCHIVE_BROKEN', message: `${what} is not sound` })
const ALONE = { part: 1, isLast: true }
const snapshot = (txid: number, incarnation = A, part = ALONE): ArchiveName => {
  return { kind: 'snapshot', incarnation, txid, ...part }
}
const changes = (from: number, to: number, incarnation = A): ArchiveName => {
  const place = (txid: number) => ({ incarnation, txid })
  return { kind: 'changes', level: 0, from: place(from), to: place(to), ...ALONE }
}
const stored = (...names: ArchiveName[]) => names.map((name) => ({ name, bytes: 1 }))

test('each finding is dealt with, one snapshot an hour', () => {
  const renewal = new Renewal()
  assert.ok(renewal.want(found('a')))
  assert.ok(renewal.want(found('b')))
  assert.ok(!renewal.want(found('a')))
  assert.ok(!renewal.want({ key: 'STORE_FAILED', message: 'c' }))
  assert.deepEqual(renewal.due(0), found('a'))
  renewal.settle(found('a'))
  assert.deepEqual(renewal.due(0), found('b'))
  renewal.begin(found('b'), 0)
  assert.equal(renewal.due(1), undefined)
  assert.deepEqual(renewal.due(RENEW_EVERY_MS), found('b'), 'it failed')
  renewal.begin(found('b'), 10)
  renewal.onSnapshot(7, 20)
  assert.deepEqual(renewal.last, { atMs: 7, found: found('b') })
  renewal.want(found('d'))
  assert.equal(renewal.due(20 + RENEW_EVERY_MS - 1), undefined)
  assert.deepEqual(renewal.due(20 + RENEW_EVERY_MS), found('d'))
})

test('a file is passed by a whole snapshot of its own history, and by no other', () => {
  const broken = changes(3, 5)
  assert.ok(isPassed(broken, stored(broken, snapshot(5))))
  assert.ok(isPassed(broken, stored(snapshot(9))))
  assert.ok(!isPassed(broken, stored(snapshot(4), changes(5, 9))))
  assert.ok(!isPassed(broken, stored(snapshot(9, B))))
  assert.ok(!isPassed(broken, stored(snapshot(9, A, { part: 1, isLast: false }))))
  assert.ok(!isPassed(snapshot(5), stored(snapshot(5))))
})

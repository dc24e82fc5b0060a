/** The filters of the timeline. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEntry } from '../../../src/api/audit.ts'
import { isWanted, timelineActions } from '../../../src/console/page/timeline.ts'

const ENTRY: AuditEntry = {
  at: '2026-11-30T10:00:00.000Z',
  node: 'node-1',
  action: 'promote',
  outcome: 'done',
  role: 'leader',
  epoch: 2,
  txid: 7,
  by: 'ada@host (token k1)',
  detail: 'the old leader does not answer',
}

test('an event is found by its action and by any part of its texts, in any case', () => {
  for (const [filter, isFound] of [
    [{ action: '', text: '' }, true],
    [{ action: 'promote', text: ' ADA@ ' }, true],
    [{ action: '', text: 'old leader' }, true],
    [{ action: '', text: 'NODE-1' }, true],
    [{ action: 'demote', text: '' }, false],
    [{ action: 'promote', text: 'nobody' }, false],
  ] as const)
    assert.equal(isWanted(ENTRY, filter), isFound, JSON.stringify(filter))
})

test('the actions to choose from are those that happened, each once', () => {
  const entries = (['start', 'promote', 'start'] as const).map((action) => ({ ...ENTRY, action }))
  assert.deepEqual(timelineActions(entries), ['promote', 'start'])
})

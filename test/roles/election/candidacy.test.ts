/** Whether a node campaigns for a lease that nobody holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Position } from '../../../proto/position.ts'
import { type CandidacyInput, candidacyOf } from '../../../src/roles/election/candidacy.ts'
import type { Term } from '../../../src/roles/election/electionRecord.ts'

const TTL_MS = 1000

const TERM: Term = {
  epoch: 3,
  node: 'node-a',
  address: '10.0.0.1:9000',
  isAcknowledged: true,
  counted: ['node-b', 'node-c'],
  floor: { epoch: 3, txid: 10 },
  heir: '',
}

function decided(given: Partial<CandidacyInput>) {
  return candidacyOf({
    nowMs: 10 * TTL_MS,
    freeSinceMs: 0,
    ttlMs: TTL_MS,
    node: 'node-b',
    priority: 0,
    position: at(20),
    leaderTxid: 20,
    reasons: [],
    term: TERM,
    notes: [],
    heard: new Map(),
    unreported: [],
    maxLoss: undefined,
    withoutTerm: { isAcknowledged: true, others: ['node-c'] },
    agreedUntilMs: 0,
    restUntilMs: 0,
    paused: undefined,
    ...given,
  })
}

function at(txid: number): Position {
  return { epoch: 3, txid }
}

const NOT_HEARD = 'node-c may hold acknowledged writes, and is not heard of'

test('who may lack what was acknowledged waits for one TTL, then declines and says why', () => {
  assert.deepEqual(decided({ nowMs: TTL_MS / 2 }), { does: 'wait', why: NOT_HEARD })
  assert.deepEqual(decided({}), { does: 'decline', why: NOT_HEARD })
  const behind = '2 transactions behind node-c'
  assert.deepEqual(decided({ heard: new Map([['node-c', at(22)]]) }), {
    does: 'decline',
    why: behind,
  })
  assert.deepEqual(decided({ heard: new Map([['node-c', at(20)]]) }), { does: 'campaign' })
})

test('an emptied lock service excuses no loss of what was acknowledged', () => {
  assert.deepEqual(decided({ term: undefined }), { does: 'decline', why: NOT_HEARD })
  const heard = new Map([['node-c', at(20)]])
  assert.deepEqual(decided({ term: undefined, heard }), { does: 'campaign' })
  // Of two nodes the replica that is left has whatever was acknowledged.
  const alone = { isAcknowledged: true, others: [] }
  assert.deepEqual(decided({ term: undefined, withoutTerm: alone }), { does: 'campaign' })
  const local = { isAcknowledged: false, others: ['node-c'] }
  assert.deepEqual(decided({ term: undefined, withoutTerm: local }), { does: 'campaign' })
})

/** The nodes that a node has met, and those that it is not to meet again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { type MemberChange, Members } from '../../src/cluster/members.ts'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { withMember, withoutMember } from '../../src/cluster/trustChanges.ts'
import { emptyTrust } from '../../src/cluster/trustRecord.ts'
import { Claims } from '../../src/security/claims.ts'

const CLAIMS = new Claims(
  () => ({ epoch: 1, txid: 1 }),
  () => {},
)
const KEY = 'ab'.repeat(32)
const B = { node: 'node-b', address: '10.0.0.2:8470' }
const C = { node: 'node-c', address: '10.0.0.3:8470' }

test('a node that is removed is forgotten, and met again only with another key', async () => {
  const written: unknown[] = []
  const file = {
    record: { node: 'node-a', members: [B, C] },
    update: async (change: unknown) => void written.push(change),
  }
  const trust = { record: withMember(emptyTrust('c'), { ...B, fingerprint: KEY }, 1) }
  const changes: MemberChange[] = []
  const log = pino({ level: 'silent' })
  const members = new Members(file as unknown as NodeFile, log, trust, [], CLAIMS, (change) => {
    changes.push(change)
  })
  assert.equal(members.fingerprintOf('node-b'), KEY)
  assert.equal(members.fingerprintOf('node-c'), '')
  members.forgetRemoved()
  assert.deepEqual(changes, [])
  trust.record = withoutMember(trust.record, KEY, '', 2)
  members.forgetRemoved()
  members.learn(B.node, '10.0.0.9:8470')
  assert.deepEqual(changes, [{ ...B, gone: true }])
  assert.deepEqual(members.list(), [C])
  await members.stop()
  assert.deepEqual(written, [{ members: [C] }])
  const again = new Members(file as unknown as NodeFile, log, trust, [], CLAIMS, () => {})
  assert.deepEqual(again.list(), [C], 'its role file may still have the removed one')
  await again.stop()
  assert.deepEqual(written.splice(0), [{ members: [C] }, { members: [C] }])
  trust.record = withMember(trust.record, { ...B, fingerprint: 'cd'.repeat(32) }, 3)
  members.learn(B.node, B.address)
  assert.deepEqual(members.list(), [C, B])
  await members.stop()
})

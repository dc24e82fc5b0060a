/** Which of the nodes that others tell of are remembered. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import { Members } from '../../src/cluster/members.ts'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { MAX_MEMBERS, type Member } from '../../src/cluster/nodeRecord.ts'
import { emptyTrust } from '../../src/cluster/trustRecord.ts'
import { type ClaimKind, Claims } from '../../src/security/claims.ts'

function membersOf(t: TestContext, known: readonly Member[] = []) {
  const refused: ClaimKind[] = []
  const told: string[] = []
  let written = 0
  const file = {
    record: { node: 'node-a', members: known },
    update: async () => void written++,
  } as unknown as NodeFile
  const claims = new Claims(
    () => ({ epoch: 1, txid: 1 }),
    (kind) => refused.push(kind),
  )
  const log = pino({ level: 'silent' })
  const members = new Members(file, log, { record: emptyTrust('') }, [], claims, ({ node }) =>
    told.push(node),
  )
  t.after(() => members.stop())
  return { members, refused, told, writes: () => written }
}

test('a member is a node id and HOST:PORT; anything else is refused and counted', (t) => {
  const { members, refused, told } = membersOf(t)
  members.learn('node-b', '10.0.0.2:8470')
  members.learn('Node_c.3', '[fd00::3]:8470')
  members.learn('node-d', 'node-d.example:1')
  const known = members.list()
  assert.deepEqual(known, [
    { node: 'node-b', address: '10.0.0.2:8470' },
    { node: 'Node_c.3', address: '[fd00::3]:8470' },
    { node: 'node-d', address: 'node-d.example:1' },
  ])
  for (const node of ['\u001b[2J', 'a b', 'a\n', '\u202eb-edon', 'é', 'x'.repeat(129), '../a'])
    members.learn(node, '10.0.0.9:1')
  assert.deepEqual(refused.splice(0), Array(7).fill('node'))
  for (const address of ['10.0.0.9', 'a:b', 'u@a:1', 'a:1/x', 'http://a:1', 'a\u001b:1', 'a:99999'])
    members.learn('node-b', address)
  assert.deepEqual(refused.splice(0), Array(7).fill('address'))
  assert.deepEqual(members.list(), known)
  assert.deepEqual(told, ['node-b', 'Node_c.3', 'node-d'])
})

test('what an earlier version wrote down is left out when it is no member', (t) => {
  const { members } = membersOf(t, [
    { node: 'node-b', address: '10.0.0.2:8470' },
    { node: 'node-c\u001b[31m', address: '10.0.0.3:8470' },
    { node: 'node-d', address: '10.0.0.4' },
  ])
  assert.deepEqual(members.list(), [{ node: 'node-b', address: '10.0.0.2:8470' }])
})

test('a flood of members ends at the bound: no more are told or written down', async (t) => {
  const { members, refused, told, writes } = membersOf(t)
  for (let i = 0; i < 100_000; i++) members.learn(`node-${i}`, `10.0.0.2:${1 + (i % 60_000)}`)
  assert.equal(members.list().length, MAX_MEMBERS)
  assert.equal(told.length, MAX_MEMBERS)
  assert.deepEqual([refused.length, new Set(refused)], [100_000 - MAX_MEMBERS, new Set(['member'])])
  await members.stop()
  assert.equal(writes(), 1)
  members.learn('node-0', '10.0.0.2:1')
  assert.equal(refused.length, 100_000 - MAX_MEMBERS, 'what is known costs nothing')
})

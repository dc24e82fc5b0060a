/** Nodes with a cluster secret come to know the same keys, tokens and settings. */
import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import pino from 'pino'
import { withoutToken, withToken } from '../../src/cluster/trustChanges.ts'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import type { TrustRecord } from '../../src/cluster/trustRecord.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { labTest, nodeArguments } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const TOKEN = {
  id: 'abcdefghij',
  hash: 'ab'.repeat(32),
  role: 'read' as const,
  note: 'a note',
  createdAt: 1000,
}

function recordOf({ db }: TestNode): TrustRecord | undefined {
  return TrustFile.peek(`${db}-walcast`)
}

/** Only while its node does not run. */
async function change(node: TestNode, by: (record: TrustRecord) => TrustRecord): Promise<void> {
  const file = TrustFile.open(`${node.db}-walcast`, systemFileOps, pino({ level: 'silent' }))
  await file.change(by)
}

labTest('what one node knows, all come to know, also while the leader is away', async (lab) => {
  await makeDatabase(lab, lab.path('leader.db'))
  const options = { environment: SECRET, flags: ['--peer-look', '200ms'] }
  const leader = await lab.leader(lab.path('leader.db'), options)
  const a = await lab.replica(lab.path('a.db'), leader, options)
  const b = await lab.replica(lab.path('b.db'), leader, options)
  const { cluster } = await leader.status()
  for (const node of [leader, a, b]) {
    await until(`${node.db} knows its cluster`, () => recordOf(node)?.cluster === cluster)
    assert.equal(statSync(`${node.db}-walcast/keys/cluster.json`).mode & 0o777, 0o600)
    assert.equal(statSync(`${node.db}-walcast/keys`).mode & 0o777, 0o700)
  }
  await until('all have met', async () => (await b.status()).members?.length === 2)
  await leader.stop()
  await a.stop()
  await change(a, (record) => withToken(record, TOKEN, 1000))
  await lab.restart(a)
  await until('b knows the token', () => recordOf(b)?.tokens.length === 1)
  // The leader was away, and so is the node now that knew it first.
  const restarted = await lab.restart(leader)
  await until('the leader knows it', () => recordOf(restarted)?.tokens.length === 1)
})

labTest('a node that was away cannot bring back what was revoked', async (lab) => {
  await makeDatabase(lab, lab.path('leader.db'))
  const options = { environment: SECRET, flags: ['--peer-look', '200ms'] }
  const leader = await lab.leader(lab.path('leader.db'), options)
  const replica = await lab.replica(lab.path('a.db'), leader, options)
  await until('both have a file', () => recordOf(leader)?.cluster && recordOf(replica)?.cluster)
  await until('they have met', async () => (await leader.status()).members?.length === 1)
  for (const node of [replica, leader]) {
    await node.stop()
    await change(node, (record) => withToken(record, TOKEN, 1000))
  }
  await change(leader, (record) => withoutToken(record, TOKEN.id, 2000))
  const led = await lab.restart(leader)
  const followed = await lab.restart(replica)
  await until('the replica knows', () => recordOf(followed)?.revokedTokens.length === 1)
  assert.deepEqual([recordOf(led)?.tokens, recordOf(followed)?.tokens], [[], []])
})

labTest('nobody without the secret gets an answer, or is believed', async (lab) => {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'), { environment: SECRET })
  const body = JSON.stringify({ key: '00000000', sealed: 'AAAA' })
  const post = (headers: Record<string, string>) =>
    fetch(`${leader.url}/_walcast/trust`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    })
  assert.equal((await post({})).status, 401)
  assert.equal((await post({ 'x-replica-auth': 'v1 nonsense' })).status, 401)
  const { node: own } = await leader.status()
  assert.deepEqual(
    recordOf(leader)?.members.filter(({ node }) => node !== own),
    [],
  )
})

labTest('a trust file that cannot be read ends the start, and is left as it is', async (lab) => {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'), { environment: SECRET })
  await until('it has a file', () => recordOf(leader))
  await leader.stop()
  writeFileSync(`${leader.db}-walcast/keys/cluster.json`, '{}')
  const child = lab.cli(nodeArguments('leader', leader.options), SECRET)
  const { text: line } = await child.errorLine((text) => text.includes('WALCAST_TRUST_BROKEN'))
  assert.match(line, /cluster\.json/)
  assert.equal((await child.ended).code, 1)
})

labTest('without a secret there is no file', async (lab) => {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'))
  await leader.stop()
  assert.equal(recordOf(leader), undefined)
})

/** Which replicas a new leader misses after a failover, and their last positions. */
import assert from 'node:assert/strict'
import { labTest, waitLevel } from '../support/lab.ts'
import { promote } from '../support/leadership.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const FLAGS = ['--heartbeat', '100ms']
const QUICK = [...FLAGS, '--reconnect-max', '100ms']

async function listed(node: TestNode) {
  const { replicas } = await node.status()
  return new Map(replicas.map((replica) => [replica.node, replica]))
}

labTest('a new leader misses the old one at its last position, and never itself', async (lab) => {
  const look = ['--peer-look', '200ms']
  const db = lab.path('a.db')
  await makeDatabase(lab, db)
  const old = await lab.leader(db, { flags: [...FLAGS, ...look] })
  const relay = await (
    await lab.replica(lab.path('b.db'), old, { flags: [...QUICK, ...look] })
  ).ready()
  const far = await (
    await lab.replica(lab.path('c.db'), relay, { flags: [...QUICK, ...look] })
  ).ready()
  const [a, b, c] = await Promise.all(
    [old, relay, far].map(async (node) => (await node.status()).node),
  )
  await lab.exec(db, "INSERT INTO log (who) VALUES ('last')")
  await waitLevel(old, far)
  await until('the leader knows of both', async () => (await listed(old)).get(c)?.connected)
  const { epoch, txid } = await old.status()
  await old.stop('SIGKILL')
  await promote(far)
  await until('the relay follows the new leader', async () => (await listed(far)).get(b)?.connected)
  // By now the relay has reported every replica that it ever fed.
  const cause = await until('the old leader is missed', async () => {
    const { causes } = await far.status()
    return causes.find(({ code }) => code === 'replica-away')
  })
  assert.equal(cause['node'], a)
  const replicas = await listed(far)
  assert.deepEqual([...replicas.keys()].sort(), [a, b].sort())
  const { connected, ...missed } = replicas.get(a) ?? assert.fail('the old leader is not listed')
  assert.deepEqual([connected, missed.epoch, missed.txid], [false, epoch, txid])
  assert.equal((await listed(relay)).has(c), false, 'the relay does not miss its leader')
  const back = await lab.restart(old)
  await until('it is back', async () => (await listed(far)).get(a)?.connected)
  assert.equal((await listed(back)).size, 0)
  await until('nothing is missed', async () => (await far.status()).causes.length === 0)
})

labTest('a node that never reported a position has none', async (lab) => {
  const db = lab.path('a.db')
  await makeDatabase(lab, db)
  const old = await lab.leader(db, { flags: FLAGS })
  const replica = await (await lab.replica(lab.path('b.db'), old, { flags: QUICK })).ready()
  const other = await (await lab.replica(lab.path('c.db'), old, { flags: QUICK })).ready()
  const { node } = await other.status()
  await until('they know each other', async () =>
    (await replica.status()).members?.some((member) => member.node === node),
  )
  await other.stop('SIGKILL')
  await old.stop('SIGKILL')
  await promote(replica)
  const missed = (await listed(replica)).get(node)
  assert.deepEqual([missed?.connected, missed?.epoch, missed?.txid], [false, null, null])
  const status = lab.cli(['status', '--node', replica.url])
  await status.ended
  assert.match(status.out.join('\n'), new RegExp(`^${node} .* unknown `, 'm'))
})

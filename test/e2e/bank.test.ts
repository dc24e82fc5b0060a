/**
 * The harness that judges changes of leadership, on nodes that keep their roles: it must find no
 * fault there.
 */
import assert from 'node:assert/strict'
import { type BankCluster, startBank } from '../support/bankCluster.ts'
import type { Exchange } from '../support/history.ts'
import { failuresIn, faultsIn } from '../support/historyCheck.ts'
import { labTest } from '../support/lab.ts'

/** About three seconds of eight sessions. */
const REQUESTS = 600

async function requireClean(cluster: BankCluster, record: readonly Exchange[]): Promise<void> {
  const [leader] = cluster.sites
  const report = await cluster.judge(record, leader)
  assert.deepEqual(faultsIn(report), [])
  assert.deepEqual(failuresIn(report), [])
  assert.equal(report.unknown, 0)
  assert.equal(report.toldStale, 0)
  await cluster.requireSame(leader)
  for (const site of cluster.sites)
    assert.equal(await site.timesOpened(), 1, `one handle at ${site.name}`)
}

labTest('a bank on three nodes: no transfer lost, doubled or reordered', async (lab) => {
  const cluster = await startBank(lab)
  assert.deepEqual(await Promise.all(cluster.sites.map((site) => site.role())), [
    'leader',
    'replica',
    'replica',
  ])
  const client = cluster.client()
  await client.advance(REQUESTS)
  await requireClean(cluster, await client.stop())
})

labTest('a bank while the leader restarts: no request fails', async (lab) => {
  const cluster = await startBank(lab)
  const [leader, ...replicas] = cluster.sites
  // Clients of the leader's own proxy would meet a closed port.
  const client = cluster.client({ doors: replicas })
  await client.advance(REQUESTS / 3)
  assert.equal((await leader.node.stop()).code, 0)
  await leader.restart()
  await client.writesEverywhere()
  await client.advance(REQUESTS / 3)
  await requireClean(cluster, await client.stop())
})

labTest('a row removed by hand is found: the harness can fail', async (lab) => {
  const cluster = await startBank(lab, { nodes: 2 })
  const [leader] = cluster.sites
  const client = cluster.client({ sessions: 4 })
  await client.advance(REQUESTS / 3)
  const record = await client.stop()
  await lab.exec(
    leader.db,
    'DELETE FROM transfers WHERE id = (SELECT id FROM transfers LIMIT 1)',
    'UPDATE register SET version = version - 1 WHERE key = (SELECT key FROM register LIMIT 1)',
    'UPDATE accounts SET balance = balance + 1 WHERE id = 1',
  )
  const report = await cluster.judge(record, leader)
  assert.equal(report.lost.length, 2)
  assert.equal(report.sums.length, 1)
  assert.ok(report.duplicates.length > 0, 'balances no longer follow from the transfers')
})

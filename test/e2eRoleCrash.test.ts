/** A node that dies at any step of a change of role: one leads at most, nothing that was answered is lost, both end level. */
import assert from 'node:assert/strict'
import { type BankCluster, startBank } from './support/bankCluster.ts'
import { leaderOrPromoted } from './support/bankOperator.ts'
import { faultsIn } from './support/historyCheck.ts'
import { labTest } from './support/lab.ts'

/** Steps of writing the role file; a second time in one change, where there is one. */
const STEPS = [
  { op: 'role.write', count: 1 },
  { op: 'role.rename', count: 1 },
  { op: 'role.write', count: 2 },
  { op: 'role.rename', count: 2 },
] as const

/** One switchover in which `victim` dies; both are well in the end. */
async function crashIn(
  cluster: BankCluster,
  which: 'from' | 'to',
  step: (typeof STEPS)[number],
): Promise<boolean> {
  const from = await cluster.settled()
  const to = cluster.sites.find((site) => site !== from)
  assert.ok(to)
  const victim = which === 'from' ? from : to
  const dying = await victim.restartDying(step.op, step.count)
  await cluster.settled()
  await dying.arm()
  await from.switchover(to, 3000).catch(() => {})
  // Not every change has a second step of the kind: then it dies after all of them.
  const hasDied = await dying.end()
  await victim.restart()
  await leaderOrPromoted(cluster.sites)
  await cluster.settled()
  return hasDied
}

for (const which of ['from', 'to'] as const)
  labTest(`a switchover in which the node ${which} dies at each step of writing its role`, async (lab, t) => {
    const cluster = await startBank(lab, { nodes: 2 })
    const client = cluster.client({ sessions: 4, isKeyed: true })
    for (const step of STEPS) {
      const hasDied = await crashIn(cluster, which, step)
      if (step.count === 1) assert.ok(hasDied, `${step.op} is a step of the node ${which}`)
      t.diagnostic(`${step.op} ${step.count}: ${hasDied ? 'died in it' : 'died after it'}`)
      await client.writesEverywhere()
    }
    const record = await client.stop()
    const leader = await cluster.settled()
    assert.deepEqual(faultsIn(await cluster.judge(record, leader)), [])
    await cluster.requireSame(leader)
  })

labTest('a promotion in which the new leader dies at each step of writing its role', async (lab, t) => {
  const cluster = await startBank(lab, { nodes: 2 })
  for (const step of STEPS) {
    const old = await cluster.settled()
    const heir = cluster.sites.find((site) => site !== old)
    assert.ok(heir)
    await cluster.requireSame(old)
    const dying = await heir.restartDying(step.op, step.count)
    await cluster.settled()
    await old.node.stop('SIGKILL')
    await dying.arm()
    await heir.promote().catch(() => {})
    t.diagnostic(`${step.op} ${step.count}: ${(await dying.end()) ? 'died in it' : 'died after it'}`)
    await heir.restart()
    await old.restart()
    await leaderOrPromoted(cluster.sites)
    await cluster.requireSame(await cluster.settled())
  }
})

/**
 * Two processes with the id of one replica, not both of them following the leader directly: one of
 * them ends. A restarted replica does not.
 */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { cameFirst, copyAll, requireTaken } from '../support/clones.ts'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { switchover } from '../support/leadership.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const FLAGS = ['--reconnect-max', '200ms']

interface Cluster {
  readonly leader: TestNode
  readonly relays: readonly TestNode[]
}

/** A leader and two relays, of which the second follows the first when `isChain`. */
async function startCluster(lab: Lab, relays: number, isChain = false): Promise<Cluster> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 200 })
  const leader = await lab.leader(db, { flags: ['--name', 'top'] })
  const started: TestNode[] = []
  for (let i = 0; i < relays; i++) {
    const follows = isChain ? (started.at(-1) ?? leader) : leader
    const flags = ['--name', `relay-${i}`, ...FLAGS]
    started.push(await (await lab.replica(lab.path(`relay-${i}.db`), follows, { flags })).ready())
  }
  return { leader, relays: started }
}

/** A replica that follows `first`, and a copy of its files whose later process follows `second`. */
async function startTwins(lab: Lab, leader: TestNode, first: TestNode, second: TestNode) {
  const [db, clone] = [lab.path('twin.db'), lab.path('clone.db')]
  const stopped = await (await lab.replica(db, first, { flags: FLAGS })).ready()
  await waitLevel(leader, stopped)
  await stopped.stop()
  copyAll(db, clone, ['', '-walcast'])
  const original = await (await lab.restart(stopped)).ready()
  await cameFirst(original)
  // It may be found out, and end, before it is ready.
  const copy = await lab.replica(clone, second, { flags: FLAGS })
  return { original, copy }
}

/** The copy ends, the original is level and was never refused. */
async function requireOneEnds(
  lab: Lab,
  leader: TestNode,
  original: TestNode,
  copy: TestNode,
): Promise<void> {
  await requireTaken(copy)
  await requireSame(lab, leader, original)
  assert.equal(original.logged('WALCAST_NODE_ID_TAKEN').length, 0)
  const { node } = await original.status()
  const listed = await until('the leader lists the original', async () => {
    const { replicas } = await leader.status()
    return replicas.find(
      (each) => each.node === node && each.connected && each.address === original.address,
    )
  })
  assert.equal(listed.connected, true)
}

const RESTARTS = 6

// Each test mostly waits: a node takes some seconds to find two processes of one id.
describe('copies of one node are found out', { concurrency: 8 }, () => {
  labTest(
    'a copy that follows a relay ends when the replica itself follows the leader',
    async (lab) => {
      const { leader, relays } = await startCluster(lab, 1)
      const { original, copy } = await startTwins(lab, leader, leader, relays[0])
      await requireOneEnds(lab, leader, original, copy)
      const [told] = leader.logged('two processes use the id of this replica')
      assert.ok(told?.includes(copy.address) && told.includes(original.address), told)
    },
  )

  labTest(
    'a copy that follows the leader ends when the replica itself follows a relay',
    async (lab) => {
      const { leader, relays } = await startCluster(lab, 1)
      const { original, copy } = await startTwins(lab, leader, relays[0], leader)
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  labTest('a copy ends when it and the replica follow two relays', async (lab) => {
    const { leader, relays } = await startCluster(lab, 2)
    const { original, copy } = await startTwins(lab, leader, relays[0], relays[1])
    await requireOneEnds(lab, leader, original, copy)
  })

  labTest(
    'a copy ends behind two relays, of which the first knows it and the replica',
    async (lab) => {
      const { leader, relays } = await startCluster(lab, 2, true)
      const { original, copy } = await startTwins(lab, leader, relays[0], relays[1])
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  labTest(
    'a copy ends behind two relays when the replica itself follows the leader',
    async (lab) => {
      const { leader, relays } = await startCluster(lab, 2, true)
      const { original, copy } = await startTwins(lab, leader, leader, relays[1])
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  labTest('a copy of a replica that now leads ends when it follows a relay', async (lab) => {
    const { leader, relays } = await startCluster(lab, 1)
    const [db, clone] = [lab.path('leads.db'), lab.path('clone.db')]
    const stopped = await (await lab.replica(db, leader, { flags: FLAGS })).ready()
    await waitLevel(leader, stopped)
    await stopped.stop()
    copyAll(db, clone, ['', '-walcast'])
    const leads = await (await lab.restart(stopped)).ready()
    await switchover(leader, { to: leads.address })
    await waitLevel(leads, relays[0])
    const copy = await lab.replica(clone, relays[0], { flags: FLAGS })
    await requireTaken(copy)
    // The leader is told by the relay, unless the copy asks around first and ends by itself.
    const told = leads.logged('two processes use the id of this replica')
    for (const line of told)
      assert.ok(line.includes(copy.address) && line.includes(leads.address), line)
    const met = copy.child.err.filter((line) => line.includes(`it was met at ${leads.address}`))
    assert.ok(told.length + met.length > 0, copy.child.tail())
    await requireSame(lab, leads, relays[0])
  })

  labTest('a replica killed and restarted elsewhere is never taken for two', async (lab) => {
    const { leader, relays } = await startCluster(lab, 2)
    const places = [leader, relays[0], relays[1]]
    let replica = await (await lab.replica(lab.path('moved.db'), leader, { flags: FLAGS })).ready()
    for (let i = 1; i <= RESTARTS; i++) {
      await waitLevel(leader, replica)
      replica.kill('SIGKILL')
      await replica.child.ended
      replica = await (
        await lab.restart(replica, { leader: places[i % places.length].address })
      ).ready()
      assert.equal(replica.logged('WALCAST_NODE_ID_TAKEN').length, 0)
    }
    // Longer than it takes to find two processes.
    await until('it has been up for long', async () => {
      const { upMs } = JSON.parse((await replica.get('/leader')).text)
      return upMs > 15_000
    })
    assert.equal(replica.logged('WALCAST_NODE_ID_TAKEN').length, 0)
    assert.equal(leader.logged('two processes use the id').length, 0)
    await requireSame(lab, leader, replica)
  })

  labTest('a replica whose old process hangs at the leader goes on at a relay', async (lab) => {
    const { leader, relays } = await startCluster(lab, 1)
    const [db, clone] = [lab.path('frozen.db'), lab.path('next.db')]
    const frozen = await (await lab.replica(db, leader, { flags: FLAGS })).ready()
    await waitLevel(leader, frozen)
    copyAll(db, clone, ['', '-wal', '-walcast'])
    frozen.kill('SIGSTOP')
    const next = await (await lab.replica(clone, relays[0], { flags: FLAGS })).ready()
    await until('it has been up for long', async () => {
      const { upMs } = JSON.parse((await next.get('/leader')).text)
      return upMs > 15_000
    })
    assert.equal(next.logged('WALCAST_NODE_ID_TAKEN').length, 0)
    await requireSame(lab, leader, next)
    // The original is back and has run longer, so the younger process ends.
    frozen.kill('SIGCONT')
    await requireTaken(next)
    await requireSame(lab, leader, frozen)
  })
})

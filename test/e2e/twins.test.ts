/**
 * Two processes with one replica's id, of which not both follow the leader itself: one of them
 * ends, and a replica that was restarted does not.
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

/**
 * A leader and replicas of it that feed others, of which the second follows the first when
 * `isChain`.
 */
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

/**
 * A replica that follows `first`, and a copy of its files of which a later process follows
 * `second`.
 */
async function startTwins(lab: Lab, leader: TestNode, first: TestNode, second: TestNode) {
  const [db, clone] = [lab.path('twin.db'), lab.path('clone.db')]
  const stopped = await (await lab.replica(db, first, { flags: FLAGS })).ready()
  await waitLevel(leader, stopped)
  await stopped.stop()
  copyAll(db, clone, ['', '-walcast'])
  const original = await (await lab.restart(stopped)).ready()
  await cameFirst(original)
  const copy = await (await lab.replica(clone, second, { flags: FLAGS })).ready()
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

// Most of each is waiting: to find two of one id takes a node some seconds.
describe('twins', { concurrency: 8 }, () => {
  labTest(
    'a copy that follows a relay ends when the replica itself follows the leader',
    async (lab) => {
      const { leader, relays } = await startCluster(lab, 1)
      const { original, copy } = await startTwins(lab, leader, leader, relays[0])
      await requireOneEnds(lab, leader, original, copy)
      const [told] = leader.logged('two processes have the id of this replica')
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

  labTest('a copy of a replica that leads by now ends when it follows a relay', async (lab) => {
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
    const [told] = leads.logged('two processes have the id of this replica')
    assert.ok(told?.includes(copy.address) && told.includes(leads.address), told)
    await requireSame(lab, leads, relays[0])
  })

  labTest(
    'a replica that is killed and restarted elsewhere, again and again, is never taken for two',
    async (lab) => {
      const { leader, relays } = await startCluster(lab, 2)
      const places = [leader, relays[0], relays[1]]
      let replica = await (
        await lab.replica(lab.path('moved.db'), leader, { flags: FLAGS })
      ).ready()
      for (let i = 1; i <= RESTARTS; i++) {
        await waitLevel(leader, replica)
        replica.kill('SIGKILL')
        await replica.child.ended
        replica = await (
          await lab.restart(replica, { leader: places[i % places.length].address })
        ).ready()
        assert.equal(replica.logged('WALCAST_NODE_ID_TAKEN').length, 0)
      }
      // For longer than it takes to find two.
      await until('it has been up for long', async () => {
        const { upMs } = JSON.parse((await replica.get('/leader')).text)
        return upMs > 15_000
      })
      assert.equal(replica.logged('WALCAST_NODE_ID_TAKEN').length, 0)
      assert.equal(leader.logged('two processes have the id').length, 0)
      await requireSame(lab, leader, replica)
    },
  )

  labTest(
    'a replica whose former process is frozen at the leader goes on at a relay',
    async (lab) => {
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
      // It is there again, and has been up for longer: the younger process ends.
      frozen.kill('SIGCONT')
      await requireTaken(next)
      await requireSame(lab, leader, frozen)
    },
  )
})

/**
 * Two processes with the id of one replica, not both of them following the leader directly: one of
 * them ends. A restarted replica does not.
 */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { cameFirst, copyAll, requireTaken } from '../support/clones.ts'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { switchover } from '../support/leadership.ts'
import { sharedLab } from '../support/sharedLab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const FLAGS = ['--reconnect-max', '200ms']

/** Two relays follow the leader, and a third follows the first of them. */
interface Cluster {
  readonly leader: TestNode
  readonly relays: readonly [TestNode, TestNode]
  readonly below: TestNode
}

/** Files of a test: it shares the folder with the others. */
interface Files {
  readonly db: string
  readonly clone: string
}

async function startLeader(lab: Lab): Promise<TestNode> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 200 })
  return lab.leader(db, { flags: ['--name', 'top'] })
}

async function startRelay(lab: Lab, name: string, follows: TestNode): Promise<TestNode> {
  const flags = ['--name', name, ...FLAGS]
  return (await lab.replica(lab.path(`${name}.db`), follows, { flags })).ready()
}

async function startCluster(lab: Lab): Promise<Cluster> {
  const leader = await startLeader(lab)
  const relays = [
    await startRelay(lab, 'relay-0', leader),
    await startRelay(lab, 'relay-1', leader),
  ] as const
  return { leader, relays, below: await startRelay(lab, 'below', relays[0]) }
}

function filesOf(lab: Lab, name: string): Files {
  return { db: lab.path(`${name}.db`), clone: lab.path(`${name}-clone.db`) }
}

/** A replica that follows `first`, and a copy of its files whose process follows `second`. */
async function startTwins(
  lab: Lab,
  { db, clone }: Files,
  leader: TestNode,
  first: TestNode,
  second: TestNode,
) {
  const original = await (await lab.replica(db, first, { flags: FLAGS })).ready()
  await waitLevel(leader, original)
  copyAll(db, clone, ['', '-wal', '-walcast'])
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
  const clusterTest = sharedLab(startCluster)

  clusterTest(
    'a copy that follows a relay ends when the replica itself follows the leader',
    async (lab, { leader, relays }) => {
      const files = filesOf(lab, 'at-leader')
      const { original, copy } = await startTwins(lab, files, leader, leader, relays[0])
      await requireOneEnds(lab, leader, original, copy)
      const { node } = await original.status()
      const [told] = toldOf(leader, node)
      assert.ok(told?.includes(copy.address) && told.includes(original.address), told)
    },
  )

  clusterTest(
    'a copy that follows the leader ends when the replica itself follows a relay',
    async (lab, { leader, relays }) => {
      const files = filesOf(lab, 'at-relay')
      const { original, copy } = await startTwins(lab, files, leader, relays[0], leader)
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  clusterTest(
    'a copy ends when it and the replica follow two relays',
    async (lab, { leader, relays }) => {
      const files = filesOf(lab, 'at-relays')
      const { original, copy } = await startTwins(lab, files, leader, ...relays)
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  clusterTest(
    'a copy ends behind two relays, of which the first knows it and the replica',
    async (lab, { leader, relays, below }) => {
      const files = filesOf(lab, 'in-chain')
      const { original, copy } = await startTwins(lab, files, leader, relays[0], below)
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  clusterTest(
    'a copy ends behind two relays when the replica itself follows the leader',
    async (lab, { leader, below }) => {
      const files = filesOf(lab, 'far')
      const { original, copy } = await startTwins(lab, files, leader, leader, below)
      await requireOneEnds(lab, leader, original, copy)
    },
  )

  labTest('a copy of a replica that now leads ends when it follows a relay', async (lab) => {
    const leader = await startLeader(lab)
    const relay = await startRelay(lab, 'relay-0', leader)
    const { db, clone } = filesOf(lab, 'leads')
    const leads = await (await lab.replica(db, leader, { flags: FLAGS })).ready()
    await waitLevel(leader, leads)
    copyAll(db, clone, ['', '-wal', '-walcast'])
    await switchover(leader, { to: leads.address })
    await waitLevel(leads, relay)
    const copy = await lab.replica(clone, relay, { flags: FLAGS })
    await requireTaken(copy)
    // The leader is told by the relay, unless the copy asks around first and ends by itself.
    const told = leads.logged('two processes use the id of this replica')
    for (const line of told)
      assert.ok(line.includes(copy.address) && line.includes(leads.address), line)
    const met = copy.child.err.filter((line) => line.includes(`it was met at ${leads.address}`))
    assert.ok(told.length + met.length > 0, copy.child.tail())
    await requireSame(lab, leads, relay)
  })

  clusterTest(
    'a replica killed and restarted elsewhere is never taken for two',
    async (lab, { leader, relays }) => {
      const places = [leader, ...relays]
      const { db } = filesOf(lab, 'moved')
      let replica = await (await lab.replica(db, leader, { flags: FLAGS })).ready()
      for (let i = 1; i <= RESTARTS; i++) {
        await waitLevel(leader, replica)
        replica.kill('SIGKILL')
        await replica.child.ended
        replica = await (
          await lab.restart(replica, { leader: places[i % places.length].address })
        ).ready()
        assert.equal(replica.logged('WALCAST_NODE_ID_TAKEN').length, 0)
      }
      await upForLong(replica)
      assert.equal(replica.logged('WALCAST_NODE_ID_TAKEN').length, 0)
      assert.deepEqual(toldOf(leader, (await replica.status()).node), [])
      await requireSame(lab, leader, replica)
    },
  )

  labTest('a replica whose old process hangs at the leader goes on at a relay', async (lab) => {
    const leader = await startLeader(lab)
    const relay = await startRelay(lab, 'relay-0', leader)
    const { db, clone } = filesOf(lab, 'frozen')
    const frozen = await (await lab.replica(db, leader, { flags: FLAGS })).ready()
    await waitLevel(leader, frozen)
    copyAll(db, clone, ['', '-wal', '-walcast'])
    frozen.kill('SIGSTOP')
    const next = await (await lab.replica(clone, relay, { flags: FLAGS })).ready()
    await upForLong(next)
    assert.equal(next.logged('WALCAST_NODE_ID_TAKEN').length, 0)
    await requireSame(lab, leader, next)
    // The original is back and has run longer, so the younger process ends.
    frozen.kill('SIGCONT')
    await requireTaken(next)
    await requireSame(lab, leader, frozen)
  })
})

/** Longer than it takes to find two processes. */
function upForLong(node: TestNode): Promise<boolean> {
  return until('it has been up for long', async () => {
    const { upMs } = JSON.parse((await node.get('/leader')).text)
    return upMs > 15_000
  })
}

/** What the leader says of two processes with this id. */
function toldOf(leader: TestNode, id: string): string[] {
  return leader
    .logged('two processes use the id of this replica')
    .filter((line) => line.includes(id))
}

/**
 * Replicas that feed replicas: what the last one holds, what the leader knows of it, and each way
 * in which the relay can fail.
 */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { fakeNode } from '../support/fakeNode.ts'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { RawClient } from '../support/rawClient.ts'
import { sharedLab } from '../support/sharedLab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers, Writer } from '../support/workload.ts'

/** Less than the time after which a leader gives up a replica that it no longer hears of. */
const UNTOLD_MS = 8000

interface Chain {
  readonly leader: TestNode
  readonly relay: TestNode
  readonly leaf: TestNode
}

async function startChain(
  lab: Lab,
  flags: readonly string[] = [],
  ofLeader: readonly string[] = [],
): Promise<Chain> {
  const following = [...flags, '--reconnect-max', '100ms']
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 200 })
  const leader = await lab.leader(db, { flags: ['--name', 'top', ...flags, ...ofLeader] })
  const relay = await lab.replica(lab.path('relay.db'), leader, {
    flags: ['--name', 'relay', ...following],
  })
  const leaf = await lab.replica(lab.path('leaf.db'), relay, {
    flags: ['--name', 'leaf', ...following],
  })
  await leaf.ready()
  return { leader, relay, leaf }
}

describe('a leader, a relay and a leaf', () => {
  const chainTest = sharedLab((lab) => startChain(lab))

  chainTest(
    'a leaf follows its leader through two replicas, and the leader lists them all',
    async (lab, { leader, relay, leaf }) => {
      const last = await (
        await lab.replica(lab.path('last.db'), leaf, { flags: ['--name', 'last'] })
      ).ready()
      const writer = new Writer(lab, 'node', { path: leader.db, name: 'w', seed: 71 })
      await writer.advance(300)
      await writer.stop()
      for (const node of [relay, leaf, last]) await requireSame(lab, leader, node)
      const listed = await until('the leader lists all three', async () => {
        const { replicas } = await leader.status()
        const level = replicas.filter((each) => each.connected && each.txid === replicas[0].txid)
        return level.length === 3 ? replicas : undefined
      })
      const via = Object.fromEntries(listed.map((each) => [each.node, each.via]))
      assert.deepEqual(via, { relay: undefined, leaf: 'relay', last: 'leaf' })
      assert.equal(listed.find(({ node }) => node === 'last')?.address, last.address)
      const status = await last.status()
      assert.deepEqual([status.leader, status.follows], ['top', 'leaf'])
      assert.equal((await relay.status()).replicas.length, 2)
      const isConnected = async () =>
        (await leader.status()).replicas.find(({ node }) => node === 'last')?.connected
      let again = last
      await until('the leader hears soon that one has gone', async () => {
        await again.stop()
        const goneMs = performance.now()
        await until('the leader knows', async () => (await isConnected()) === false)
        if (performance.now() - goneMs < UNTOLD_MS) return true
        // A busy machine may be late once.
        again = await lab.restart(last)
        await until('it is back', isConnected)
        return false
      })
    },
  )

  chainTest(
    'a leaf that was away catches up from the history of its replica',
    async (lab, { leader, relay, leaf }) => {
      const writing = lab.modernSql(leader.db)
      await leaf.stop()
      for (let i = 0; i < 50; i++)
        await writing.rows(
          numbers(20, 'INSERT INTO log (who, body) SELECT n, randomblob(200) FROM numbers'),
        )
      await waitLevel(leader, relay)
      const back = await lab.restart(leaf)
      await requireSame(lab, leader, back)
      assert.equal(await back.metric('walcast_syncs_total'), 0, 'no pages were compared')
      assert.ok((await back.metric('walcast_apply_batches_total')) < 25, 'many commits came as few')
      Object.assign(leaf, back)
    },
  )

  chainTest(
    'a leaf knows its leader even if its relay started without it',
    async (lab, { leader, relay, leaf }) => {
      await leader.stop()
      await relay.stop()
      const back = await lab.restart(relay)
      await lab.restart(leader)
      await until('the leaf knows its leader', async () => {
        const { leader: source, state } = await leaf.status()
        return source === 'top' && state === 'streaming'
      })
      await requireSame(lab, leader, back)
      await requireSame(lab, leader, leaf)
    },
  )
})

labTest('a leaf survives the death, return and resync of its replica', async (lab) => {
  const { leader, relay, leaf } = await startChain(lab, ['--history', '64KiB'])
  const writer = new Writer(lab, 'python', { path: leader.db, name: 'w', seed: 72, pauseMs: 1 })
  for (let i = 0; i < 2; i++) {
    await writer.advance(50)
    relay.kill('SIGKILL')
    await relay.child.ended
    await writer.advance(50)
    const back = await lab.restart(relay)
    await back.ready()
    Object.assign(relay, back)
  }
  await writer.stop()
  await requireSame(lab, leader, relay)
  await requireSame(lab, leader, leaf)
})

labTest('a huge transaction passes a relay; a cut one leaves nothing behind', async (lab) => {
  const { leader, relay, leaf } = await startChain(lab, [], ['--batch', '64KiB'])
  const writing = lab.modernSql(leader.db)
  const fill = numbers(
    6000,
    'INSERT INTO mixed (grp, body) SELECT n, randomblob(3000) FROM numbers',
  )
  await writing.rows(fill)
  await requireSame(lab, leader, leaf)
  const under = writing.rows('UPDATE mixed SET body = randomblob(3000)')
  await until('it is half-way', () => relay.walBytes > 4 * 1024 * 1024)
  relay.kill('SIGKILL')
  await relay.child.ended
  await under
  const back = await lab.restart(relay)
  await requireSame(lab, leader, back)
  await requireSame(lab, leader, leaf)
  await writing.rows('VACUUM')
  await requireSame(lab, leader, leaf)
})

labTest('lag and staleness of a leaf are measured from the leader', async (lab) => {
  const { leader, relay, leaf } = await startChain(lab, ['--heartbeat', '100ms'])
  await until('level', async () => (await leaf.lag()).lagMs === 0)
  leader.kill('SIGSTOP')
  await until('the lag grows', async () => (await leaf.lag()).lagMs > 1000)
  const { connected } = await leaf.lag()
  assert.equal(connected, true, 'it is connected to what it follows all along')
  leader.kill('SIGCONT')
  await until('level again', async () => (await leaf.lag()).lagMs === 0)
  relay.kill('SIGSTOP')
  await until('the lag grows', async () => (await leaf.lag()).lagMs > 1000)
  relay.kill('SIGCONT')
  await until('level again', async () => (await leaf.lag()).lagMs === 0)
})

labTest('a replica does not go back to follow one that is behind it', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const following = { flags: ['--reconnect-max', '100ms'] }
  const relay = await (await lab.replica(lab.path('relay.db'), proxy.address, following)).ready()
  const direct = await (await lab.replica(lab.path('direct.db'), leader, following)).ready()
  await waitLevel(leader, relay)
  // From now on the relay hears nothing.
  proxy.tamper = () => undefined
  proxy.cutAll()
  await lab.exec(db, "INSERT INTO log (who) VALUES ('ahead')")
  const ahead = await waitLevel(leader, direct)
  await direct.stop()
  const held = await lab.replica(direct.db, relay, following)
  await until('it is told to wait', async () => {
    const { lastError } = await held.status()
    return lastError?.code === 'WALCAST_SOURCE_BEHIND'
  })
  const { epoch, txid, checksum } = await held.status()
  assert.equal(`${epoch}-${txid} ${checksum}`, ahead)
  proxy.tamper = (bytes) => bytes
  await requireSame(lab, leader, held)
})

labTest('a relay that hears of a higher epoch from a leaf leaves its old leader', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const { cluster, txid } = await leader.status()
  let role = 'replica'
  const later = await fakeNode({ after: (end) => lab.atEnd(end) }, () => {
    const about = { node: 'later', cluster, role, ready: true, epoch: 2, term: 2, txid }
    return { body: { ...about, address: later.address, timeMs: Date.now() } }
  })
  const relay = await lab.replica(lab.path('relay.db'), leader, {
    flags: ['--peers', later.address],
  })
  await relay.ready()
  role = 'leader'
  const leaf = await RawClient.open(relay)
  leaf.hello({ cluster, epoch: 2, highestEpoch: 2, term: 2, node: 'leaf' })
  await leaf.closed
  const last = leaf.messages.at(-1)
  assert.ok(last?.type === 'error' && last.body.code === 'STALE_LEADER')
  await until('it follows the later one', async () => {
    const { address } = JSON.parse((await relay.get('/leader')).text)
    return address === later.address
  })
})

/** An acknowledged write is always on a node that the lock service has a candidate ask for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyOf } from '../../../src/errors.ts'
import type { ReplicaStatus } from '../../../src/feed/replicaStatus.ts'
import { CountedReplicas } from '../../../src/roles/election/countedReplicas.ts'
import {
  type CallFate,
  LEASE_TTL_MS,
  newLeaseNode,
  OPEN_SEAL,
  underClock,
} from '../../support/leaseNode.ts'
import { MemoryElection } from '../../support/memoryLease.ts'

const EPOCH = 1
const IDS = ['node-b', 'node-c', 'node-d']

interface Replica {
  readonly node: string
  connected: boolean
  txid: number
  /** That of the leader, unless given. */
  epoch?: number
}

function leaderWith(replicas: readonly Replica[]) {
  const election = new MemoryElection()
  const leader = newLeaseNode(election, 'node-a')
  leader.position = { epoch: EPOCH, txid: 0 }
  const counted = new CountedReplicas({
    holder: leader.holder,
    ttlMs: LEASE_TTL_MS,
    // No more of a replica's status matters here.
    replicas: () => replicas.map((each) => ({ epoch: EPOCH, ...each }) as unknown as ReplicaStatus),
    position: () => leader.position,
  })
  const term = () => (election.value === undefined ? undefined : OPEN_SEAL.termIn(election.value))
  return { leader, counted, term }
}

test('a replica counts once the service says so, and leaves after two TTLs with what it held', () =>
  underClock(async ({ run }) => {
    const b = { node: 'node-b', connected: true, txid: 5 }
    const { leader, counted, term } = leaderWith([b])
    await leader.holder.take({ atLeast: 1, asBefore: true, isCertain: true })
    assert.equal(counted.counts('node-b'), false)
    await counted.keep()
    assert.equal(counted.counts('node-b'), true)
    b.connected = false
    for (let i = 0; i < 6; i++) {
      await run(0.5 * LEASE_TTL_MS)
      await leader.holder.renew()
      await counted.keep()
    }
    assert.equal(counted.counts('node-b'), false)
    assert.deepEqual(term()?.counted, [])
    assert.deepEqual(term()?.floor, { epoch: EPOCH, txid: 5 })
  }))

test('a replica counts only once it stands in the epoch of the leader', () =>
  underClock(async () => {
    const b = { node: 'node-b', connected: true, txid: 5, epoch: EPOCH - 1 }
    const { leader, counted, term } = leaderWith([b])
    await leader.holder.take({ atLeast: 1, asBefore: true, isCertain: true })
    await counted.keep()
    assert.deepEqual(term()?.counted, [])
    b.epoch = EPOCH
    await counted.keep()
    assert.deepEqual(term()?.counted, ['node-b'])
  }))

test('one that comes back while it leaves counts again, though an answer was lost', () =>
  underClock(async ({ run }) => {
    const b = { node: 'node-b', connected: true, txid: 5 }
    const { leader, counted, term } = leaderWith([b])
    await leader.holder.take({ atLeast: 1, asBefore: true, isCertain: true })
    await counted.keep()
    b.connected = false
    for (let i = 0; i < 4; i++) {
      await run(0.5 * LEASE_TTL_MS)
      await leader.holder.renew()
      await counted.keep()
    }
    await run(0.5 * LEASE_TTL_MS)
    await leader.holder.renew()
    leader.fates.push('unanswered')
    await assert.rejects(counted.keep(), { key: 'ELECTION_AWAY' })
    assert.deepEqual(term()?.counted, [])
    b.connected = true
    assert.equal(counted.counts('node-b'), false, 'the service does not say so')
    await counted.keep()
    assert.equal(counted.counts('node-b'), true)
    assert.deepEqual(term()?.counted, ['node-b'])
  }))

test('one that comes back after two lost calls does not count before the service says so', () =>
  underClock(async ({ run }) => {
    const b = { node: 'node-b', connected: true, txid: 5 }
    const { leader, counted, term } = leaderWith([b])
    await leader.holder.take({ atLeast: 1, asBefore: true, isCertain: true })
    await counted.keep()
    b.connected = false
    for (let i = 0; i < 4; i++) {
      await run(0.5 * LEASE_TTL_MS)
      await leader.holder.renew()
      await counted.keep()
    }
    await run(0.5 * LEASE_TTL_MS)
    await leader.holder.renew()
    leader.fates.push('unanswered')
    await assert.rejects(counted.keep(), { key: 'ELECTION_AWAY' })
    b.connected = true
    leader.fates.push('unheard')
    await assert.rejects(counted.keep(), { key: 'ELECTION_AWAY' })
    assert.deepEqual(term()?.counted, [])
    assert.equal(counted.counts('node-b'), false)
    await counted.keep()
    assert.deepEqual(term()?.counted, ['node-b'])
    assert.equal(counted.counts('node-b'), true)
  }))

const acts = fc.record({
  who: fc.nat(IDS.length - 1),
  does: fc.constantFrom('connect', 'leave', 'confirm', 'confirm', 'keep', 'keep', 'write'),
  ms: fc.nat(900),
  fate: fc.constantFrom<CallFate>('well', 'well', 'unheard', 'unanswered'),
})

test('whatever comes and is lost, a candidate has to hear what was acknowledged', async () => {
  const property = fc.asyncProperty(fc.array(acts, { maxLength: 60 }), (all) =>
    underClock(async ({ run }) => {
      const replicas = IDS.map((node): Replica => ({ node, connected: false, txid: 0 }))
      const { leader, counted, term } = leaderWith(replicas)
      await leader.holder.take({ atLeast: 1, asBefore: true, isCertain: true })
      let acknowledged = 0
      for (const { who, does, ms, fate } of all) {
        const replica = replicas[who]
        if (does === 'connect') replica.connected = true
        if (does === 'leave') replica.connected = false
        if (does === 'write') leader.position = { epoch: EPOCH, txid: leader.position.txid + 1 }
        if (does === 'confirm' && replica.connected) {
          replica.txid = leader.position.txid
          if (counted.counts(replica.node)) acknowledged = replica.txid
        }
        if (does === 'keep') {
          leader.fates.splice(0, leader.fates.length, fate)
          await counted.keep().catch((error) => assert.equal(keyOf(error), 'ELECTION_AWAY'))
          leader.fates.length = 0
        }
        await run(ms)
        // Its lease is no matter here.
        if (!(await leader.holder.renew()))
          await leader.holder.take({ atLeast: 1, asBefore: true, isCertain: true })
        const { counted: ids = [], floor = { txid: 0 } } = term() ?? {}
        for (const { node } of replicas)
          if (counted.counts(node)) assert.ok(ids.includes(node), `nobody is asked for ${node}`)
        const held = replicas.filter(({ node }) => ids.includes(node)).map(({ txid }) => txid)
        assert.ok(
          Math.max(floor.txid, ...held) >= acknowledged,
          `${acknowledged} is not looked for`,
        )
      }
    }),
  )
  await fc.assert(property, { numRuns: 300 })
})

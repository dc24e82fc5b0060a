/** The lease as a node holds it, over a lock service of which calls and answers are lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyOf } from '../../../src/errors.ts'
import { monotonicMs } from '../../../src/platform/time.ts'
import {
  type CallFate,
  LEASE_TTL_MS,
  type LeaseNode,
  newLeaseNode,
  OPEN_SEAL,
  underClock,
} from '../../support/leaseNode.ts'
import { MemoryElection } from '../../support/memoryLease.ts'

const AS_CANDIDATE = { atLeast: 2, asBefore: false }
const AS_BEFORE = { atLeast: 1, asBefore: true }

function isValid({ validity }: LeaseNode): boolean {
  return monotonicMs() < validity.untilMs
}

function termOf(election: MemoryElection) {
  const { value } = election
  return value === undefined ? undefined : OPEN_SEAL.termIn(value)
}

test('a leader goes on in its epoch, and a candidate begins the next one', () =>
  underClock(async ({ run }) => {
    const election = new MemoryElection()
    const [a, b] = ['node-a', 'node-b'].map((id) => newLeaseNode(election, id))
    assert.equal(await a.holder.take(AS_BEFORE), 1)
    assert.equal(await a.holder.take(AS_BEFORE), 1)
    await assert.rejects(b.holder.take(AS_CANDIDATE), { key: 'LEASE_HELD' })
    await run(LEASE_TTL_MS / 2)
    assert.equal(await a.holder.renew(), true)
    await run(0.9 * LEASE_TTL_MS)
    assert.ok(isValid(a))
    await run(0.2 * LEASE_TTL_MS)
    assert.ok(!isValid(a))
    assert.equal(await b.holder.take(AS_CANDIDATE), 2)
    assert.equal(await a.holder.renew(), false)
    await b.holder.release()
    await assert.rejects(a.holder.take(AS_BEFORE), { key: 'HIGHER_EPOCH' })
    assert.equal(await a.holder.take({ atLeast: 9, asBefore: false }), 9)
  }))

test('an epoch is in the service before it is used, and not without the lease', () =>
  underClock(async ({ run }) => {
    const election = new MemoryElection()
    const a = newLeaseNode(election, 'node-a')
    await a.holder.take(AS_BEFORE)
    await a.holder.requireEpoch(4)
    assert.equal(termOf(election)?.epoch, 4)
    a.fates.push('unheard')
    await assert.rejects(a.holder.requireEpoch(5), { key: 'ELECTION_AWAY' })
    await run(LEASE_TTL_MS)
    await assert.rejects(a.holder.requireEpoch(4), { key: 'LEASE_LOST' })
  }))

test('the list of counted nodes outlives a lease that the same node takes again', () =>
  underClock(async ({ run }) => {
    const election = new MemoryElection()
    const a = newLeaseNode(election, 'node-a')
    await a.holder.take(AS_BEFORE)
    await a.holder.count(['node-b'], { epoch: 1, txid: 7 })
    await run(2 * LEASE_TTL_MS)
    assert.equal(await a.holder.renew(), false)
    await a.holder.take(AS_BEFORE)
    assert.deepEqual(a.holder.term?.counted, ['node-b'])
    assert.deepEqual(termOf(election)?.floor, { epoch: 1, txid: 7 })
  }))

test('the one that it is handed to is named, and what is let go counts no more', () =>
  underClock(async () => {
    const election = new MemoryElection()
    const [a, b] = ['node-a', 'node-b'].map((id) => newLeaseNode(election, id))
    await a.holder.take(AS_BEFORE)
    a.fates.push('unanswered')
    await assert.rejects(a.holder.handTo('node-b'), { key: 'ELECTION_AWAY' })
    assert.ok(!isValid(a), 'whether it was handed over is not known')
    assert.equal(termOf(election)?.heir, 'node-b')
    assert.equal(await b.holder.take(AS_CANDIDATE), 2)
    assert.equal(termOf(election)?.heir, '')
  }))

test('what a node has agreed to it does not take, unless it was handed to it since', () =>
  underClock(async ({ run }) => {
    const election = new MemoryElection()
    const [a, b] = ['node-a', 'node-b'].map((id) => newLeaseNode(election, id))
    await a.holder.take(AS_BEFORE)
    await run(LEASE_TTL_MS)
    b.agreedUntilMs = monotonicMs() + LEASE_TTL_MS
    await assert.rejects(b.holder.take(AS_CANDIDATE), { key: 'LEASE_HELD' })
    await run(1)
    await a.holder.renew()
    await a.holder.take(AS_BEFORE)
    await a.holder.handTo('node-b')
    assert.equal(await b.holder.take(AS_CANDIDATE), 2)
  }))

test('it may hold the lease from the call on, and after a lost answer for a TTL', () =>
  underClock(async ({ run }) => {
    const a = newLeaseNode(new MemoryElection(), 'node-a')
    assert.equal(a.holder.mayHold, false)
    a.fates.push('well', 'unanswered')
    const taken = a.holder.take(AS_CANDIDATE)
    assert.equal(a.holder.mayHold, true)
    await assert.rejects(taken, { key: 'ELECTION_AWAY' })
    assert.ok(!isValid(a), 'it leads by no lease of which it does not know')
    await run(LEASE_TTL_MS - 1)
    assert.equal(a.holder.mayHold, true)
    await run(2)
    assert.equal(a.holder.mayHold, false)
  }))

const fates = fc.array(fc.constantFrom<CallFate>('well', 'well', 'unheard', 'unanswered'), {
  maxLength: 3,
})
const acts = fc.record({
  who: fc.nat(2),
  does: fc.constantFrom('take', 'again', 'renew', 'hand', 'release', 'raise', 'wait'),
  ms: fc.nat(700),
  fates,
})

/** Whatever does not go well throws one of these. */
const EXPECTED = new Set(['ELECTION_AWAY', 'LEASE_HELD', 'LEASE_LOST', 'HIGHER_EPOCH'])

test('never do two nodes hold a valid lease, and no epoch is that of two nodes', async () => {
  const property = fc.asyncProperty(fc.array(acts, { maxLength: 40 }), (all) =>
    underClock(async ({ run }) => {
      const election = new MemoryElection()
      const nodes = ['node-a', 'node-b', 'node-c'].map((id) => newLeaseNode(election, id))
      const led = new Map<number, string>()
      let highest = 0
      for (const { who, does, ms, fates: next } of all) {
        const node = nodes[who]
        node.fates.splice(0, node.fates.length, ...next)
        try {
          if (does === 'take') node.epoch = await node.holder.take(AS_CANDIDATE)
          if (does === 'again') node.epoch = await node.holder.take(AS_BEFORE)
          if (does === 'renew') await node.holder.renew()
          if (does === 'hand') await node.holder.handTo(nodes[(who + 1) % 3].id)
          if (does === 'release') await node.holder.release()
          if (does === 'raise') {
            await node.holder.requireEpoch(node.epoch + 1)
            node.epoch++
          }
        } catch (error) {
          assert.ok(EXPECTED.has(keyOf(error) ?? ''), String(error))
        }
        await run(ms)
        const valid = nodes.filter(isValid)
        assert.ok(valid.length <= 1, `${valid.map(({ id }) => id)} hold the lease`)
        for (const { id, holder } of valid) {
          const epoch = holder.term?.epoch ?? 0
          // All begin in epoch 1, of which nobody knows who led.
          if (epoch > 1) assert.equal(led.get(epoch) ?? id, id, `epoch ${epoch} is that of two`)
          led.set(epoch, id)
          assert.ok(epoch >= highest, `epoch ${epoch} after ${highest}`)
          highest = epoch
        }
      }
    }),
  )
  await fc.assert(property, { numRuns: 300 })
})

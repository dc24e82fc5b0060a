/** The failsafe: a leader goes on without the lock service if every member agrees. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgreementAsked, AgreementGiven } from '../../../src/api/roleActions.ts'
import { monotonicMs } from '../../../src/platform/time.ts'
import { Agreement } from '../../../src/roles/election/agreement.ts'
import { LeaseValidity } from '../../../src/roles/election/leaseValidity.ts'
import { LEASE_TTL_MS, newLeaseNode, underClock } from '../../support/leaseNode.ts'
import { MemoryElection } from '../../support/memoryLease.ts'

const ASKED: AgreementAsked = { node: 'node-l', epoch: 3, forMs: LEASE_TTL_MS }

interface Given {
  role?: string
  epoch?: number
  leader?: string
  mayHold?: () => boolean
  members?: readonly string[]
  ask?: (address: string, asked: AgreementAsked) => Promise<AgreementGiven>
}

function agreementOf(given: Given) {
  const validity = new LeaseValidity(LEASE_TTL_MS)
  const { members = [], role = 'replica', epoch = 3, leader = 'node-l' } = given
  const record = { node: 'node-m', epoch, role }
  const agreement = new Agreement({
    validity,
    ttlMs: LEASE_TTL_MS,
    members: () => members.map((node) => ({ node, address: `${node}:1` })),
    record: () => record,
    mayHold: given.mayHold ?? (() => false),
    leader: () => leader,
    ask: given.ask ?? (async () => assert.fail('nobody is asked')),
  })
  return { agreement, validity, record }
}

test('a follower agrees for as long as it is asked, from when it says so', () =>
  underClock(async ({ run }) => {
    const { agreement } = agreementOf({})
    await run(50)
    assert.deepEqual(agreement.answer(ASKED), { node: 'node-m', agrees: true, why: '' })
    assert.equal(agreement.agreedUntilMs, 50 + LEASE_TTL_MS)
    agreement.answer({ ...ASKED, forMs: 1 })
    assert.equal(agreement.agreedUntilMs, 50 + LEASE_TTL_MS, 'it is never shorter')
  }))

for (const [why, given, asked] of [
  ['leads', { role: 'leader' }, {}],
  ['knows of a later epoch', { epoch: 4 }, {}],
  ['follows another node', { leader: 'node-x' }, {}],
  ['may hold the lease', { mayHold: () => true }, {}],
  ['is asked for longer than its own TTL', {}, { forMs: LEASE_TTL_MS + 1 }],
] as const)
  test(`a node that ${why} does not agree, and may campaign at once`, () => {
    const { agreement } = agreementOf(given)
    const { agrees, why: said } = agreement.answer({ ...ASKED, ...asked })
    assert.equal(agrees, false)
    assert.notEqual(said, '')
    assert.ok(agreement.agreedUntilMs < monotonicMs())
  })

test('a node does not agree while its own call for the lease is under way', () =>
  underClock(async () => {
    const node = newLeaseNode(new MemoryElection(), 'node-m')
    const { agreement } = agreementOf({ mayHold: () => node.holder.mayHold })
    const taken = node.holder.take({ atLeast: 4, asBefore: false })
    assert.equal(agreement.answer(ASKED).agrees, false)
    await taken
    assert.equal(agreement.answer(ASKED).agrees, false)
  }))

test('the leader goes on only with the agreement of every member, from when it asked', () =>
  underClock(async ({ run }) => {
    let answers: Record<string, AgreementGiven | Error> = {}
    const ask = async (address: string) => {
      await run(30)
      const answer = answers[address]
      if (answer instanceof Error) throw answer
      return answer
    }
    const members = ['node-b', 'node-c']
    const { agreement, validity } = agreementOf({ role: 'leader', members, ask })
    const yes = (node: string) => ({ node, agrees: true, why: '' })
    const no = { node: 'node-c', agrees: false, why: 'it leads itself' }
    for (const other of [no, new Error('no answer'), yes('node-d')]) {
      answers = { 'node-b:1': yes('node-b'), 'node-c:1': other }
      assert.equal(await agreement.renew(100), false)
      assert.match(agreement.why, /^node-c: (it leads itself|no answer|it is not there)$/)
      assert.equal(validity.untilMs, Number.NEGATIVE_INFINITY)
    }
    answers = { 'node-b:1': yes('node-b'), 'node-c:1': yes('node-c') }
    const sentMs = monotonicMs()
    assert.equal(await agreement.renew(100), true)
    assert.equal(agreement.why, '')
    assert.equal(validity.untilMs, sentMs + 0.95 * LEASE_TTL_MS)
  }))

test('what it has become while it asked decides', () =>
  underClock(async () => {
    const change = [{ role: 'replica' }, { epoch: 4 }]
    for (const becomes of change) {
      const parts = agreementOf({
        role: 'leader',
        members: ['node-b'],
        ask: async () => {
          Object.assign(parts.record, becomes)
          return { node: 'node-b', agrees: true, why: '' }
        },
      })
      assert.equal(await parts.agreement.renew(100), false)
      assert.equal(parts.validity.untilMs, Number.NEGATIVE_INFINITY)
    }
  }))

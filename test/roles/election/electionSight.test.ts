/** What a node sees in a lock service into which others write, too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ElectionSight } from '../../../src/roles/election/electionSight.ts'
import { OPEN_SEAL } from '../../support/leaseNode.ts'
import { MemoryElection, MemoryLease } from '../../support/memoryLease.ts'

const TERM = {
  ...{ epoch: 3, node: 'node-a', address: 'a:1', isAcknowledged: true, heir: '' },
  ...{ counted: ['node-b'], floor: { epoch: 3, txid: 9 }, serial: 7 },
}

function setUp() {
  const election = new MemoryElection()
  const setup = { node: 'node-b', prefix: 'a', ttlMs: 1000, timeoutMs: 200 }
  const service = new MemoryLease(election, setup)
  const isBelieved = (epoch: number) => epoch < 1000
  const sight = new ElectionSight(service, OPEN_SEAL, () => {}, isBelieved)
  const put = (value: string) => {
    const id = election.take(String(election.revision), value, 1000)
    election.release(id ?? '')
  }
  return { sight, put, putTerm: (term: object) => put(OPEN_SEAL.sealTerm({ ...TERM, ...term })) }
}

test('a term that is older than one that was seen is none', async () => {
  const { sight, putTerm } = setUp()
  putTerm({})
  assert.equal((await sight.look()).term?.serial, 7)
  putTerm({ serial: 6, counted: [] })
  const { term, isForeign } = await sight.look()
  assert.deepEqual([term, isForeign], [undefined, true])
  putTerm({ epoch: 2, serial: 99 })
  assert.equal((await sight.look()).term, undefined)
  putTerm({ epoch: 4, serial: 1 })
  assert.equal((await sight.look()).term?.epoch, 4)
})

test('what others wrote, and epochs beyond belief, are no terms', async () => {
  const { sight, put, putTerm } = setUp()
  const { term, isForeign } = await sight.look()
  assert.deepEqual([term, isForeign], [undefined, false])
  for (const value of ['', 'open', 'open {}', '{"epoch":3}', 'x'.repeat(9000)]) {
    put(value)
    const seen = await sight.look()
    assert.deepEqual([seen.term, seen.isForeign], [undefined, true], value.slice(0, 20))
  }
  putTerm({ epoch: 1001 })
  assert.equal((await sight.look()).isForeign, true)
})

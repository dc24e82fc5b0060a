import { test } from 'node:test'
import { leaseContract } from '../../support/leaseContract.ts'
import { MemoryElection, MemoryLease } from '../../support/memoryLease.ts'

test('the lock service of tests keeps what every lock service promises', async (t) => {
  const locks = new Map<string, MemoryElection>()
  await leaseContract(t, {
    open: (node, prefix) => {
      const election = locks.get(prefix) ?? new MemoryElection()
      locks.set(prefix, election)
      return new MemoryLease(election, { node, prefix, ttlMs: 300, timeoutMs: 1000 })
    },
  })
})

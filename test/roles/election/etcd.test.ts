import { test } from 'node:test'
import { EtcdLease } from '../../../src/roles/election/etcd/etcdLease.ts'
import { startEtcd } from '../../support/etcd.ts'
import { leaseContract } from '../../support/leaseContract.ts'

const TTL_MS = 1_000
const TIMEOUT_MS = 2_000

test('etcd keeps what every lock service promises', async (t) => {
  const etcd = await startEtcd(t)
  const { endpoints } = etcd
  await leaseContract(t, {
    open: (node, prefix) =>
      new EtcdLease({ node, prefix, endpoints, ttlMs: TTL_MS, timeoutMs: TIMEOUT_MS }),
  })
})

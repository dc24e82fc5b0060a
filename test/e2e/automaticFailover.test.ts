/**
 * Nodes that fail over by themselves, with a lease in etcd: whatever becomes of the leader, another
 * one leads soon, no two let in writes at once, and nothing that was acknowledged is lost.
 */
import assert from 'node:assert/strict'
import type { ElectionReport } from '../../src/api/electionReport.ts'
import { startBank } from '../support/bankCluster.ts'
import type { BankSite } from '../support/bankSite.ts'
import { writesOfPastEpochs } from '../support/epochOrder.ts'
import { type FailoverCluster, startFailover, TTL_MS } from '../support/failoverCluster.ts'
import type { Exchange } from '../support/history.ts'
import { faultsIn } from '../support/historyCheck.ts'
import { campaignTest, labTest } from '../support/lab.ts'
import { s3Server, TEST_ENVIRONMENT } from '../support/s3Server.ts'
import { until } from '../support/until.ts'

const ACK_ONE = { 'walcast-ack': 'one' }

/** What is promised when a leader that had unconfirmed writes is replaced. */
async function requireKept(
  { bank }: FailoverCluster,
  leader: BankSite,
  record: readonly Exchange[],
): Promise<void> {
  const report = await bank.judge(record, leader, 'unreplicated')
  assert.deepEqual(faultsIn(report), [])
  assert.ok(report.lasting > 0, 'something had to be there')
  assert.deepEqual(writesOfPastEpochs(record), [])
  await bank.requireSame(leader)
}

/** What an operator is told by that node. */
async function toldBy({ node }: BankSite) {
  const status = (await node.status()) as {
    readonly election?: ElectionReport
    readonly causes: readonly { readonly code: string }[]
  }
  return { election: status.election, causes: status.causes.map(({ code }) => code) }
}

labTest('killed leader: another one leads by itself, and it returns as a replica', async (lab) => {
  const cluster = await startFailover(lab)
  const [first] = cluster.sites
  const client = cluster.bank.client({ writeHeaders: ACK_ONE })
  await client.writesEverywhere()
  await first.node.stop('SIGKILL')
  const second = await cluster.ledByOther(first)
  await client.advance(100)
  await first.restart()
  await first.waitRole('replica')
  assert.equal(await cluster.bank.settled(), second)
  await client.writesEverywhere()
  const { action, by, detail = '' } = (await second.audit()).at(-1) ?? {}
  assert.deepEqual([action, by], ['role', 'automatic failover'])
  assert.match(detail, /the lease of node1 ended/)
  await requireKept(cluster, second, await client.stop())
})

labTest('a planned switchover hands the lease over', async (lab) => {
  const cluster = await startFailover(lab, { nodes: 2 })
  const [first, second] = cluster.sites
  const client = cluster.bank.client()
  await client.writesEverywhere()
  const { pauseMs } = await first.switchover(second)
  assert.ok(pauseMs < TTL_MS, `it took ${pauseMs} ms`)
  assert.equal(await cluster.bank.settled(), second)
  // A stop gives the lease back: nobody waits for its end.
  await client.writesEverywhere()
  await second.node.stop('SIGTERM')
  await first.waitRole('leader')
  await client.advance(20)
  await second.restart()
  assert.equal(await cluster.bank.settled(), first)
  const record = await client.stop()
  assert.deepEqual(writesOfPastEpochs(record), [])
  assert.deepEqual(faultsIn(await cluster.bank.judge(record, first)), [])
})

labTest('cut off from etcd a leader goes on as long as all members agree', async (lab) => {
  const cluster = await startFailover(lab)
  const [first, second, third] = cluster.sites
  const client = cluster.bank.client({ writeHeaders: ACK_ONE })
  await client.writesEverywhere()
  cluster.cutFromEtcd(first)
  await client.advance(50)
  await until('etcd forgets the lease', async () => {
    const { kvs = [] } = await cluster.etcd.ask('/v3/kv/range', {
      key: Buffer.from('walcast/').toString('base64'),
      range_end: Buffer.from('walcast0').toString('base64'),
    })
    const keys = (kvs as { key: string }[]).map(({ key }) => Buffer.from(key, 'base64').toString())
    return !keys.some((key) => key.endsWith('/lead'))
  })
  await client.advance(200)
  assert.equal(await first.role(), 'leader')
  await until('it says by what it leads', async () => {
    const { election, causes } = await toldBy(first)
    return election?.isByAgreement && causes.includes('lock-service-away')
  })
  await until('the audit log has it', async () =>
    (await first.audit()).some(({ action, detail = '' }) => {
      return action === 'election' && detail.startsWith('every member agrees')
    }),
  )
  // Cut off from one of them as well: who may have been replaced takes no writes.
  second.cut()
  third.cut()
  first.cut()
  const leader = await cluster.ledByOther(first)
  const { election, causes } = await toldBy(first)
  assert.equal(election?.validForMs, 0)
  assert.ok(causes.includes('lease-over'), causes.join())
  // A load balancer sends nothing there; reads go on.
  const answered = ['/leader', '/readyz'].map(async (path) => (await first.node.get(path)).status)
  assert.deepEqual(await Promise.all(answered), [503, 200])
  second.mend()
  third.mend()
  first.mend()
  cluster.joinEtcd(first)
  await first.waitRole('replica')
  assert.equal(await cluster.bank.settled(), leader)
  await client.writesEverywhere()
  await requireKept(cluster, leader, await client.stop())
})

campaignTest('a frozen leader is replaced, and takes nothing when it goes on', async (lab) => {
  const cluster = await startFailover(lab)
  const [first, second, third] = cluster.sites
  // Not by the frozen one, which answers nothing.
  const client = cluster.bank.client({ writeHeaders: ACK_ONE, doors: [second, third] })
  await client.writesEverywhere()
  first.node.kill('SIGSTOP')
  const leader = await until('another node leads', async () => {
    for (const site of [second, third]) if ((await site.role()) === 'leader') return site
    return undefined
  })
  await client.advance(50)
  first.node.kill('SIGCONT')
  await first.waitRole('replica')
  assert.equal(await cluster.bank.settled(), leader)
  await client.writesEverywhere()
  await requireKept(cluster, leader, await client.stop())
})

campaignTest('nobody leads before etcd is there; then one does', async (lab) => {
  const cluster = await startFailover(lab, { nodes: 2 })
  const { sites, etcd, bank } = cluster
  const client = bank.client({ writeHeaders: ACK_ONE })
  await client.writesEverywhere()
  const record = await client.stop()
  for (const { node } of sites) await node.stop('SIGKILL')
  await Promise.all(etcd.members.map((member) => member.stop()))
  await Promise.all(sites.map((site) => site.restart({}, 'node')))
  for (const site of sites) await site.waitRole('replica')
  await etcd.start()
  const leader = await bank.settled()
  const again = bank.client({ writeHeaders: ACK_ONE, tag: 'again' })
  await again.writesEverywhere()
  await requireKept(cluster, leader, [...record, ...(await again.stop())])
})

campaignTest(
  'two nodes and an object store: the other one leads when the leader is killed',
  async (lab) => {
    const store = await s3Server({ after: (end) => lab.atEnd(end) })
    const flags = ['--election', `s3://${store.bucket}/election?endpoint=${store.endpoint}`]
    const bank = await startBank(lab, {
      nodes: 2,
      flags: [...flags, '--ttl', `${TTL_MS}ms`],
      environment: TEST_ENVIRONMENT,
    })
    const [first, second] = bank.sites
    const client = bank.client()
    await client.writesEverywhere()
    const before = await client.stop()
    await first.node.stop('SIGKILL')
    await second.waitRole('leader')
    await first.restart()
    assert.equal(await bank.settled(), second)
    const again = bank.client({ tag: 'again' })
    await again.writesEverywhere()
    const record = [...before, ...(await again.stop())]
    assert.deepEqual(faultsIn(await bank.judge(record, second, 'any')), [])
    await bank.requireSame(second)
  },
)

campaignTest('a leader whose term a stranger overwrote writes a new one', async (lab) => {
  const cluster = await startFailover(lab, { nodes: 2, flags: ['--ack', 'one'] })
  const [first, second] = cluster.sites
  const client = cluster.bank.client()
  await client.writesEverywhere()
  await cluster.overwrite()
  await until('the term is there again', async () => !(await cluster.isOverwritten()))
  await client.writesEverywhere()
  // The others can read it: they know whose confirmations count.
  await first.node.stop('SIGKILL')
  assert.equal(await cluster.ledByOther(first), second)
  await client.advance(20)
  await first.restart()
  assert.equal(await cluster.bank.settled(), second)
  await requireKept(cluster, second, await client.stop())
})

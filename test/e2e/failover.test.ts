/**
 * Leaders that die, freeze or are cut off: promised writes survive, rows that only they held are
 * kept aside, and one node leads in the end.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { addReplica, type BankCluster, startBank } from '../support/bankCluster.ts'
import type { BankSite } from '../support/bankSite.ts'
import type { Exchange, Losses } from '../support/history.ts'
import { faultsIn } from '../support/historyCheck.ts'
import { campaignTest, labTest, waitLevel } from '../support/lab.ts'
import { Refused } from '../support/leadership.ts'
import { PATIENCE_MS, until } from '../support/until.ts'

const ACK_ONE = { 'walcast-ack': 'one' }

async function requireFaultless(
  cluster: BankCluster,
  leader: BankSite,
  record: readonly Exchange[],
  losses: Losses,
): Promise<void> {
  const report = await cluster.judge(record, leader, losses)
  assert.deepEqual(faultsIn(report), [])
  assert.ok(report.lasting > 0, 'something had to be there')
  await cluster.requireSame(leader)
}

/** The transfer is in no served database, but in one that `site` keeps aside. */
async function requireKeptAside(cluster: BankCluster, site: BankSite, id: string): Promise<void> {
  await until(`${id} is kept aside by ${site.name}`, async () =>
    (await site.keptTransfers()).includes(id),
  )
  for (const each of cluster.sites) {
    const { transfers } = await cluster.stateOf(each)
    assert.ok(!transfers.some((transfer) => transfer.id === id), `${id} is served by ${each.name}`)
  }
}

labTest(
  'killed leader: no acknowledged write is lost, and it returns as a replica',
  async (lab) => {
    const cluster = await startBank(lab)
    const [first, second, third] = cluster.sites
    const client = cluster.client({ writeHeaders: ACK_ONE })
    await client.writesEverywhere()
    // From here on the leader is alone: no other node has its commits.
    first.cut()
    assert.equal(await first.transferDirectly('alone'), 201)
    await first.node.stop('SIGKILL')
    first.mend()
    const done = await second.promote()
    assert.equal(done.oldLeader?.outcome, 'unreachable')
    assert.ok(done.epoch >= 2)
    await third.waitStreaming(done.epoch)
    await client.advance(100)
    await first.restart()
    await first.waitRole('replica')
    await first.waitStreaming(done.epoch)
    await client.writesEverywhere()
    await requireFaultless(cluster, second, await client.stop(), 'unreplicated')
    await requireKeptAside(cluster, first, 'alone')
  },
)

labTest('a frozen and replaced leader executes no late request', async (lab) => {
  const cluster = await startBank(lab)
  const [first, second, third] = cluster.sites
  const before = cluster.client({ tag: 'before' })
  await before.writesEverywhere()
  const early = await before.stop()
  for (const { node } of [second, third]) await waitLevel(first.node, node)

  first.node.kill('SIGSTOP')
  const done = await second.promote()
  assert.equal(done.oldLeader?.outcome, 'unreachable')
  // Its application is another process and goes on.
  assert.equal(await first.transferDirectly('direct'), 201)
  const client = cluster.client({ tag: 'after' })
  await until('writes at the new leader', () => client.done > 100)
  first.node.kill('SIGCONT')
  await first.waitRole('replica')
  await first.waitStreaming(done.epoch)
  await client.writesEverywhere()
  const late = await client.stop()
  // All nodes were level before, so every answered write must survive, also those of the old
  // leader.
  await requireFaultless(cluster, second, [...early, ...late], 'none')
  await requireKeptAside(cluster, first, 'direct')
})

labTest('a missed demotion: the lower epoch gives way once the two nodes meet', async (lab) => {
  const cluster = await startBank(lab, { nodes: 2 })
  const [first, second] = cluster.sites
  await waitLevel(first.node, second.node)
  for (const site of cluster.sites) site.cut()
  const done = await second.promote()
  assert.equal(done.oldLeader?.outcome, 'unreachable')
  assert.deepEqual(await cluster.withRole('leader'), [first, second])
  assert.equal(await first.transferDirectly('in the old epoch'), 201)
  assert.equal(await second.transferDirectly('in the new epoch'), 201)
  for (const site of cluster.sites) site.mend()
  assert.equal(await cluster.settled(), second)
  await requireKeptAside(cluster, first, 'in the old epoch')
  assert.ok((await cluster.stateOf(first)).transfers.some(({ id }) => id === 'in the new epoch'))
  await cluster.requireSame(second)
})

labTest(
  'two forced leaders of one epoch: the lower id gives way, with an error in the log',
  async (lab) => {
    const cluster = await startBank(lab)
    const [first, second, third] = cluster.sites
    for (const { node } of [second, third]) await waitLevel(first.node, node)
    for (const site of cluster.sites) site.cut()
    await first.node.stop('SIGKILL')
    const [a, b] = await Promise.all([
      second.promote({ force: true }),
      third.promote({ force: true }),
    ])
    assert.equal(a.epoch, b.epoch)
    assert.equal(await second.transferDirectly('of the lower id'), 201)
    assert.equal(await third.transferDirectly('of the higher id'), 201)
    for (const site of cluster.sites) site.mend()
    assert.equal(await cluster.settled([first]), third)
    assert.ok(
      second.loud().length > 0 || third.loud().length > 0,
      'two leaders of one epoch are no small thing',
    )
    await requireKeptAside(cluster, second, 'of the lower id')
    await first.restart()
    assert.equal(await cluster.settled(), third)
    await cluster.requireSame(third)
  },
)

labTest('a node without a complete copy is not promoted', async (lab) => {
  const cluster = await startBank(lab, { nodes: 1 })
  const [first] = cluster.sites
  await lab.exec(
    first.db,
    'CREATE TABLE ballast (body BLOB)',
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT ' +
      'INTO ballast SELECT randomblob(40000) FROM n',
  )
  first.link.bytesPerSecond = 400_000
  const late = await addReplica(lab, 'late', first)
  await until('the copy has begun', async () => (await late.node.status()).sync !== undefined)
  const fitness = await late.fitness()
  assert.equal(fitness.fit, false)
  await first.node.stop('SIGKILL')
  const refused = await late.promote().then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(refused instanceof Refused, 'it was promoted')
  assert.deepEqual([refused.status, refused.code], [409, 'NOT_FIT'])
  assert.equal(await late.role(), 'replica')
  first.link.bytesPerSecond = 0
  await first.restart()
  await late.node.ready()
  await waitLevel(first.node, late.node)
})

labTest('a node demoted by hand follows --leader, and can be promoted again', async (lab) => {
  const cluster = await startBank(lab, { nodes: 2 })
  const [first, second] = cluster.sites
  await waitLevel(first.node, second.node)
  const demoted = await first.demote(second)
  assert.equal(demoted.role, 'replica')
  assert.deepEqual(await cluster.withRole('leader'), [])
  const done = await second.promote()
  await first.waitStreaming(done.epoch)
  assert.equal(await second.transferDirectly('then'), 201)
  await cluster.requireSame(second)
  assert.deepEqual(first.resyncs(), [])
})

labTest('a frozen switchover target does not lead after another promotion', async (lab) => {
  const cluster = await startBank(lab)
  const [first, second, third] = cluster.sites
  for (const { node } of [second, third]) await waitLevel(first.node, node)
  third.link.tamper = (bytes, toReplica) => {
    if (!toReplica && bytes.includes('/_walcast/take-over')) third.node.kill('SIGSTOP')
    return bytes
  }
  const unknown = await first.switchover(third).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(unknown instanceof Refused && unknown.code === 'SWITCHOVER_UNKNOWN', String(unknown))
  const done = await second.promote()
  await first.waitStreaming(done.epoch)
  const answer = await fetch(`${second.url}/transfer`, {
    method: 'POST',
    headers: ACK_ONE,
    body: JSON.stringify({ id: 'acknowledged', from: 1, to: 2, amount: 1 }),
  })
  assert.match(answer.headers.get('walcast-acked') ?? '', /^one/)
  // The take-over request waits in its socket.
  third.node.kill('SIGCONT')
  assert.equal(await cluster.settled(), second)
  assert.ok(
    !(await third.audit()).some(({ action, role }) => action === 'role' && role === 'leader'),
  )
  await cluster.requireSame(second)
  assert.ok((await cluster.stateOf(second)).transfers.some(({ id }) => id === 'acknowledged'))
})

campaignTest(
  'a leader frozen in a switchover executes held writes only as the leader',
  async (lab) => {
    const cluster = await startBank(lab)
    const [first, second, third] = cluster.sites
    for (const { node } of [second, third]) await waitLevel(first.node, node)
    // A transaction of the application blocks the switchover, and writes wait.
    const session = lab.sql(first.db)
    await session.rows('BEGIN IMMEDIATE')
    const change = first.switchover(third, 4000).catch((error: unknown) => error)
    await delay(300)
    const client = cluster.client({ doors: [first] })
    await delay(300)
    first.node.kill('SIGSTOP')
    const done = await second.promote()
    await third.waitStreaming(done.epoch)
    await session.rows('COMMIT')
    // Longer than the time that counts as standing still.
    await delay(4000)
    first.node.kill('SIGCONT')
    assert.ok((await change) instanceof Refused)
    await first.waitStreaming(done.epoch)
    await client.writesEverywhere()
    await requireFaultless(cluster, second, await client.stop(), 'none')
  },
)

labTest('a cut-off leader cannot outrank a promotion by starting epochs', async (lab) => {
  const cluster = await startBank(lab)
  const [first, second, third] = cluster.sites
  const client = cluster.client({ doors: [second, third], writeHeaders: ACK_ONE })
  await client.writesEverywhere()
  await first.node.stop('SIGKILL')
  const promoted = await second.promote()
  await third.waitStreaming(promoted.epoch)
  await client.advance(20)
  // Twice a write while no node runs, and no peer to ask: it leads in new epochs.
  for (const site of cluster.sites) site.cut()
  for (const id of ['alone-1', 'alone-2']) {
    assert.equal(await first.transferDirectly(id), 201)
    const session = lab.sql(first.db)
    await session.rows('PRAGMA wal_checkpoint(TRUNCATE)')
    await session.close()
    await first.restart()
    assert.equal(await first.role(), 'leader')
    if (id === 'alone-1') await first.node.stop('SIGKILL')
  }
  assert.ok((await first.node.status()).epoch > promoted.epoch)
  for (const site of cluster.sites) site.mend()
  await first.waitRole('replica')
  const leader = await cluster.settled()
  assert.equal(leader, second, 'the one that was promoted leads on')
  await client.writesEverywhere()
  await requireFaultless(cluster, second, await client.stop(), 'unreplicated')
  await requireKeptAside(cluster, first, 'alone-2')
})

labTest('a leader asks its peers when a client has seen a later epoch', async (lab) => {
  const cluster = await startBank(lab, { nodes: 2, environment: { WALCAST_PEER_LOOK: '1h' } })
  const [first, second] = cluster.sites
  // It does not hear of the promotion; the client's cookie is its first hint.
  first.cut()
  second.cut()
  const promoted = await second.promote({ force: true })
  second.mend()
  assert.equal(await first.role(), 'leader')
  const headers = { 'walcast-position': `${promoted.epoch}-${promoted.txid}` }
  const answer = await fetch(`${first.url}/accounts`, {
    headers,
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  await answer.arrayBuffer()
  assert.equal(await first.role(), 'replica')
  assert.match(String(answer.headers.get('walcast-position')), new RegExp(`^${promoted.epoch}-`))
  // An invented epoch costs the real leader one question.
  const future = { 'walcast-position': '9999-1' }
  const later = await fetch(`${second.url}/accounts`, {
    headers: future,
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  assert.deepEqual([later.status, await second.role()], [200, 'leader'])
  await later.arrayBuffer()
})

/** Status names the causes of lag and of a growing WAL, and the replicas that are missed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cause, CauseCode } from '../../src/api/cause.ts'
import { campaignTest, type Lab, labTest, requireSame } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase, numbers, Reader, Writer } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of enough characters' }

async function causesOf(node: TestNode, code: CauseCode): Promise<readonly Cause[]> {
  return (await node.status()).causes.filter((cause) => cause.code === code)
}

/** Waits for a cause and returns it. */
function told(node: TestNode, code: CauseCode): Promise<Cause> {
  return until(`${node.child.name} tells of ${code}`, async () => (await causesOf(node, code))[0])
}

async function well(node: TestNode): Promise<void> {
  await until(`${node.child.name} has nothing to tell`, async () => {
    const { causes } = await node.status()
    if (causes.length > 0) throw new Error(causes.map(({ text }) => text).join(', '))
    return true
  })
}

async function cli(lab: Lab, args: readonly string[], environment?: Record<string, string>) {
  const child = lab.cli(args, environment)
  child.expectEnd()
  const { code } = await within(args.join(' '), child.ended)
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

labTest('long readers are named by process and age, on replica and leader', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { flags: ['--soft-wal', '50', '--hard-wal', '100'] })
  const flags = ['--replica-wal', '64KiB', '--idle', '100ms']
  const replica = await (await lab.replica(lab.path('replica.db'), leader, { flags })).ready()
  const [here, there] = [lab.sql(replica.db), lab.sql(db)]
  for (const reader of [here, there]) {
    await reader.rows('BEGIN')
    await reader.rows('SELECT count(*) FROM log')
  }
  // A reader that comes and goes; most looks find it reading.
  const short = new Reader(lab, { path: replica.db, holdMs: 200, reopen: 0 })
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 5, pauseMs: 1 })
  for (const [node, reader] of [
    [replica, here],
    [leader, there],
  ] as const) {
    const cause = await told(node, 'long-reader')
    assert.equal(cause['pid'], reader.child.pid)
    assert.match(String(cause['process']), /^python/)
    assert.ok(Number(cause['ageSeconds']) >= 5)
    assert.equal((await causesOf(node, 'long-reader')).length, 1, 'the short reader is none')
    assert.deepEqual(await causesOf(node, 'leader-disk'), [])
    assert.equal(await node.metric('walcast_cause', 'long-reader'), 1)
    assert.equal(await node.metric('walcast_cause', 'leader-away'), 0)
    for (const command of ['status', 'lag']) {
      const { out } = await cli(lab, [command, '--node', node.url])
      assert.match(
        out,
        new RegExp(`^cause +long-reader: process ${reader.child.pid} `, 'm'),
        command,
      )
    }
    await reader.rows('COMMIT')
  }
  await well(replica)
  await well(leader)
  assert.equal(await leader.metric('walcast_cause', 'long-reader'), 0)
  await short.stop()
  await writer.stop()
  await requireSame(lab, leader, replica)
})

labTest('a slow link is a cause on both ends', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 1000 })
  const leader = await lab.leader(db, { flags: ['--max-buffered', '512KiB', '--batch', '128KiB'] })
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const replica = await (await lab.replica(lab.path('replica.db'), proxy.address)).ready()
  const writing = lab.modernSql(db)
  const change = () =>
    writing.rows(
      numbers(
        200,
        'UPDATE mixed SET body = randomblob(2000) WHERE id IN (SELECT abs(random()) % 1000 ' +
          'FROM numbers)',
      ),
    )
  await change()
  await well(leader)
  await well(replica)
  proxy.bytesPerSecond = 500_000
  const found = new Map<TestNode, Cause>()
  await until('both tell of it', async () => {
    await change()
    for (const node of [leader, replica]) {
      const [cause] = await causesOf(node, 'slow-link')
      if (cause) found.set(node, cause)
    }
    return found.size === 2
  })
  const there = found.get(leader)
  assert.equal(there?.['node'], (await replica.status()).node)
  assert.ok(Number(there?.['lagMs']) >= 1000)
  assert.ok(Number(there?.['takenBytesPerSecond']) < 10_000_000)
  assert.equal(found.get(replica)?.['node'], (await leader.status()).node)
  proxy.bytesPerSecond = 0
  await requireSame(lab, leader, replica)
  await well(leader)
  await well(replica)
})

labTest('a broken link is a cause on both ends, also under writes', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const replica = await (await lab.replica(lab.path('replica.db'), proxy.address)).ready()
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 7, pauseMs: 5 })
  await until('it writes', async () => (await replica.status()).txid > 20)
  // The link accepts bytes and delivers none.
  proxy.tamper = () => Buffer.alloc(0)
  const seen = new Set<string>()
  await until(
    'both tell of it',
    async () => {
      const found = await Promise.all(
        [leader, replica].map(async (node) => (await node.status()).causes),
      )
      for (const { code } of found.flat()) seen.add(code)
      return found.every((causes) => causes.some(({ code }) => code === 'link-down'))
    },
    30_000,
  )
  assert.deepEqual([...seen], ['link-down'])
  const [there] = await causesOf(leader, 'link-down')
  assert.equal(there?.['node'], (await replica.status()).node)
  proxy.tamper = (bytes) => bytes
  proxy.cutAll()
  await writer.stop()
  await requireSame(lab, leader, replica)
  await well(leader)
  await well(replica)
})

campaignTest(
  'an absent replica is missed, also after a restart, until it is forgotten',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    let leader = await lab.leader(db, { environment: SECRET })
    const replica = await (
      await lab.replica(lab.path('replica.db'), leader, { environment: SECRET })
    ).ready()
    const { node, epoch, txid } = await replica.status()
    const forget = (name: string) => cli(lab, ['forget', name, '--node', leader.url], SECRET)
    await until('it is there', async () => (await leader.status()).replicas[0]?.connected)
    const refused = await forget(node)
    assert.equal(refused.code, 1)
    assert.match(refused.err, /^WALCAST_REPLICA_CONNECTED: .*; /)
    assert.match((await forget('nobody')).err, /^WALCAST_REPLICA_UNKNOWN: /)
    assert.equal((await forget('')).code, 2)
    const unauthorized = await fetch(`${leader.url}/_walcast/replicas?node=${node}`, {
      method: 'DELETE',
    })
    assert.equal(unauthorized.status, 401)

    await replica.stop('SIGTERM')
    const cause = await told(leader, 'replica-away')
    assert.deepEqual([cause['node'], cause['epoch'], cause['txid']], [node, epoch, txid])
    const [before] = (await leader.status()).replicas
    // The first restart finds the list written while running, the second that of the stop.
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await leader.stop(signal)
      leader = await lab.restart(leader)
      const [after] = (await leader.status()).replicas
      assert.deepEqual({ ...after, lagMs: 0 }, { ...before, lagMs: 0 })
      assert.ok(after.lagMs > before.lagMs)
      await told(leader, 'replica-away')
    }
    const { out } = await cli(lab, ['status', '--node', leader.url], SECRET)
    assert.match(
      out,
      new RegExp(`^cause +replica-away: replica ${node} .* last seen at ${epoch}-${txid};`, 'm'),
    )

    assert.deepEqual(await forget(node), { code: 0, out: `forgot ${node}`, err: '' })
    assert.deepEqual((await leader.status()).replicas, [])
    const forgotten =
      (await leader.status()).audit?.filter(({ action }) => action === 'forget') ?? []
    assert.deepEqual(
      forgotten.map(({ outcome, detail }) => [outcome, detail]),
      [
        ['refused', `replica ${node} is connected`],
        ['refused', 'no replica nobody is remembered here'],
        ['done', node],
      ],
    )
    for (const { by } of forgotten) assert.match(by, /^\S+@\S+ \(127\.0\.0\.1\)$/)
    assert.ok(!readFileSync(`${db}-walcast/peers.json`, 'utf8').includes(node))
    await well(leader)
    await (await lab.restart(replica)).ready()
    await until('it is back', async () => (await leader.status()).replicas[0]?.connected)
  },
)

campaignTest(
  'causes in a chain: leader away, source behind, a forgotten relayed replica',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const leader = await lab.leader(db)
    const near = await (await lab.replica(lab.path('near.db'), leader)).ready()
    let far = await (await lab.replica(lab.path('far.db'), near)).ready()
    const [nearNode, farNode] = [(await near.status()).node, (await far.status()).node]
    const listed = async () => (await leader.status()).replicas.find(({ node }) => node === farNode)
    await until('the leader was told', async () => (await listed())?.connected)
    await far.stop()
    assert.equal((await told(leader, 'replica-away'))['via'], nearNode)
    await told(near, 'replica-away')
    assert.equal((await cli(lab, ['forget', farNode, '--node', leader.url])).code, 0)
    assert.equal(
      (await causesOf(near, 'replica-away')).length,
      1,
      'each node has a list of its own',
    )
    // The relay reports the replicas that it feeds once a second.
    await delay(1500)
    assert.equal(await listed(), undefined)
    far = await (await lab.restart(far)).ready()
    await until('it is back', async () => (await listed())?.connected)
    await well(near)
    await leader.stop()
    assert.equal((await told(near, 'leader-away'))['follows'], (await near.status()).follows)
    const behind = await told(far, 'source-behind')
    assert.equal(behind['follows'], nearNode)
    assert.equal(await near.metric('walcast_cause', 'leader-away'), 1)
  },
)

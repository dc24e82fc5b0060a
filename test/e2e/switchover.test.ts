/**
 * Planned changes of leader under load: no request fails, no write is lost, and no node compares
 * pages.
 */
import assert from 'node:assert/strict'
import { type BankCluster, startBank } from '../support/bankCluster.ts'
import type { BankSite } from '../support/bankSite.ts'
import type { Exchange } from '../support/history.ts'
import { failuresIn, faultsIn } from '../support/historyCheck.ts'
import { campaignTest, labTest, waitLevel } from '../support/lab.ts'
import { Refused } from '../support/leadership.ts'
import { until } from '../support/until.ts'

const SWITCHOVERS = 10

/**
 * No request failed, no write was lost, all nodes are equal, each application kept its one handle.
 */
async function requireClean(
  cluster: BankCluster,
  leader: BankSite,
  record: readonly Exchange[],
): Promise<void> {
  const report = await cluster.judge(record, leader)
  assert.deepEqual(faultsIn(report), [])
  assert.deepEqual(failuresIn(report), [])
  assert.equal(report.toldStale, 0)
  await cluster.requireSame(leader)
  // No handle where no request came: the first request opens it.
  for (const site of cluster.sites)
    assert.ok((await site.timesOpened()) <= 1, `one handle at ${site.name}`)
}

function requireNoResync({ sites }: BankCluster): void {
  for (const site of sites) assert.deepEqual(site.resyncs(), [], `at ${site.name}`)
}

campaignTest(
  'ten switchovers under load: no request fails, no node compares pages',
  async (lab) => {
    const cluster = await startBank(lab)
    const [first, second, third] = cluster.sites
    const client = cluster.client()
    await client.writesEverywhere()
    for (let i = 0; i < SWITCHOVERS; i++) {
      const [from, to] = i % 2 === 0 ? [first, second] : [second, first]
      // The leader does it, whichever node is asked.
      const asked = [from, to, third][i % 3]
      const done = await asked.switchover(to)
      assert.equal(done.from.address, from.address)
      assert.equal(done.to.address, to.address)
      await Promise.all([to.waitRole('leader'), from.waitRole('replica')])
      await Promise.all([from, third].map((site) => site.waitStreaming(done.epoch)))
      await client.writesEverywhere()
    }
    const record = await client.stop()
    await requireClean(cluster, first, record)
    requireNoResync(cluster)
    const { epoch } = await first.node.status()
    assert.equal(epoch, 1 + SWITCHOVERS)
  },
)

labTest('--to may be left out with one replica only', async (lab) => {
  const cluster = await startBank(lab)
  const [first, second, third] = cluster.sites
  const client = cluster.client({ doors: [first, second], sessions: 2 })
  await client.writesEverywhere()
  await assert.rejects(first.switchover(), isRefused(409, 'NO_TARGET'))
  await third.node.stop()
  await until('one is connected', async () => {
    const { replicas } = await first.node.status()
    return replicas.filter(({ connected }) => connected).length === 1
  })
  const done = await first.switchover()
  assert.equal(done.to.address, second.address)
  await client.writesEverywhere()
  await third.restart()
  await requireClean(cluster, await cluster.settled(), await client.stop())
})

labTest('a failed switchover leaves the leader in place, and no request fails', async (lab) => {
  const cluster = await startBank(lab, { nodes: 2, busyMs: 15_000 })
  const [first, second] = cluster.sites
  const client = cluster.client({ doors: [first], sessions: 4 })
  await client.writesEverywhere()

  second.node.kill('SIGSTOP')
  // The missing answer is noticed before a write is held.
  await assert.rejects(first.switchover(second, 1500), isRefused(409, 'NO_TARGET'))
  assert.equal(await first.role(), 'leader')
  await client.writesEverywhere()
  second.node.kill('SIGCONT')

  const blocking = lab.sql(first.db)
  await blocking.rows('BEGIN IMMEDIATE')
  await assert.rejects(first.switchover(second, 1500), isRefused(503, 'SWITCHOVER_FAILED'))
  await blocking.rows('ROLLBACK')
  await blocking.close()
  await client.writesEverywhere()

  await cluster.settled()
  assert.equal((await first.switchover(second)).to.address, second.address)
  await client.writesEverywhere()
  await requireClean(cluster, await cluster.settled(), await client.stop())
})

labTest('a switchover without a replica, and promoting the leader, are refused', async (lab) => {
  const alone = await startBank(lab, { nodes: 1 })
  await assert.rejects(alone.sites[0].switchover(), isRefused(409, 'NO_TARGET'))
  for (const _time of ['once', 'again: a refusal leaves nothing under way'])
    await assert.rejects(alone.sites[0].promote(), isRefused(400, 'ALREADY_LEADER'))
  assert.equal(await alone.sites[0].role(), 'leader')
})

labTest('a promotion beside a living leader is refused, and changes nothing', async (lab) => {
  const cluster = await startBank(lab, { nodes: 2 })
  const [first, second] = cluster.sites
  await assert.rejects(second.promote(), isRefused(409, 'LEADER_LIVES'))
  const dry = await second.promote({ dryRun: true })
  assert.ok(dry.dryRun && dry.reasons.length > 0)
  assert.equal(await cluster.settled(), first)
  assert.equal((await first.node.status()).epoch, 1)
  // A refusal leaves nothing behind: the next change succeeds.
  await assert.rejects(first.promote(), isRefused(400, 'ALREADY_LEADER'))
  await assert.rejects(second.demote(), isRefused(421, 'NOT_LEADER'))
  assert.equal((await first.switchover(second)).to.address, second.address)
  // Both audit logs have it, and who asked for it.
  const entry = (await first.audit()).findLast(({ action }) => action === 'switchover')
  assert.deepEqual([entry?.outcome, entry?.by], ['done', 'test (127.0.0.1)'])
  assert.ok(
    (await second.audit()).some(({ action, role }) => action === 'role' && role === 'leader'),
  )
})

function isRefused(status: number, code: string) {
  return (error: unknown) => {
    assert.ok(error instanceof Refused, String(error))
    assert.deepEqual([error.status, error.code], [status, code], error.message)
    return true
  }
}

labTest('a take-over request replayed to another node is refused', async (lab) => {
  const cluster = await startBank(lab)
  const [first, second, third] = cluster.sites
  for (const { node } of [second, third]) await waitLevel(first.node, node)
  // The target never gets the request. A man in the middle has it unused, and sends it elsewhere.
  let text = ''
  second.link.tamper = (bytes, toReplica) => {
    const part = bytes.toString('latin1')
    if (toReplica || !part.includes('/_walcast/take-over')) return bytes
    text = part
    return undefined
  }
  const change = first.switchover(second).catch((error: unknown) => error)
  await until('it is on its way', () => text !== '')
  const path = text.split(' ')[1]
  const token = /x-replica-auth: ([^\r]+)/i.exec(text)?.[1] ?? ''
  const answer = await fetch(`${third.node.url}${path}`, {
    method: 'POST',
    headers: { 'x-replica-auth': token },
  })
  assert.deepEqual(
    [answer.status, Object(await answer.json()).code],
    [401, 'WALCAST_WRONG_RECEIVER'],
  )
  await change
  assert.notEqual(await third.role(), 'leader')
})

labTest('a forwarded request replayed to the next leader executes nothing', async (lab) => {
  const { sites } = await startBank(lab, { nodes: 2 })
  const [first, second] = sites
  let token = ''
  first.link.tamper = (bytes, toReplica) => {
    const sent = toReplica ? '' : bytes.toString('latin1')
    if (sent.startsWith('POST /register')) token = /x-replica-auth: ([^\r]+)/i.exec(sent)?.[1] ?? ''
    return bytes
  }
  const write = (url: string, value: string, headers: Record<string, string> = {}) => {
    const body = JSON.stringify({ key: 'a', value })
    return fetch(`${url}/register`, { method: 'POST', body, headers })
  }
  assert.equal((await write(second.url, 'before')).status, 200)
  await first.switchover(second)
  assert.equal((await write(first.url, 'after')).status, 200)
  const replayed = await write(second.node.url, 'replayed', { 'x-replica-auth': token })
  assert.deepEqual(
    [replayed.status, Object(await replayed.json()).code],
    [401, 'WALCAST_FORWARD_REFUSED'],
  )
  assert.equal(replayed.headers.get('walcast-not-executed'), 'FORWARD_REFUSED')
  assert.equal(Object(await (await fetch(`${second.url}/register/a`)).json()).value, 'after')
})

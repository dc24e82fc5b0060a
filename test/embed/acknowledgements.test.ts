/**
 * Levels of acknowledgement for applications that embed a node: in handlers of the Fastify plugin,
 * and in programs that write.
 */
import assert from 'node:assert/strict'
import { formatPosition, openLeader } from '../../src/embed/library.ts'
import {
  ask,
  countOf,
  embeddedLeader,
  embeddedPair,
  json,
  serve,
  servedPair,
} from '../support/embedded.ts'
import { labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const withLevel = (level: string, value: unknown = {}, more: Record<string, string> = {}) => {
  const init = json(value)
  return { ...init, headers: { ...init.headers, 'walcast-ack': level, ...more } }
}

labTest('the plugin: writes wait on the leader, wherever they come in', async (lab) => {
  const { leader, replica, onLeader, onReplica } = await servedPair(lab, (app, db) => {
    app.post('/', async () => {
      db.exec('INSERT INTO t (b) VALUES (1)')
      return { n: countOf(db) }
    })
    app.get('/', async () => ({ n: countOf(db) }))
    app.post('/fails', async () => {
      db.exec('INSERT INTO t (b) VALUES (2)')
      throw new Error('after the write')
    })
  })
  for (const { url } of [onLeader, onReplica]) {
    const one = await ask(url, withLevel('one'))
    assert.deepEqual([one.status, one.headers.get('walcast-acked')], [200, 'one; replicas=1'])
    assert.equal(countOf(replica.db), JSON.parse(one.text).n)
    const keyed = await ask(url, withLevel('one-durable', {}, { 'idempotency-key': `k ${url}` }))
    assert.equal(keyed.headers.get('walcast-acked'), 'one-durable; replicas=1')
    const plain = await ask(url, json({}))
    assert.equal(plain.headers.get('walcast-acked'), null)
    assert.equal(plain.headers.get('walcast-not-replicated'), null)
    const before = countOf(leader.db)
    const bad = await ask(url, withLevel('most'))
    assert.deepEqual([bad.status, countOf(leader.db)], [400, before])
    assert.equal(bad.headers.get('walcast-acked'), null)
    const failed = await ask(`${url}/fails`, withLevel('one'))
    assert.deepEqual([failed.status, failed.headers.get('walcast-acked')], [500, 'one; replicas=1'])
  }
  assert.equal((await ask(onLeader.url)).headers.get('walcast-acked'), null)
  const read = await ask(onLeader.url, { headers: { 'walcast-ack': 'one' } })
  assert.equal(read.headers.get('walcast-acked'), 'one; replicas=1')
  await replica.node.close()
  const alone = await ask(onLeader.url, withLevel('one'))
  assert.deepEqual(
    [alone.status, alone.headers.get('walcast-not-replicated')],
    [200, 'one; replicas=0'],
  )
  assert.equal(JSON.parse(alone.text).n, countOf(leader.db))
})

labTest('the plugin takes the level of its node, and waits no longer than it says', async (lab) => {
  const leader = await embeddedLeader(lab, { ack: '2', ackTimeoutMs: 50 })
  const { url } = await serve(lab, leader, (app, db) => {
    app.post('/', async () => db.prepare('INSERT INTO t (b) VALUES (1)').run())
  })
  const answer = await ask(url, json({}))
  assert.deepEqual(
    [answer.status, answer.headers.get('walcast-not-replicated')],
    [200, '2; replicas=0'],
  )
  const local = await ask(url, withLevel('local'))
  assert.equal(local.headers.get('walcast-not-replicated'), null)
  const other = { db: lab.path('other.db'), listen: '127.0.0.1:1' }
  await assert.rejects(openLeader({ ...other, ack: 'most' }), { key: 'USAGE' })
})

labTest(
  'a program that writes can wait for replicas, and is told when they lack it',
  async (lab) => {
    const { leader, replica } = await embeddedPair(lab)
    for (const level of ['one', '1', 'all', 'one-durable', 'all-durable']) {
      leader.db.exec('INSERT INTO t (b) VALUES (1)')
      assert.equal(await leader.node.acknowledged(undefined, { level }), 1)
      assert.equal(countOf(replica.db), countOf(leader.db))
    }
    const { position } = leader.node
    assert.equal(await leader.node.acknowledged(formatPosition(position)), 1)
    assert.equal(await leader.node.acknowledged(position, { level: 'local' }), 0)
    await assert.rejects(leader.node.acknowledged(position, { level: '2' }), {
      key: 'NOT_REPLICATED',
    })
    await assert.rejects(
      leader.node.acknowledged('9-9'),
      { key: 'NOT_REPLICATED' },
      'not of this history',
    )
    await assert.rejects(leader.node.acknowledged('x'), { key: 'BAD_REQUEST' })
    await assert.rejects(leader.node.acknowledged(position, { level: 'most' }), {
      key: 'BAD_REQUEST',
    })
    await assert.rejects(replica.node.acknowledged(position), { key: 'NOT_LEADER' })
    await replica.node.close()
    await until('it is away', () => !leader.node.status.replicas[0].connected)
    await assert.rejects(leader.node.acknowledged(position, { timeoutMs: 20 }), {
      key: 'NOT_REPLICATED',
    })
  },
)

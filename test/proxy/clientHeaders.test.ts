/** No header of a client makes its request count as another node's, whichever way it enters. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type Database from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import { Passes } from '../../src/proxy/passes.ts'
import { ask, countOf, embeddedLeader, embeddedPair, serve } from '../support/embedded.ts'
import { labTest } from '../support/lab.ts'
import * as lab from '../support/trafficLab.ts'

/** Headers with a meaning between nodes, and values that would count there. */
const OF_NODES: Readonly<Record<string, string>> = {
  'walcast-via': 'another-node',
  'walcast-pass': 'f47ac10b-58cc-4372-a567-0e02b2c3d479',
  'walcast-incarnation': '0123456789abcdef',
  'walcast-first-attempt': '0123456789abcdef; agoMs=1',
  'walcast-client': '192.0.2.1',
  'walcast-host': 'elsewhere.test',
  'walcast-node': 'another-node',
  'x-replica-auth': `v1 node=a epoch=1 time=1 nonce=${'0'.repeat(32)} mac=${'0'.repeat(64)}`,
}

/** Each write adds a row; its answer shows the client every header that came. */
function rows(app: FastifyInstance, db: Database.Database): void {
  app.post('/', async (request) => {
    db.prepare("INSERT INTO t (b) VALUES ('x')").run()
    return { headers: request.raw.rawHeaders }
  })
}

labTest(
  'the plugin remembers a key and waits for replicas, whatever headers a client sends',
  async (lab) => {
    const leader = await embeddedLeader(lab)
    const { url } = await serve(lab, leader, rows)
    let made = 0
    for (const [name, value] of [
      ...Object.entries(OF_NODES),
      ['walcast-via', leader.node.status.node],
    ]) {
      const headers = { 'idempotency-key': `key of ${made}`, 'walcast-ack': 'one', [name]: value }
      const answers = [
        await ask(url, { method: 'POST', headers }),
        await ask(url, { method: 'POST', headers }),
      ]
      // A request that names this very node has been here before: it is not executed.
      const isLoop = value === leader.node.status.node
      if (!isLoop) made++
      assert.equal(countOf(leader.db), made, `${name}: executed once`)
      for (const { status, headers: got } of answers) {
        assert.equal(status, isLoop ? 508 : 200, name)
        if (!isLoop) assert.equal(got.get('walcast-not-replicated'), 'one; replicas=0', name)
      }
    }
  },
)

labTest("a client that sees the application's headers cannot pass for a node", async (lab) => {
  const { leader, replica } = await embeddedPair(lab)
  const { url } = await serve(lab, leader, rows)
  const onReplica = await serve(lab, replica, rows)
  const seen = new Set<string>()
  for (let i = 0; i < 3; i++) {
    const headers = { 'idempotency-key': 'shared' }
    const via = await ask(i === 1 ? url : onReplica.url, { method: 'POST', headers })
    assert.equal(via.status, 200)
    const shown = JSON.parse(via.text).headers as string[]
    for (let at = 0; at < shown.length; at += 2)
      if (shown[at].toLowerCase() === 'walcast-pass') seen.add(shown[at + 1])
  }
  assert.equal(countOf(leader.db), 1, 'one key at every node')
  assert.equal(seen.size, 1)
  for (const mark of seen)
    for (const _ of [1, 2])
      await ask(url, {
        method: 'POST',
        headers: { 'idempotency-key': 'mine', 'walcast-pass': mark },
      })
  assert.equal(countOf(leader.db), 2)
})

labTest("neither side takes a client's header for a node's", async (context) => {
  const traffic = await lab.startTraffic(context)
  let n = 0
  for (const port of [traffic.atLeader, traffic.atReplica])
    for (const [name, value] of Object.entries(OF_NODES)) {
      const path = `/${++n}`
      const headers = ['idempotency-key', path, 'walcast-ack', 'one', name, value]
      for (const _ of [1, 2]) {
        const got = await lab.ask(port, { method: 'POST', path, headers, body: 'x' })
        assert.equal(got.status, 200, name)
        assert.deepEqual(lab.valuesOf(got, 'walcast-acked'), ['one; replicas=1'], name)
        const reached = lab.echoIn(got)
        if (name !== 'walcast-via') assert.ok(!lab.valuesOf(reached, name).includes(value), name)
        assert.deepEqual(lab.valuesOf(reached, 'host'), ['app.test'])
      }
      assert.equal(await traffic.leaderApp.count('POST', path), 1, `${name}: executed once`)
    }
  const forged = await lab.ask(traffic.leader.options.port, {
    method: 'POST',
    path: '/forged',
    headers: Object.entries(OF_NODES).flat(),
  })
  assert.equal(forged.status, 401)
  assert.equal(await traffic.leaderApp.count('POST', '/forged'), 0)
})

test('a mark counts once, and not after its request was answered', () => {
  const passes = new Passes()
  assert.equal(passes.issue(), undefined, 'no application in this process looks at marks')
  passes.use()
  const [a, b] = [passes.issue() ?? '', passes.issue() ?? '']
  assert.notEqual(a, b)
  const taking = (mark: string | undefined) => passes.take({ headers: { 'walcast-pass': mark } })
  assert.deepEqual(
    [taking(a), taking(a), taking(undefined), taking('')],
    [true, false, false, false],
  )
  passes.revoke(b)
  assert.equal(taking(b), false)
  assert.equal(passes.size, 0)
})

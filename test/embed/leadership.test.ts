/**
 * Programs that embed a node whose role changes: their handles, their events, the requests in their
 * handlers.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { formatPosition } from '../../src/embed/library.ts'
import { TRAFFIC } from '../../src/proxy/pluginNode.ts'
import type { Traffic } from '../../src/proxy/traffic.ts'
import { ask, countOf, embeddedPair, json, servedPair } from '../support/embedded.ts'
import { labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

labTest(
  'handles may write where the node leads, through switchover, demotion and promotion',
  async (lab) => {
    const { leader, replica } = await embeddedPair(lab)
    const roles: string[] = []
    replica.node.on('role', (role) => roles.push(role))
    assert.throws(() => replica.db.exec('INSERT INTO t (b) VALUES (1)'), /readonly/)
    const done = await leader.node.switchover()
    assert.equal(done.to.address, replica.node.status.leader)
    assert.deepEqual(
      [leader.node.role, replica.node.role, roles],
      ['replica', 'leader', ['leader']],
    )
    replica.db.exec('INSERT INTO t (b) VALUES (2)')
    assert.throws(() => leader.db.exec('INSERT INTO t (b) VALUES (3)'), /readonly/)
    await leader.node.waitFor(await settled(replica.node))
    assert.equal(countOf(leader.db), 1)

    await replica.node.demote()
    assert.deepEqual([replica.node.role, replica.node.isLeading], ['replica', false])
    await assert.rejects(replica.node.demote(), { key: 'NOT_LEADER' })
    const promoted = await leader.node.promote()
    assert.deepEqual([promoted.role, promoted.epoch, promoted.lost], ['leader', 3, null])
    leader.db.exec('INSERT INTO t (b) VALUES (4)')
    await until('it follows', () => countOf(replica.db) === 2)
  },
)

async function settled(node: {
  acknowledged(): Promise<unknown>
  position: { epoch: number; txid: number }
}) {
  await node.acknowledged()
  return node.position
}

labTest(
  'the plugin: writes in handlers end before the switchover, those that come wait, none fails',
  async (lab) => {
    let release: () => void = () => {}
    const entered = new Promise<void>((resolve) => {
      release = resolve
    })
    let open: () => void = () => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    const { leader, replica, onLeader, onReplica } = await servedPair(lab, (app, db) => {
      app.post('/', async () => ({
        changes: db.prepare('INSERT INTO t (b) VALUES (1)').run().changes,
      }))
      app.post('/slow', async () => {
        release()
        await opened
        return { changes: db.prepare('INSERT INTO t (b) VALUES (2)').run().changes }
      })
      app.get('/', async () => ({ n: countOf(db) }))
    })
    const slow = ask(`${onLeader.url}/slow`, json({}))
    await entered
    const roleChanged = once(replica.node, 'role')
    const switched = leader.node.switchover()
    await until(
      'it hands over',
      async () => (await fetch(`http://${leader.node.status.leader}/leader`)).status === 503,
    )
    const held = [onLeader, onReplica].map(({ url }) => ask(url, json({})))
    // Reads are still answered.
    assert.equal((await ask(onLeader.url)).status, 200)
    open()
    assert.equal((await slow).status, 200)
    const done = await switched
    assert.ok(done.heldWrites >= 1)
    await roleChanged
    for (const answer of await Promise.all(held))
      assert.deepEqual([answer.status, answer.text], [200, '{"changes":1}'])
    for (const { url } of [onLeader, onReplica])
      assert.equal((await ask(url, json({}))).status, 200)
    assert.equal(countOf(replica.db), 5)
    await until('the old leader has it too', () => countOf(leader.db) === 5)
  },
)

labTest('the plugin: writes during switchovers there and back are acknowledged', async (lab) => {
  let entered: () => void = () => {}
  const inside = new Promise<void>((resolve) => {
    entered = resolve
  })
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const { leader, replica, onLeader } = await servedPair(lab, (app) => {
    app.get('/', async () => {
      entered()
      await opened
      return {}
    })
  })
  const slow = ask(onLeader.url, { headers: { 'walcast-ack': 'one' } })
  await inside
  await leader.node.switchover()
  await replica.node.switchover()
  assert.equal(leader.node.role, 'leader')
  await until('the other one follows', () => replica.node.status.epoch === leader.node.status.epoch)
  open()
  const { status, headers } = await slow
  assert.equal(status, 200)
  assert.equal(headers.get('walcast-stale'), null)
  assert.equal(headers.get('walcast-position'), formatPosition(leader.node.position))
  assert.equal(headers.get('walcast-acked'), 'one; replicas=1')
})

labTest(
  'the plugin: a write waits at a node that has come to lead and takes none yet',
  async (lab) => {
    const { leader, replica, onReplica } = await servedPair(lab, (app, db) => {
      app.post('/', async () => ({
        changes: db.prepare('INSERT INTO t (b) VALUES (1)').run().changes,
      }))
    })
    const traffic = replica.node[TRAFFIC] as Traffic
    const { admission } = traffic
    await leader.node.demote()
    const written = ask(onReplica.url, json({}))
    await until('it waits for a leader', () => traffic.held === 1)
    admission.hold('rival', 'another node may lead')
    await replica.node.promote()
    await until('it waits here', () => admission.held === 1)
    assert.equal(countOf(replica.db), 0)
    admission.release('rival')
    assert.deepEqual([(await written).status, countOf(replica.db)], [200, 1])
  },
)

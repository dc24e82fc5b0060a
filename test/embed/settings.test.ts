/** Settings of a program that embeds a node: on a leader, on a replica, over a change of role. */
import assert from 'node:assert/strict'
import {
  formatPosition,
  Keyring,
  newKek,
  type Settings,
  settings,
  WalcastError,
} from '../../src/embed/library.ts'
import { ask, embeddedPair, json, servedPair } from '../support/embedded.ts'
import { labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const keys = Keyring.of([newKek()])

labTest('a replica sees each change, refuses to write, and writes once it leads', async (lab) => {
  const { leader, replica } = await embeddedPair(lab)
  const [here, there] = [settings(leader.db, keys), settings(replica.db, keys)]
  assert.equal(there.get('a'), undefined)
  for (let i = 0; i < 20; i++) {
    here.set('a', { i }, { encrypt: i % 2 > 0 })
    await until('it is replicated', () => (there.get('a') as { i: number } | undefined)?.i === i)
  }
  const at = replica.node.status.leader
  const refused = (write: () => unknown) =>
    assert.throws(write, (error) => {
      assert.ok(error instanceof WalcastError)
      assert.equal(error.code, 'WALCAST_SETTING_ON_REPLICA')
      return error.cure.includes(at)
    })
  refused(() => there.set('a', 'x'))
  refused(() => there.delete('a'))
  refused(() => there.rotate())

  await leader.node.switchover()
  there.set('a', 'of the new leader', { encrypt: true })
  await until('it is replicated', () => here.get('a') === 'of the new leader')
  assert.throws(() => here.set('a', 'x'), { code: 'WALCAST_SETTING_ON_REPLICA' })
})

labTest('a GET that writes a setting on a replica is run by the leader', async (lab) => {
  const stores = new Map<unknown, Settings>()
  const { onReplica, leader, replica } = await servedPair(lab, (app, db) => {
    const store = settings(db, keys)
    stores.set(db, store)
    app.get<{ Querystring: { user: string } }>('/visit', async ({ query }) => {
      store.set('last', query.user, { encrypt: true })
      return { node: app.walcast.role }
    })
    app.post<{ Body: { user: string } }>('/visit', async ({ body }) => {
      store.set('last', body.user)
      return { node: app.walcast.role }
    })
    app.get('/last', async () => ({ user: store.get('last'), node: app.walcast.role }))
  })
  for (const [user, init] of [
    ['ada', {}],
    ['bob', json({ user: 'bob' })],
    ['cyd', {}],
  ] as const) {
    const answer = await ask(`${onReplica.url}/visit?user=${user}`, init)
    assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, { node: 'leader' }])
    const position = answer.headers.get('walcast-position') ?? formatPosition(leader.node.position)
    const read = await ask(`${onReplica.url}/last`, { headers: { 'walcast-position': position } })
    assert.deepEqual(JSON.parse(read.text), { user, node: 'replica' })
  }
  assert.equal(stores.get(replica.db)?.get('last'), 'cyd')
})

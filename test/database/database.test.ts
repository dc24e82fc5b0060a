/** One database of a node, whatever engine stands behind it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeFile } from '../../src/cluster/nodeFile.ts'
import { Database } from '../../src/database/database.ts'
import type { Engine } from '../../src/database/engine.ts'

const RECORD = {
  ...{ node: 'a', role: 'leader', epoch: 3, leader: '', lineage: [], members: [] },
  promoted: { at: '2026-11-29T00:00:00Z', epoch: 3, txid: 1 },
}
const STATUS = { state: 'capturing', epoch: 3, txid: 9, causes: [] }

function newDatabase(record: object = RECORD): Database {
  return new Database({
    name: 'main',
    path: '/x/app.db',
    stateFolder: '/x/app.db-walcast',
    nodeFile: { record } as unknown as NodeFile,
    clock: { nowMs: () => 1e6 },
    maxWaits: 1,
    peers: [],
    onMet() {},
  })
}

function engineOf(incarnation: string, txid: number, history: readonly string[]): Engine {
  const view = {
    role: () => (incarnation === '' ? 'replica' : 'leader'),
    incarnation: () => incarnation,
    position: () => ({ epoch: 3, txid }),
    contains: (point: { incarnation: string }) => history.includes(point.incarnation),
    reach: (target: { txid: number }) => (target.txid <= txid ? 'reached' : 'ahead'),
    status: () => STATUS,
  }
  return { view, checks: { positions: () => txid } } as unknown as Engine
}

test('a database without an engine starts: it is not ready and holds nothing', async () => {
  const database = newDatabase()
  const { view, checks, engine } = database
  assert.deepEqual([engine, checks], [undefined, undefined])
  const { db, role, state, epoch, roleSince } = view.status()
  assert.deepEqual(
    [db, role, state, epoch, roleSince],
    ['/x/app.db', 'leader', 'starting', 3, RECORD.promoted.at],
  )
  assert.deepEqual(view.notReady(), ['starting'])
  assert.equal(view.canRead(), false)
  assert.equal(view.refuseReplicas()?.key, 'STARTING')
  assert.equal(view.lag().role, 'leader')
  await assert.rejects(view.settle(), { key: 'STARTING' })
})

test('a node that never changed its role has it since its start', () => {
  const began = '2026-11-01T00:00:00.000Z'
  const first = { ...RECORD, began, promoted: undefined }
  assert.equal(newDatabase(first).view.status().roleSince, began)
  const marked = newDatabase({ ...RECORD, began }).view.status()
  assert.equal(marked.roleSince, RECORD.promoted.at)
})

test('the next engine answers for the view, and a wait outlasts the change', async () => {
  const database = newDatabase()
  const wait = database.waits.until({ epoch: undefined, txid: 12 }, 60_000)
  database.view.engine = engineOf('', 9, [])
  database.waits.onMoved()
  assert.equal(database.waits.size, 1)
  assert.equal(database.view.status().txid, 9)
  assert.equal(database.engine, database.view.engine)
  database.view.engine = engineOf('one', 12, [])
  database.waits.onMoved()
  await wait
  assert.notEqual(database.checks, undefined)
})

test('what was committed in an ended leadership lasted while the history contains it', () => {
  const { view } = newDatabase()
  view.engine = engineOf('one', 9, [])
  assert.equal(view.lasted('one'), true)
  view.engine = engineOf('', 9, ['one'])
  assert.deepEqual([view.lasted('one'), view.lasted('two')], [true, false])
  view.engine = engineOf('', 9, [])
  assert.equal(view.lasted('one'), false)
})

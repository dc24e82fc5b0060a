/** The role file beside a database says where settings are written. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { formatRecord, type NodeRecord, parseRecord } from '../../src/cluster/nodeRecord.ts'
import { settings } from '../../src/settings/settings.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-leader-only-'))
after(() => rmSync(root, { recursive: true, force: true }))
const path = join(root, 'app.db')
const roleFile = `${path}-walcast/node.json`
mkdirSync(`${path}-walcast`)

function writeRole(change: Partial<NodeRecord>): void {
  const first = {
    format: 2,
    node: 'node-b',
    cluster: 'c',
    role: 'leader',
    epoch: 1,
    txidCeiling: 9,
  }
  const record = parseRecord(JSON.stringify(first), roleFile)
  writeFileSync(roleFile, formatRecord({ ...record, ...change }))
}

test('a database without a node takes settings, and so does a leader', (t) => {
  const db = new Database(path)
  t.after(() => db.close())
  const store = settings(db)
  store.set('a', '1')
  writeRole({})
  store.set('a', '2')
  assert.equal(store.get('a'), '2')
})

test('a copy takes none, also while no node holds its lock, and says where the leader is', (t) => {
  symlinkSync(path, join(root, 'link.db'))
  const db = new Database(join(root, 'link.db'))
  t.after(() => db.close())
  const store = settings(db)
  for (const role of ['replica', 'standby'] as const) {
    writeRole({ role, leader: '10.0.0.1:8470' })
    for (const write of [
      () => store.set('a', '3'),
      () => store.setAll([]),
      () => store.delete('a'),
      () => store.rotate(),
      () => store.requireWritable(),
    ])
      assert.throws(write, {
        code: 'WALCAST_SETTING_ON_REPLICA',
        status: 421,
        cure: 'write on the machine of 10.0.0.1:8470',
      })
    assert.equal(store.get('a'), '2')
  }
  writeRole({ role: 'replica' })
  assert.throws(() => store.set('a', '3'), { cure: /which walcast status names/ })
  writeRole({ role: 'leader' })
  store.set('a', '3')
  assert.equal(store.get('a'), '3', 'the role may change while the program runs')
})

test('a role file that does not read is left to SQLite', (t) => {
  const db = new Database(path)
  t.after(() => db.close())
  writeFileSync(roleFile, '{')
  settings(db).set('a', '4')
})

/** What a start makes of the role file, and what an end ends. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { NodeRecord } from '../../src/cluster/nodeRecord.ts'
import type { NodeSetup } from '../../src/database/engine.ts'
import { WalcastError } from '../../src/errors.ts'
import { LOCK_CONNECTION, NodeFolder } from '../../src/node/nodeFolder.ts'
import { endAll, type NodeParts } from '../../src/node/runningNode.ts'
import { defaultOptions } from '../../src/options/defaults.ts'
import type { NodeOptions } from '../../src/options/nodeOptions.ts'
import { type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import { within } from '../support/until.ts'

const RECORD: NodeRecord = {
  format: 2,
  node: 'node-a',
  cluster: 'cluster-a',
  role: 'replica',
  epoch: 3,
  term: 3,
  txidCeiling: 0,
  standby: false,
  leader: '10.0.0.1:8470',
  givenLeader: '10.0.0.1:8470',
  lineage: [],
  incarnation: '',
  members: [],
}
const FULL: FileOps = {
  ...systemFileOps,
  replace: (path) => Promise.reject(new WalcastError('DISK_FULL', { path })),
}

function setUp(t: TestContext, given: Partial<NodeOptions>) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-node-folder-'))
  const thread = new SqliteThread()
  t.after(async () => {
    await thread.stop([LOCK_CONNECTION])
    rmSync(folder, { recursive: true })
  })
  const db = join(folder, 'copy.db')
  const path = `${db}-walcast/node.json`
  mkdirSync(`${db}-walcast`)
  const options = { ...defaultOptions(), ...given, db } as NodeOptions
  const setup: NodeSetup = {
    options,
    secret: undefined,
    log: pino({ level: 'silent' }),
    version: '0',
  }
  return {
    thread,
    db,
    newFolder: () => new NodeFolder(db, setup, 'replica'),
    write: (record: NodeRecord) => writeFileSync(path, `${JSON.stringify(record, null, 2)}\n`),
    read: (): NodeRecord => JSON.parse(readFileSync(path, 'utf8')),
  }
}

test('a start reads the role file under the lock: the last node may have written it', async (t) => {
  const { thread, db, newFolder, write, read } = setUp(t, { leader: RECORD.leader })
  writeFileSync(db, '')
  write(RECORD)
  const folder = newFolder()
  const last: NodeRecord = { ...RECORD, role: 'leader', epoch: 4, term: 4, leader: '' }
  write(last)
  assert.deepEqual((await folder.open(thread, systemFileOps)).record, last)
  assert.deepEqual(read(), last)
})

test('a start knows only under the lock whether it is the first of the folder', async (t) => {
  const { thread, db, newFolder, write } = setUp(t, { leader: '10.0.0.2:8470' })
  const folder = newFolder()
  write(RECORD)
  // By now the file is a copy that the other node made.
  writeFileSync(db, '')
  const { record } = await folder.open(thread, systemFileOps)
  assert.deepEqual(record, { ...RECORD, leader: '10.0.0.2:8470', givenLeader: '10.0.0.2:8470' })
  const foreign = setUp(t, { leader: RECORD.leader })
  const first = foreign.newFolder()
  writeFileSync(foreign.db, 'somebody made it')
  await assert.rejects(first.open(foreign.thread, systemFileOps), { key: 'NOT_A_COPY' })
})

test('a node that starts as what it is writes nothing', async (t) => {
  const { thread, newFolder, write } = setUp(t, { leader: RECORD.leader, name: RECORD.node })
  write(RECORD)
  assert.deepEqual((await newFolder().open(thread, FULL)).record, RECORD)
})

test('an end ends every part, whatever fails', async () => {
  const ended: string[] = []
  const part = (name: string, fails = false) => ({
    async stop() {
      ended.push(name)
      if (fails) throw new Error(`${name} did not end`)
    },
  })
  const parts: unknown = {
    roles: part('roles', true),
    members: part('members', true),
    nodeFile: part('nodeFile'),
    thread: part('thread'),
  }
  await assert.rejects(endAll(parts as NodeParts), /roles did not end/)
  assert.deepEqual(ended, ['roles', 'members', 'nodeFile', 'thread'])
})

test('an end waits for no process that cannot be killed: the role goes all the same', async () => {
  const ended: string[] = []
  const warnings: string[] = []
  const parts: unknown = {
    past: { stop: () => new Promise(() => {}) },
    roles: { stop: async () => ended.push('roles') },
    thread: { stop: async () => ended.push('thread') },
    setup: { log: { warn: (message: string) => warnings.push(message) } },
  }
  await within('it ended', endAll(parts as NodeParts, 1), 20_000)
  assert.deepEqual(ended, ['roles', 'thread'])
  assert.equal(warnings.length, 1)
})

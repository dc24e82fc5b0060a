/** Restores to a file and plans, as the process of a node makes them. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { planOf, restorePast } from '../../../src/backup/past/askedPast.ts'
import { contentsOf } from '../../../src/backup/past/pastContents.ts'
import { DOWNLOAD } from '../../../src/backup/past/pastOrder.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { keyOf } from '../../../src/errors.ts'
import { createFileOps, systemFileOps } from '../../../src/platform/fileOps.ts'
import { BEGIN_MS, EVERY_MS, storePast } from '../../support/pastArchives.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-asked-'))
after(() => rmSync(root, { recursive: true, force: true }))

let made = 0
async function site() {
  const place = join(root, 'archive')
  const store = new DirectoryStore(place, systemFileOps)
  rmSync(place, { recursive: true, force: true })
  const states = await storePast(store, join(root, `${++made}.db`), [
    'CREATE TABLE a (x); INSERT INTO a VALUES (1)',
    'INSERT INTO a VALUES (2)',
    'INSERT INTO a VALUES (3)',
  ])
  const moment = { kind: 'time', atMs: BEGIN_MS + EVERY_MS } as const
  return { store, states, state: { place, cluster: 'cluster-a', moment } }
}

function target(folder: string, name: string | undefined, isForced = false, reserve = 0) {
  const workFolder = join(folder, '.restoring-n')
  mkdirSync(workFolder, { recursive: true })
  return { folder, name, isForced, workFolder, reserve }
}

test('a plan names the position of a moment, the files to it and their size', async () => {
  const { store, states, state } = await site()
  const plan = await planOf(state, store)
  assert.equal(plan.position, `3-${states[1].txid}`)
  assert.equal(plan.at, new Date(BEGIN_MS + EVERY_MS).toISOString())
  assert.deepEqual([plan.isLast, plan.fileCount, plan.files.length], [false, 2, 2])
  assert.equal(plan.databaseBytes, states[2].bytes.length)
  const newest = await planOf({ ...state, moment: { kind: 'newest' } }, store)
  assert.deepEqual([newest.position, newest.isLast], [`3-${states[2].txid}`, true])
  const { levels, snapshots, points, pinCount } = await contentsOf(state, store)
  assert.deepEqual(
    levels.map(({ level, files, isThinned }) => [level, files, isThinned]),
    [[0, 1, false]],
  )
  assert.deepEqual([snapshots[0].position, points, pinCount], [`3-${states[0].txid}`, [], 0])
})

test('a restored file is the state that was archived, for its owner alone', async () => {
  const { store, states, state } = await site()
  const folder = join(root, 'restored')
  const told: number[] = []
  const order = { kind: 'restore', ...state, target: target(folder, 'a.db') } as const
  const result = await restorePast(order, store, systemFileOps, ({ bytes }) => told.push(bytes))
  assert.deepEqual([result.checksum, result.integrityCheck], [states[1].checksum, 'ok'])
  const path = join(folder, 'a.db')
  assert.deepEqual(readFileSync(path), states[1].bytes)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.ok(told.length > 0)
  // The next one replaces it only by force.
  await assert.rejects(
    restorePast(order, store, systemFileOps, () => {}),
    (error) => keyOf(error) === 'RESTORE_REFUSED',
  )
  const newest = { ...order, moment: { kind: 'newest' } as const }
  const forced = { ...newest, target: target(folder, 'a.db', true) }
  await restorePast(forced, store, systemFileOps, () => {})
  assert.deepEqual(readFileSync(path), states[2].bytes)
  assert.deepEqual(readdirSync(folder).toSorted(), ['.restoring-n', 'a.db'])
  const kept = { ...order, target: target(folder, undefined) }
  await restorePast(kept, store, systemFileOps, () => {})
  assert.deepEqual(readFileSync(join(folder, '.restoring-n', DOWNLOAD)), states[1].bytes)
})

test('a full disk, and one without room, give no file', async () => {
  const { store, state } = await site()
  const folder = join(root, 'full')
  const order = { kind: 'restore', ...state, target: target(folder, 'a.db') } as const
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })
  const ops = createFileOps((op) => {
    if (op === 'restore.sync' || op === 'copy.publish') throw full
  })
  await assert.rejects(
    restorePast(order, store, ops, () => {}),
    (error) => keyOf(error) === 'DISK_FULL',
  )
  assert.equal(existsSync(join(folder, 'a.db')), false)
  const reserve = 1e15
  await assert.rejects(
    restorePast({ ...order, target: target(folder, 'a.db', false, reserve) }, store, ops, () => {}),
    (error) => keyOf(error) === 'RESTORE_NO_ROOM',
  )
})

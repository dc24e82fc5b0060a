/** What a real database was at each commit is restored from its archive, page by page, or not. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { type Restored, restore } from '../../src/backup/restore.ts'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { createFileOps, type FileOp, systemFileOps } from '../../src/platform/fileOps.ts'
import {
  archiveOf,
  changed,
  FIRST,
  fileOf,
  ONE,
  pagesOf,
  statesOf,
  TWO,
} from '../support/archives.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-restore-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Files of this test. */
let made = 0

const opensOf = (files: readonly Buffer[]) =>
  files.map(
    (bytes, i) => () =>
      ArchiveFile.open({
        name: `file ${i}`,
        bytes: bytes.length,
        read: async (at, length) => Buffer.from(bytes.subarray(at, at + length)),
      }),
  )

const newSource = () => join(folder, `source-${++made}.db`)
const newPath = () => join(folder, `restored-${++made}.db`)

function restoreAt(
  files: readonly Buffer[],
  txid: number,
  incarnation: string,
  path = newPath(),
  ops = systemFileOps,
): Promise<Restored> {
  return restore(path, opensOf(files), { incarnation, txid }, ops)
}

for (const pageSize of [512, 4096, 65536])
  test(`every commit is restored as it was, pages of ${pageSize} bytes`, async () => {
    const states = statesOf(newSource(), pageSize)
    const files = await archiveOf(states, pageSize)
    const half = Math.floor(states.length / 2)
    for (const [i, { txid, bytes, checksum }] of states.entries()) {
      const path = newPath()
      const [incarnation, needed] = i <= half ? [ONE, i === 0 ? 1 : 2] : [TWO, 3]
      const restored = await restoreAt(files.slice(0, needed), txid, incarnation, path)
      assert.deepEqual([restored.txid, restored.checksum, restored.timeMs], [txid, checksum, txid])
      assert.ok(readFileSync(path).equals(bytes), `txid ${txid}`)
      const db = new Database(path)
      assert.equal(db.pragma('integrity_check', { simple: true }), 'ok')
      db.close()
    }
  })

/** Nothing has the name of the restored database, and nothing lies beside it. */
async function refused(code: string, run: (path: string) => Promise<unknown>): Promise<void> {
  const path = newPath()
  await assert.rejects(run(path), (error) => keyOf(error) === code, code)
  const name = path.slice(folder.length + 1)
  assert.deepEqual(
    readdirSync(folder).filter((each) => each.startsWith(name)),
    [],
  )
}

test('a gap, a wrong order and another state are never shown as a good restore', async () => {
  const pageSize = 1024
  const states = statesOf(newSource(), pageSize)
  const [snapshot, first, second] = await archiveOf(states, pageSize)
  const last = states[states.length - 1].txid
  await refused('ARCHIVE_GAP', (path) => restoreAt([snapshot, second], last, TWO, path))
  await refused('ARCHIVE_GAP', (path) => restoreAt([first], states[1].txid, ONE, path))
  await refused('ARCHIVE_GAP', (path) => restoreAt([snapshot, first], last, TWO, path))
  await refused('ARCHIVE_GAP', (path) => restoreAt([snapshot, snapshot], states[1].txid, ONE, path))
  await refused('ARCHIVE_GAP', (path) => restoreAt([], FIRST, ONE, path))
  const [one, two] = states
  const lied = await fileOf(pageSize, {
    about: { fromTxid: one.txid, fromChecksum: one.checksum },
    points: [[two, changed(one, two, pageSize).slice(1)]],
  })
  await refused('ARCHIVE_MISMATCH', (path) => restoreAt([snapshot, lied], two.txid, ONE, path))
  const hole = await fileOf(pageSize, {
    about: { kind: 'snapshot', fromIncarnation: '', fromEpoch: 0 },
    points: [[two, pagesOf(two.bytes, pageSize).slice(0, -1)]],
  })
  await refused('ARCHIVE_MISMATCH', (path) => restoreAt([hole], two.txid, ONE, path))
})

test('a transaction that is larger than a file is restored from all its parts', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two] = states
  const [snapshot] = await archiveOf(states, pageSize)
  const images = changed(one, two, pageSize)
  const about = { fromTxid: one.txid, fromChecksum: one.checksum }
  const open = { ...two, checksum: '0000000000000000' }
  const begun = await fileOf(pageSize, {
    about,
    points: [[open, images.slice(0, 5)]],
    isOpen: true,
  })
  const ended = await fileOf(pageSize, { about, points: [[two, images.slice(5)]], continues: true })
  const path = newPath()
  await restoreAt([snapshot, begun, ended], two.txid, ONE, path)
  assert.ok(readFileSync(path).equals(two.bytes))
  await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, begun], two.txid, ONE, at))
  await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, ended], two.txid, ONE, at))
})

test('a file that is there is kept, and a failure at any step leaves nothing', async () => {
  const pageSize = 4096
  const states = statesOf(newSource(), pageSize)
  const files = await archiveOf(states, pageSize)
  const { txid, bytes } = states[2]
  const kept = newPath()
  await restoreAt(files.slice(0, 2), txid, ONE, kept)
  await assert.rejects(
    restoreAt(files.slice(0, 2), states[3].txid, ONE, kept),
    (error) => keyOf(error) === 'WRITE_FAILED',
  )
  assert.ok(readFileSync(kept).equals(bytes))
  assert.equal(existsSync(`${kept}-restoring`), false)
  for (const step of ['restore.write', 'restore.sync', 'copy.publish'] satisfies FileOp[])
    await refused('DISK_FULL', (path) => {
      const ops = createFileOps((op) => {
        if (op === step) throw new WalcastError('DISK_FULL', { path })
      })
      return restoreAt(files.slice(0, 2), txid, ONE, path, ops)
    })
})

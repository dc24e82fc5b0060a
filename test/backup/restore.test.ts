/** What a real database was at each commit is restored from its archive, page by page, or not. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import type { PageImage } from '../../src/backup/archiveFileWriter.ts'
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
  type State,
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
  await refused('ARCHIVE_GAP', (path) => restoreAt([snapshot, snapshot], FIRST, ONE, path))
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

/** `bytes` with every page filled anew: what a part holds that a later part corrects. */
const spoilt = (images: readonly PageImage[], fill: number): PageImage[] =>
  images.map(({ number, bytes }) => ({ number, bytes: Buffer.alloc(bytes.length, fill) }))

/** An open position: its checksum and its number of pages are not known yet. */
const openAt = ({ txid }: State, bytes: Buffer): State => ({
  txid,
  bytes,
  checksum: '0000000000000000',
})

test('of parts that hold the same page the later one counts, past the last size none', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two] = states
  const whole = pagesOf(one.bytes, pageSize)
  const longer = openAt(one, Buffer.alloc(one.bytes.length + 3 * pageSize))
  const beyond = [1, 2, 3].map((i) => ({
    number: whole.length + i,
    bytes: Buffer.alloc(pageSize, 'x'),
  }))
  const about = { kind: 'snapshot' as const, fromIncarnation: '', fromEpoch: 0 }
  const snapshot = [
    await fileOf(pageSize, {
      about,
      points: [[longer, [...spoilt(whole, 1), ...beyond]]],
      isOpen: true,
    }),
    await fileOf(pageSize, {
      about,
      points: [[openAt(one, one.bytes), spoilt(whole.slice(0, 1), 2)]],
      continues: true,
      isOpen: true,
    }),
    await fileOf(pageSize, { about, points: [[one, whole]], continues: true }),
  ]
  const path = newPath()
  await restoreAt(snapshot, one.txid, ONE, path)
  assert.ok(readFileSync(path).equals(one.bytes))

  const images = changed(one, two, pageSize)
  const from = { fromTxid: one.txid, fromChecksum: one.checksum }
  const changes = [
    await fileOf(pageSize, {
      about: from,
      points: [[openAt(two, two.bytes), spoilt(images, 3)]],
      isOpen: true,
    }),
    await fileOf(pageSize, { about: from, points: [[two, images]], continues: true }),
  ]
  const next = newPath()
  await restoreAt([...snapshot, ...changes], two.txid, ONE, next)
  assert.ok(readFileSync(next).equals(two.bytes))

  const half = await fileOf(pageSize, {
    about: from,
    points: [[two, images.slice(1)]],
    continues: true,
  })
  const stale = [...snapshot, changes[0], half]
  await refused('ARCHIVE_MISMATCH', (at) => restoreAt(stale, two.txid, ONE, at))
})

test('a part goes on with its own position only, and all files are of one database', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two, three] = states
  const [snapshot, first] = await archiveOf(states, pageSize)
  const about = { fromTxid: one.txid, fromChecksum: one.checksum }
  const images = changed(one, two, pageSize)
  const begun = await fileOf(pageSize, {
    about,
    points: [[openAt(two, two.bytes), images.slice(0, 5)]],
    isOpen: true,
  })
  const ending = (more: Partial<ArchiveHeader>, state = two) =>
    fileOf(pageSize, {
      about: { ...about, ...more },
      points: [[state, images.slice(5)]],
      continues: true,
    })
  for (const other of [
    await ending({}, { ...three, bytes: two.bytes, checksum: two.checksum }),
    await ending({ incarnation: TWO }),
    await ending({ kind: 'snapshot' }),
    await ending({ cluster: 'cluster-b' }),
    await ending({ db: 'other' }),
  ]) {
    await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, begun, other], two.txid, ONE, at))
    await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, begun, other], three.txid, ONE, at))
  }
  const wider = await archiveOf(statesOf(newSource(), 1024), 1024)
  await refused('ARCHIVE_GAP', (at) => restoreAt([snapshot, wider[1]], two.txid, ONE, at))
  const path = newPath()
  await restoreAt([snapshot, first], two.txid, ONE, path)
  assert.ok(readFileSync(path).equals(two.bytes))
})

test('a position in a file that ends in a part of another one is restored', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two, three] = states
  const [snapshot] = await archiveOf(states, pageSize)
  const about = { fromTxid: one.txid, fromChecksum: one.checksum }
  const images = changed(two, three, pageSize)
  const begun = await fileOf(pageSize, {
    about,
    points: [
      [two, changed(one, two, pageSize)],
      [openAt(three, three.bytes), images.slice(0, 1)],
    ],
    isOpen: true,
  })
  const ended = await fileOf(pageSize, {
    about: { fromTxid: two.txid, fromChecksum: two.checksum },
    points: [[three, images.slice(1)]],
    continues: true,
  })
  for (const [txid, bytes] of [
    [two.txid, two.bytes],
    [three.txid, three.bytes],
  ] as const) {
    const path = newPath()
    await restoreAt([snapshot, begun, ended], txid, ONE, path)
    assert.ok(readFileSync(path).equals(bytes), `txid ${txid}`)
  }
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

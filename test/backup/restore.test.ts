/** What a real database was at each commit is restored from its archive, page by page, or not. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { ArchiveFileWriter, type PageImage } from '../../src/backup/archiveFileWriter.ts'
import { type Restored, restore } from '../../src/backup/restore.ts'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { createFileOps, type FileOp, systemFileOps } from '../../src/platform/fileOps.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-restore-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const ONE = '1111111111111111'
const TWO = '2222222222222222'
const FIRST = 100
/** Files of this test. */
let made = 0

/** The whole database at one txid. */
interface State {
  readonly txid: number
  readonly bytes: Buffer
  readonly checksum: string
}

/** Commits that grow, shrink, rewrite and reshape a database. */
const STEPS = [
  'CREATE TABLE a (id INTEGER PRIMARY KEY, b); INSERT INTO a (b) VALUES (1)',
  `INSERT INTO a (b) SELECT randomblob(900) FROM generate`,
  'UPDATE a SET b = randomblob(50) WHERE id % 7 = 0',
  'CREATE INDEX by_b ON a (b)',
  'DELETE FROM a WHERE id > 20',
  'VACUUM',
  'ALTER TABLE a ADD COLUMN c DEFAULT 5',
  `INSERT INTO a (b) SELECT zeroblob(3000) FROM generate`,
]
const GENERATE =
  'CREATE TEMP VIEW generate AS WITH RECURSIVE s (n) AS ' +
  '(SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 60) SELECT n FROM s'

function statesOf(pageSize: number): State[] {
  const path = join(folder, `source-${++made}.db`)
  const db = new Database(path)
  db.pragma(`page_size = ${pageSize}`)
  db.pragma('journal_mode = WAL')
  db.exec(GENERATE)
  const states = STEPS.map((sql, i) => {
    db.exec(sql)
    db.pragma('wal_checkpoint(TRUNCATE)')
    const bytes = readFileSync(path)
    return { txid: FIRST + i, bytes, checksum: checksumOf(bytes, pageSize) }
  })
  db.close()
  return states
}

function pagesOf(bytes: Buffer, pageSize: number): PageImage[] {
  return Array.from({ length: bytes.length / pageSize }, (_, i) => ({
    number: i + 1,
    bytes: bytes.subarray(i * pageSize, (i + 1) * pageSize),
  }))
}

function checksumOf(bytes: Buffer, pageSize: number): string {
  const sums = new PageSums(pageSize)
  for (const page of pagesOf(bytes, pageSize))
    sums.set(page.number, pageSum(page.number, page.bytes))
  return checksumHex(sums.state)
}

/** The pages of `now` that differ from `before`. */
function changed(before: State, now: State, pageSize: number): PageImage[] {
  const old = pagesOf(before.bytes, pageSize)
  return pagesOf(now.bytes, pageSize).filter(
    ({ bytes }, i) => i >= old.length || Buffer.compare(old[i].bytes, bytes) !== 0,
  )
}

interface Piece {
  readonly about: Partial<ArchiveHeader>
  readonly points: readonly (readonly [State, readonly PageImage[]])[]
  readonly continues?: boolean
  readonly isOpen?: boolean
}

async function fileOf(
  pageSize: number,
  { about, points, continues = false, isOpen = false }: Piece,
): Promise<Buffer> {
  const header: ArchiveHeader = {
    kind: 'changes',
    cluster: 'cluster-a',
    db: 'main',
    incarnation: ONE,
    epoch: 1,
    pageSize,
    codec: 'deflate',
    blockPages: 4,
    fromIncarnation: ONE,
    fromEpoch: 1,
    fromTxid: 0,
    fromChecksum: '',
    createdMs: 0,
    node: 'node-a',
    writer: 'test',
    ...about,
  }
  const pieces: Buffer[] = []
  const writer = await ArchiveFileWriter.begin(header, async (bytes) => {
    pieces.push(Buffer.from(bytes))
  })
  for (const [{ txid, checksum, bytes }, images] of points)
    await writer.add({ txid, checksum, timeMs: txid, pages: bytes.length / pageSize }, images)
  await writer.end({ continues, isOpen })
  return Buffer.concat(pieces)
}

/** A snapshot of the first state, and two files of changes: the second is of a new incarnation. */
async function archiveOf(states: readonly State[], pageSize: number): Promise<Buffer[]> {
  const [first] = states
  const half = Math.floor(states.length / 2)
  const run = (from: number, to: number, incarnation: string) =>
    fileOf(pageSize, {
      about: {
        incarnation,
        fromTxid: states[from].txid,
        fromChecksum: states[from].checksum,
      },
      points: states
        .slice(from + 1, to + 1)
        .map((state, i) => [state, changed(states[from + i], state, pageSize)]),
    })
  const snapshot = await fileOf(pageSize, {
    about: { kind: 'snapshot', fromIncarnation: '', fromEpoch: 0 },
    points: [[first, pagesOf(first.bytes, pageSize)]],
  })
  return [snapshot, await run(0, half, ONE), await run(half, states.length - 1, TWO)]
}

const opensOf = (files: readonly Buffer[]) =>
  files.map(
    (bytes, i) => () =>
      ArchiveFile.open({
        name: `file ${i}`,
        bytes: bytes.length,
        read: async (at, length) => Buffer.from(bytes.subarray(at, at + length)),
      }),
  )

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
    const states = statesOf(pageSize)
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
  const states = statesOf(pageSize)
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
  const states = statesOf(pageSize)
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
  const states = statesOf(pageSize)
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

/** Looks at WALs that SQLite wrote, whole, cut, damaged and left over. */
import assert from 'node:assert/strict'
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import { keyOf } from '../../src/errors.ts'
import { closeWalFiles, openWalFiles } from '../../src/sqlite/walFiles.ts'
import { frameBytes, frameOffset } from '../../src/sqlite/walFormat.ts'
import { viewWalIndex } from '../../src/sqlite/walIndexView.ts'
import { viewRemains, viewWalHeader, WalScan, type WalView } from '../../src/sqlite/walScan.ts'

const PAGE = 1024

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/**
 * A copy of the WAL files of a database after so many commits of one row each: what `commit` wrote
 * first is backfilled, and `left` commits begin the WAL again.
 */
function copied(t: TestContext, commits: number, left = 0): { wal: string; commits: number } {
  const folder = folderOf(t)
  const path = join(folder, 'app.db')
  const db = new Database(path)
  db.pragma(`page_size = ${PAGE}`)
  db.pragma('journal_mode = wal')
  db.pragma('wal_autocheckpoint = 0')
  db.exec('CREATE TABLE t (a)')
  const insert = db.prepare('INSERT INTO t VALUES (randomblob(5000))')
  for (let i = 1; i < commits; i++) insert.run()
  if (left > 0) db.pragma('wal_checkpoint(passive)')
  for (let i = 0; i < left; i++) insert.run()
  for (const suffix of ['', '-wal', '-shm'])
    copyFileSync(`${path}${suffix}`, join(folder, `copy.db${suffix}`))
  db.close()
  return { wal: join(folder, 'copy.db-wal'), commits: left || commits }
}

function looked(t: TestContext, wal: string) {
  const fd = openSync(wal, 'r')
  t.after(() => closeSync(fd))
  const view = viewWalHeader(fd)
  assert.ok(view?.header)
  const scan = new WalScan(fd, view.header)
  const views = [...scan.views()]
  const end = views.at(-1)
  assert.ok(end?.type === 'end')
  return { fd, header: view.header, scan, views, end }
}

const ofType = <T extends WalView['type']>(views: readonly WalView[], type: T) =>
  views.filter((view): view is Extract<WalView, { type: T }> => view.type === type)

test('every transaction is found, with its frames, and nothing lies behind them', (t) => {
  const { wal, commits } = copied(t, 40)
  const { fd, header, views, end } = looked(t, wal)
  const transactions = ofType(views, 'transaction')
  const frames = ofType(views, 'frame')
  assert.equal(transactions.length, commits)
  assert.deepEqual([end.transactions, end.lastCommit], [commits, end.lastValid])
  assert.deepEqual(
    frames.map(({ frame }) => frame),
    Array.from({ length: end.lastValid }, (_, i) => i + 1),
  )
  let before = 0
  for (const { number, first, last, databasePages } of transactions) {
    assert.equal(first, before + 1)
    assert.equal(frames[last - 1].commitPages, databasePages)
    assert.ok(frames.slice(first - 1, last - 1).every(({ commitPages }) => commitPages === 0))
    assert.equal(transactions[number - 1].last, last)
    before = last
  }
  assert.deepEqual(viewRemains(fd, header, end.lastValid), {
    ...{ frames: 0, bytes: 0, runs: [], moreRuns: 0 },
  })
})

test('what an earlier generation left is named with its salts', (t) => {
  const { wal, commits } = copied(t, 40, 2)
  const { fd, header, end } = looked(t, wal)
  assert.equal(end.transactions, commits)
  const { frames, runs, bytes } = viewRemains(fd, header, end.lastValid)
  assert.deepEqual([runs.length, runs[0].kind, bytes], [1, 'other salts', 0])
  assert.deepEqual([runs[0].first, runs[0].last], [end.lastValid + 1, end.lastValid + frames])
  // SQLite adds 1 to the first salt when a WAL starts over.
  assert.equal((runs[0].salts[0] + 1) >>> 0, header.salt1)
})

test('one flipped bit ends the valid frames there; the wal-index still publishes more', (t) => {
  const { wal } = copied(t, 40)
  const whole = looked(t, wal).end.lastValid
  const bytes = readFileSync(wal)
  bytes[frameOffset(17, PAGE) + 500] ^= 1
  writeFileSync(wal, bytes)
  const { fd, header, scan, end } = looked(t, wal)
  assert.equal(end.lastValid, 16)
  assert.ok(end.lastCommit <= 16)
  const { runs } = viewRemains(fd, header, end.lastValid)
  assert.deepEqual(
    runs.map(({ kind, first, last }) => [kind, first, last]),
    [['wrong checksum', 17, whole]],
  )
  const files = openWalFiles(wal)
  t.after(() => closeWalFiles(files))
  const index = viewWalIndex(files.shm?.fd ?? -1)
  assert.equal(index?.areCopiesEqual, true)
  assert.equal(index?.copies[0]?.mxFrame, whole)
  assert.equal(scan.reach(whole), 16)
})

test('a cut WAL ends at its last whole frame, with the rest counted', (t) => {
  const { wal } = copied(t, 20)
  truncateSync(wal, frameOffset(11, PAGE) + 100)
  const { fd, header, end } = looked(t, wal)
  assert.equal(end.lastValid, 10)
  assert.deepEqual(viewRemains(fd, header, 10), { frames: 0, bytes: 100, runs: [], moreRuns: 0 })
})

test('frames that are added meanwhile are reached, and a WAL that starts over is noticed', (t) => {
  const { wal } = copied(t, 20)
  const bytes = readFileSync(wal)
  truncateSync(wal, frameOffset(11, PAGE))
  const { scan, end } = looked(t, wal)
  writeFileSync(wal, bytes)
  assert.ok(end.lastValid === 10 && scan.reachEnd() > 10)
  assert.equal(scan.reachEnd(), (bytes.length - 32) / frameBytes(PAGE))
  assert.equal(scan.hasStartedOver(), false)
  bytes[19] ^= 1
  writeFileSync(wal, bytes)
  assert.equal(scan.hasStartedOver(), true)
})

test('a header that is damaged is shown and is not valid', (t) => {
  const { wal } = copied(t, 2)
  const bytes = readFileSync(wal)
  for (const at of [5, 10, 20, 30]) {
    const spoilt = Buffer.from(bytes)
    spoilt[at] ^= 1
    writeFileSync(wal, spoilt)
    const fd = openSync(wal, 'r')
    const view = viewWalHeader(fd)
    closeSync(fd)
    assert.equal(view?.header, undefined, `byte ${at}`)
    assert.equal(view?.isChecksumRight, false, `byte ${at}`)
  }
  truncateSync(wal, 31)
  const fd = openSync(wal, 'r')
  assert.equal(viewWalHeader(fd), undefined)
  closeSync(fd)
})

test('a wal-index whose copies differ shows the right one, and marks that are in use', (t) => {
  const { wal } = copied(t, 5)
  const shm = wal.replace('-wal', '-shm')
  const bytes = readFileSync(shm)
  bytes[48 + 16] ^= 1
  bytes.writeUInt32LE(3, 104)
  bytes.writeUInt32LE(0xffffffff, 108)
  writeFileSync(shm, bytes)
  const fd = openSync(shm, 'r')
  t.after(() => closeSync(fd))
  const view = viewWalIndex(fd)
  assert.ok(view?.copies[0])
  assert.deepEqual([view.copies[1], view.areCopiesEqual], [undefined, false])
  assert.deepEqual(view.readMarks.slice(0, 3), [0, 3, undefined])
})

test('each of three files finds the others; copies stand alone; other files are refused', (t) => {
  const { wal } = copied(t, 3)
  const database = wal.replace('-wal', '')
  const found = (path: string) => {
    const files = openWalFiles(path)
    closeWalFiles(files)
    return [files.database?.path, files.wal?.path, files.shm?.path]
  }
  const family = [database, wal, `${database}-shm`]
  for (const path of family) assert.deepEqual(found(path), family, path)
  const folder = folderOf(t)
  copyFileSync(wal, join(folder, 'a'))
  copyFileSync(`${database}-shm`, join(folder, 'b'))
  assert.deepEqual(found(join(folder, 'a')), [undefined, join(folder, 'a'), undefined])
  assert.deepEqual(found(join(folder, 'b')), [undefined, undefined, join(folder, 'b')])
  writeFileSync(join(folder, 'text'), 'nothing of SQLite at all')
  writeFileSync(join(folder, 'short'), 'short')
  for (const [name, key] of [
    ['text', 'WAL_FOREIGN'],
    ['short', 'WAL_FOREIGN'],
    ['.', 'WAL_FOREIGN'],
    ['missing', 'DB_MISSING'],
  ])
    assert.throws(
      () => openWalFiles(join(folder, name)),
      (error) => keyOf(error) === key,
      name,
    )
})

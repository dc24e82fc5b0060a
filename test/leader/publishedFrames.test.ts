/**
 * Capture of what SQLite before 3.41 publishes without salts and checksums: all of it as readers
 * see it, and nothing in doubt.
 */
import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import type { CapturedBatch } from '../../src/feed/batch.ts'
import { Capture } from '../../src/leader/capture.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { type DatabaseFiles, inspectDatabase, openFiles } from '../../src/sqlite/databaseFiles.ts'
import { scanBackfilled, scanDatabase } from '../../src/sqlite/databaseScan.ts'
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { FRAME_HEADER_BYTES, frameBytes, frameOffset } from '../../src/sqlite/walFormat.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { checksumHex } from '../../src/xxh64.ts'
import { PythonSqlite } from '../support/pythonSqlite.ts'
import { temporaryFolder } from '../support/sourceDatabase.ts'
import { randomOf } from '../support/until.ts'

const PAGE_SIZE = 512
const SERIES = 'WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <'

const folder = temporaryFolder()
const python = new PythonSqlite()
after(async () => {
  await python.stop()
  folder.remove()
})
let names = 0

/** A database that an old SQLite writes to, and what a leader captures of it. */
class Old {
  readonly name = `old${++names}`
  readonly path = join(folder.path, `${this.name}.db`)
  readonly batches: CapturedBatch[] = []
  /** Frames of each run that did not verify. */
  readonly runs: number[] = []
  #files!: DatabaseFiles
  #capture!: Capture
  #reader!: Database.Database

  static async make(segmentFrames: number): Promise<Old> {
    const old = new Old()
    await python.open(old.name, old.path)
    await old.run(
      `PRAGMA page_size=${PAGE_SIZE}`,
      'PRAGMA journal_mode=wal',
      'PRAGMA wal_autocheckpoint=0',
    )
    await old.run('PRAGMA cache_size=5', 'CREATE TABLE t (id INTEGER PRIMARY KEY, g, body)')
    await old.run(
      'CREATE INDEX g ON t (g)',
      'CREATE TABLE meta (value)',
      'INSERT INTO meta VALUES (0)',
    )
    await old.insert(200)
    old.#files = openFiles(inspectDatabase(old.path), PAGE_SIZE)
    const scanned = await scanDatabase(old.#files, segmentFrames * frameBytes(PAGE_SIZE))
    old.#capture = new Capture(
      {
        db: 'main',
        epoch: 1,
        incarnation: '0123456789abcdef',
        txid: 1,
        pageSize: PAGE_SIZE,
        walFd: old.#files.walFd,
        ...scanned,
      },
      {
        clock: systemClock,
        mayReset: () => false,
        onFrame() {},
        mayReadAhead: () => true,
        record() {},
        publish: (batch) => old.batches.push(batch),
        onUnverified: (frames) => old.runs.push(frames),
      },
    )
    old.#reader = new Database(old.path, { readonly: true })
    return old
  }

  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await python.rows(this.name, statement)
  }

  insert(rows: number): Promise<void> {
    return this.run(
      `${SERIES} ${rows}) INSERT INTO t (g, body) SELECT n % 7, randomblob(300) FROM n`,
    )
  }

  /** Spilled, rolled back to a savepoint, and shorter then than before. */
  async commitBadly(rows = 3): Promise<void> {
    await this.run('BEGIN IMMEDIATE', 'UPDATE meta SET value = value + 1', 'SAVEPOINT s')
    await this.insert(40)
    await this.run('ROLLBACK TO s')
    await this.insert(rows)
    await this.run('COMMIT')
  }

  look(): void {
    while ((this.#capture.look(0) ?? 1) > 0 || !this.#capture.isAtEnd) {
      // Once more, until nothing is left.
    }
  }

  /** What is captured is what a reader sees. */
  requireSame(): void {
    const image = this.#reader.serialize()
    let state = 0n
    for (let page = 1; page <= image.length / PAGE_SIZE; page++)
      state ^= pageSum(page, image.subarray((page - 1) * PAGE_SIZE, page * PAGE_SIZE))
    assert.equal(this.#capture.checksum, checksumHex(state))
  }

  get mxFrame(): number {
    return (
      new WalIndexReader(this.#files.shm.fd).read()?.mxFrame ?? assert.fail('there is no wal-index')
    )
  }

  get frame(): number {
    return this.#capture.walFrames
  }

  /** The first frame after `from` that has neither salts nor checksum; 0 when there is none. */
  unsignedAfter(from: number): number {
    const header = Buffer.alloc(FRAME_HEADER_BYTES)
    for (let frame = from + 1; frame <= this.mxFrame; frame++) {
      readSync(this.#files.walFd, header, 0, header.length, frameOffset(frame, PAGE_SIZE))
      if (header.subarray(8).every((byte) => byte === 0)) return frame
    }
    return 0
  }

  /** Changes a byte of a frame, its header included. */
  flip(frame: number, at: number): void {
    const fd = openSync(`${this.path}-wal`, 'r+')
    const byte = Buffer.alloc(1)
    readSync(fd, byte, 0, 1, frameOffset(frame, PAGE_SIZE) + at)
    byte[0] ^= 0xff
    writeSync(fd, byte, 0, 1, frameOffset(frame, PAGE_SIZE) + at)
    closeSync(fd)
  }
}

for (const segmentFrames of [4, 1000])
  test(`all commits arrive in one epoch, read ${segmentFrames} frames at a time`, async () => {
    const old = await Old.make(segmentFrames)
    const random = randomOf(segmentFrames)
    let unsigned = 0
    for (let round = 0; round < 30; round++) {
      const from = old.frame
      const commits = 1 + Math.floor(random() * 3)
      for (let i = 0; i < commits; i++)
        if (random() < 0.6) await old.commitBadly(1 + Math.floor(random() * 30))
        else await old.insert(1 + Math.floor(random() * 5))
      if (old.unsignedAfter(from) > 0) unsigned++
      old.look()
      old.requireSame()
    }
    assert.ok(unsigned > 5, `${unsigned} rounds had frames without checksums`)
    assert.equal(old.runs.length, unsigned, 'they are taken without their checksums, and no others')
    const whole = old.batches.filter(({ last }) => last)
    for (const [i, { from }] of whole.entries())
      if (i > 0)
        assert.deepEqual(from, { txid: whole[i - 1].txid, checksum: whole[i - 1].checksum })
    if (segmentFrames < 10)
      assert.ok(old.batches.length > whole.length, 'large ones came in chunks')
  })

/** A run that is not captured yet, after one that is when `again`. */
async function withRun(again = false): Promise<{ old: Old; captured: number; first: number }> {
  const old = await Old.make(1000)
  const commit = async () => {
    const from = old.mxFrame
    for (let round = 0; old.unsignedAfter(from) === 0; round++) {
      assert.ok(round < 50, 'this SQLite does not publish frames without checksums')
      await old.commitBadly()
    }
  }
  old.look()
  if (again) {
    await commit()
    old.look()
    old.requireSame()
  }
  const captured = old.mxFrame
  await commit()
  return { old, captured, first: old.unsignedAfter(captured) }
}

function requireDoubt(old: Old): void {
  const { length } = old.batches
  assert.throws(() => old.look(), { key: 'WAL_BROKEN' })
  assert.ok(
    old.batches.slice(length).every(({ last }) => !last),
    'no transaction of it is handed on',
  )
}

for (const [what, change] of [
  ['salts that are wrong', ({ old, first }) => old.flip(first, 8)],
  ['a checksum that is wrong', ({ old, first }) => old.flip(first, 23)],
  ['another page than the wal-index says', ({ old, first }) => old.flip(first, 3)],
  ['another page in its last frame', ({ old }) => old.flip(old.mxFrame, 3)],
  ['another size of the database', ({ old }) => old.flip(old.mxFrame, 7)],
  ['a captured frame before it that is another one', ({ old, captured }) => old.flip(captured, 20)],
] as readonly [string, (run: Awaited<ReturnType<typeof withRun>>) => void][])
  test(`a run with ${what} is not taken`, async () => {
    const run = await withRun()
    change(run)
    requireDoubt(run.old)
  })

test('a second run is taken when the first is still what was captured', async () => {
  const { old } = await withRun(true)
  old.look()
  old.requireSame()
  assert.equal(old.runs.length, 2)
})

for (const [what, at] of [
  ['image', FRAME_HEADER_BYTES + 100],
  ['page number', 3],
] as const)
  test(`a second run is not taken when a frame of the first has another ${what}`, async () => {
    const { old, captured } = await withRun(true)
    // Its commit frame is never written again within it.
    old.flip(captured, at)
    requireDoubt(old)
  })

test('a WAL that starts over during the scan is read from its beginning', async () => {
  const old = new Old()
  await python.open(old.name, old.path)
  await old.run('PRAGMA journal_mode=wal', 'PRAGMA wal_autocheckpoint=0', 'CREATE TABLE t (v)')
  const files = openFiles(inspectDatabase(old.path), 4096)
  const header = new WalIndexReader(files.shm.fd).read() ?? assert.fail('there is no wal-index')
  const same = await scanBackfilled(files, header, 65536)
  assert.ok(same.reader.isGeneration(header.salt1, header.salt2))
  assert.equal(same.reader.frame, header.mxFrame)
  await old.run('PRAGMA wal_checkpoint(TRUNCATE)', 'INSERT INTO t VALUES (1)')
  const later = await scanBackfilled(files, header, 65536)
  const now = later.walIndex.read() ?? assert.fail('there is no wal-index')
  assert.notEqual(now.salt1, header.salt1)
  assert.ok(!later.reader.isGeneration(now.salt1, now.salt2), 'capture begins it')
  assert.equal(later.reader.frame, 0)
})

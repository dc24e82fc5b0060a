/**
 * The scrub of a real database and its WAL: what rots is found exactly, and nothing else ever is.
 */
import assert from 'node:assert/strict'
import { fstatSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { PositionRing, RING_POSITIONS } from '../../../src/database/positionRing.ts'
import { Capture } from '../../../src/leader/capture.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import {
  type DatabaseFiles,
  inspectDatabase,
  openFiles,
} from '../../../src/sqlite/databaseFiles.ts'
import { scanDatabase } from '../../../src/sqlite/databaseScan.ts'
import type { CheckedPages } from '../../../src/sqlite/pageCheck.ts'
import { DiskReader } from '../../../src/sqlite/scrub/diskReader.ts'
import { Scrubber, type ScrubberHost } from '../../../src/sqlite/scrub/scrubber.ts'
import { type RottenPage, type ScrubHost, ScrubPass } from '../../../src/sqlite/scrub/scrubPass.ts'
import {
  type Change,
  PAGE_SIZES,
  SourceDatabase,
  temporaryFolder,
} from '../../support/sourceDatabase.ts'
import { randomOf, until, within } from '../../support/until.ts'

const folder = temporaryFolder()
after(() => folder.remove())
let names = 0

/** A database, and what a leader keeps of it in memory. */
class Captured {
  readonly source: SourceDatabase
  readonly files: DatabaseFiles
  readonly pages: CheckedPages
  readonly #capture: Capture
  isAtRest = true

  private constructor(
    source: SourceDatabase,
    files: DatabaseFiles,
    pages: CheckedPages,
    capture: Capture,
  ) {
    this.source = source
    this.files = files
    this.pages = pages
    this.#capture = capture
  }

  static async make(pageSize: number, rows = 400): Promise<Captured> {
    const source = new SourceDatabase(join(folder.path, `${++names}.db`), pageSize)
    source.insert(rows, 900)
    source.db.pragma('wal_checkpoint(TRUNCATE)')
    const files = openFiles(inspectDatabase(source.path), pageSize)
    const scanned = await scanDatabase(files, 1024 * 1024)
    const capture = new Capture(
      {
        db: 'main',
        epoch: 1,
        incarnation: '0123456789abcdef',
        txid: 1,
        pageSize,
        walFd: files.walFd,
        ...scanned,
      },
      {
        clock: systemClock,
        mayReset: () => true,
        onFrame() {},
        mayReadAhead: () => true,
        record() {},
        publish() {},
        onUnverified() {},
      },
    )
    return new Captured(
      source,
      files,
      { files, sums: scanned.sums, frames: scanned.frames },
      capture,
    )
  }

  look(): void {
    while ((this.#capture.look(0) ?? 1) > 0 || !this.#capture.isAtEnd) {
      // Once more, until nothing is left.
    }
  }

  /** All frames are captured first, as a leader's read guard sees to. */
  checkpoint(mode: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'): void {
    this.look()
    this.source.db.pragma(`wal_checkpoint(${mode})`)
  }

  /** Flips a byte in the file. */
  rot(page: number, at: number): void {
    const byte = Buffer.alloc(1)
    const position = (page - 1) * this.files.pageSize + (at % this.files.pageSize)
    readSync(this.files.database.fd, byte, 0, 1, position)
    byte[0] ^= 0xff
    writeSync(this.files.database.fd, byte, 0, 1, position)
  }

  async pass(): Promise<{ rotten: number[]; pagesRead: number; isStateRight: boolean }> {
    const host: ScrubHost = {
      pages: () => (this.isAtRest ? this.pages : undefined),
      look: () => this.look(),
      pace: async () => {},
      onChecked() {},
    }
    const result = await new ScrubPass(host, new AbortController().signal).run()
    assert.ok(result.isWhole)
    return { ...result, rotten: result.rotten.map(({ page }) => page).sort((a, b) => a - b) }
  }
}

for (const pageSize of PAGE_SIZES) {
  test(`rotten pages are found, exactly those, with pages of ${pageSize} bytes`, async () => {
    const captured = await Captured.make(pageSize)
    const { pages } = captured.pages.sums
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.record({ page: fc.integer({ min: 1, max: pages }), at: fc.nat(70_000) }),
          {
            maxLength: 5,
            selector: ({ page }) => page,
          },
        ),
        async (flips) => {
          for (const { page, at } of flips) captured.rot(page, at)
          const { rotten, pagesRead } = await captured.pass()
          assert.deepEqual(
            rotten,
            flips.map(({ page }) => page).sort((a, b) => a - b),
          )
          assert.equal(pagesRead, pages)
          for (const { page, at } of flips) captured.rot(page, at)
        },
      ),
      { numRuns: 6 },
    )
  })
}

test('a page with its newest image in the WAL rots harmlessly until backfilled', async () => {
  const captured = await Captured.make(4096)
  captured.source.apply({ kind: 'update', every: 2, bytes: 800 })
  captured.look()
  const page = Array.from({ length: captured.pages.sums.pages }, (_, i) => i + 1).find(
    (each) => each > 1 && captured.pages.frames.get(each) > 0,
  )
  assert.ok(page)
  captured.rot(page, 100)
  assert.deepEqual((await captured.pass()).rotten, [])
  captured.checkpoint('PASSIVE')
  assert.deepEqual((await captured.pass()).rotten, [], 'the backfill has mended it')
  captured.rot(page, 100)
  assert.deepEqual(
    (await captured.pass()).rotten,
    [page],
    'the file counts although the WAL still has the page',
  )
})

test('commits that were published and not yet looked at are no alarm', async () => {
  const captured = await Captured.make(1024)
  captured.source.apply({ kind: 'update', every: 2, bytes: 800 })
  captured.source.apply({ kind: 'delete', every: 3 })
  captured.source.apply({ kind: 'incremental', pages: 10 })
  assert.deepEqual((await captured.pass()).rotten, [])
})

test('pages are looked at only while the database is at rest', async () => {
  const captured = await Captured.make(4096)
  captured.isAtRest = false
  let isOver = false
  const pass = captured.pass().then((result) => {
    isOver = true
    return result
  })
  await delay(60)
  assert.equal(isOver, false)
  captured.isAtRest = true
  assert.deepEqual((await pass).rotten, [])
})

test('a state checksum that does not follow from the page checksums is told', async () => {
  const captured = await Captured.make(4096)
  assert.equal((await captured.pass()).isStateRight, true)
  const sums = new Proxy(captured.pages.sums, {
    get: (target, name) => {
      if (name === 'state') return target.state ^ 1n
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  Object.assign(captured.pages, { sums })
  assert.equal((await captured.pass()).isStateRight, false)
})

/** Leaf pages of a table that nothing writes to, all of them in the file. */
function quietPages(captured: Captured): number[] {
  captured.checkpoint('TRUNCATE')
  return captured.source.db
    .prepare("SELECT pageno FROM dbstat WHERE name = 'quiet' AND pagetype = 'leaf' ORDER BY pageno")
    .pluck()
    .all()
    .map(Number)
}

test('thousands of commits, checkpoints and passes: no alarm; later rot is found', async () => {
  const captured = await Captured.make(4096, 3000)
  captured.source.db.exec('CREATE TABLE quiet AS SELECT randomblob(900) AS v FROM t LIMIT 200')
  const random = randomOf(7)
  let commits = 0
  let isOver = false
  /** Pages are not moved any more. */
  let isStill = false
  const write = async () => {
    const whole = (most: number) => Math.floor(random() * most)
    while (!isOver) {
      const changes: Change[] = [
        { kind: 'insert', rows: 1 + whole(20), bytes: whole(900) },
        { kind: 'update', every: 5 + whole(50), bytes: whole(900) },
        { kind: 'delete', every: 40 + whole(40) },
        { kind: 'incremental', pages: whole(200) },
      ]
      // Bounded: it would outgrow the passes.
      if (!isStill && captured.pages.sums.pages > 1500)
        captured.source.apply({ kind: 'delete', every: 2 })
      captured.source.apply(changes[isStill ? 1 : whole(changes.length)])
      commits++
      if (random() < 0.3) captured.look()
      if (random() < 0.05)
        captured.checkpoint((['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const)[whole(4)])
      if (random() < 0.7) await turn()
    }
  }
  // Ends by itself should the test fail: nothing else would end then.
  const writing = write().catch((error) => assert.fail(String(error)))
  try {
    for (let passes = 0; commits < 3000 || passes < 5; passes++)
      assert.deepEqual((await captured.pass()).rotten, [])
    isStill = true
    const quiet = quietPages(captured).slice(0, 3)
    for (const page of quiet) captured.rot(page, 4000)
    assert.deepEqual((await captured.pass()).rotten, quiet)
  } finally {
    isOver = true
    await writing
  }
})

test('a read from the disk gives what the file has, at any place, then zeros', async () => {
  const captured = await Captured.make(512)
  const { database } = captured.files
  const { size } = fstatSync(database.fd)
  const reader = new DiskReader(database, 8192)
  await fc.assert(
    fc.asyncProperty(
      fc.nat(size + 9000),
      fc.integer({ min: 1, max: 8192 }),
      async (position, length) => {
        const wanted = Buffer.alloc(length)
        readSync(database.fd, wanted, 0, length, position)
        assert.ok((await reader.read(position, length)).equals(wanted))
      },
    ),
  )
})

function scrubberOf(
  captured: Captured,
  more: Partial<ScrubberHost>,
  bytesPerSecond: number,
  everyMs: number,
) {
  const seen = { rotten: [] as number[], repaired: [] as number[], passes: 0, pages: 0 }
  const scrubber = new Scrubber(
    { bytesPerSecond, everyMs, clock: systemClock },
    {
      pages: () => captured.pages,
      look: () => captured.look(),
      canRepair: false,
      repair: () => false,
      repairAll() {},
      isTrusted: () => true,
      observer: {
        onChecked: (pages) => {
          seen.pages += pages
        },
        onPass: () => {
          seen.passes++
        },
        onRotten: (pages) => seen.rotten.push(...pages),
        onRepaired: (pages) => seen.repaired.push(...pages),
        onStateWrong: () => assert.fail('the state is right'),
        onFailure: (error) => assert.fail(String(error)),
      },
      ...more,
    },
  )
  return { scrubber, seen }
}

test('passes go round by themselves; a page is told once, and when it is right again', async () => {
  const captured = await Captured.make(4096)
  const { scrubber, seen } = scrubberOf(captured, {}, 1e9, 20)
  scrubber.start()
  await until('a pass', () => seen.passes > 1)
  captured.rot(3, 9)
  await until('it is found', () => seen.rotten.length > 0)
  const before = seen.passes
  await until('more passes', () => seen.passes > before + 2)
  assert.deepEqual(seen.rotten, [3])
  assert.deepEqual([scrubber.status.rotten, scrubber.status.unexplained], [[3], 1])
  captured.rot(3, 9)
  await until('it is right again', () => seen.repaired.length > 0)
  assert.deepEqual([seen.repaired, scrubber.status.unexplained], [[3], 0])
  await scrubber.stop()
})

test('a refused repair is asked for again; one taken on counts once trusted', async () => {
  const captured = await Captured.make(4096)
  const asked: RottenPage[][] = []
  let isTrusted = true
  const repair = (rotten: readonly RottenPage[]) => {
    asked.push([...rotten])
    isTrusted = asked.length < 2
    return asked.length >= 2
  }
  const { scrubber, seen } = scrubberOf(
    captured,
    { canRepair: true, repair, isTrusted: () => isTrusted },
    0,
    1000,
  )
  captured.rot(2, 1)
  assert.deepEqual(
    (await scrubber.now()).rotten.map(({ page }) => page),
    [2],
  )
  await until('it was asked for again', () => asked.length === 2)
  captured.rot(2, 1)
  await scrubber.now()
  assert.deepEqual(seen.repaired, [], 'not yet: what is in memory is not what it should be')
  isTrusted = true
  scrubber.recheck()
  await until('it is repaired', () => seen.repaired.length === 1)
  assert.equal(asked.length, 2)
  await scrubber.stop()
})

/** Read without a pause. */
const RUN_BYTES = 1024 * 1024

test('the rate holds, 0 is off, a pass on demand is joined and never waits', async () => {
  const captured = await Captured.make(4096, 3000)
  const bytes = captured.pages.sums.pages * 4096
  // A pass takes longer than anything here is waited for.
  const bytesPerSecond = bytes / 600
  const slow = scrubberOf(captured, {}, bytesPerSecond, 10)
  const startMs = performance.now()
  slow.scrubber.start()
  await delay(1000)
  const read = slow.seen.pages * 4096
  const allowed = ((performance.now() - startMs) / 1000) * bytesPerSecond
  assert.ok(read <= 2 * allowed + RUN_BYTES, `${read} bytes, ${allowed} at the rate`)
  assert.ok(slow.scrubber.status.running)
  const [one, other] = [slow.scrubber.now(), slow.scrubber.now()]
  assert.equal(one, other)
  const pageNow = () => slow.scrubber.status.running?.page ?? 0
  const inBackground = pageNow()
  let furthest = 0
  let isOver = false
  void one.finally(() => {
    isOver = true
  })
  while (!isOver) {
    furthest = Math.max(furthest, pageNow())
    await new Promise(setImmediate)
  }
  assert.ok(furthest > inBackground, 'the pass on demand is told of')
  assert.equal((await within('the pass on demand', one)).pagesRead, captured.pages.sums.pages)
  await slow.scrubber.stop()
  assert.equal(slow.seen.passes, 1)
  const off = scrubberOf(captured, {}, 0, 10)
  off.scrubber.start()
  await delay(100)
  assert.equal(off.seen.pages, 0)
  await off.scrubber.stop()
  await assert.rejects(off.scrubber.now(), { key: 'STOPPING' })
})

test('the ring gives the newest positions, oldest first', () => {
  const ring = new PositionRing()
  assert.deepEqual(ring.list(), [])
  for (let txid = 1; txid <= RING_POSITIONS + 5; txid++) ring.add(2, txid, BigInt(txid) << 40n)
  const list = ring.list()
  assert.equal(list.length, RING_POSITIONS)
  assert.deepEqual(list[0], { epoch: 2, txid: 6, checksum: 6n << 40n })
  assert.equal(list.at(-1)?.txid, RING_POSITIONS + 5)
  ring.clear()
  assert.deepEqual(ring.list(), [])
})

/**
 * The WAL and wal-index writers, with SQLite as the judge: a copy is written frame by frame, and
 * connections of two SQLite versions, opened before the first frame, must see exactly the source
 * database after each commit.
 */
import assert from 'node:assert/strict'
import { closeSync, fstatSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { keyOf } from '../../src/errors.ts'
import {
  createFileOps,
  type FileOp,
  type FileOps,
  systemFileOps,
} from '../../src/platform/fileOps.ts'
import { type DatabaseFiles, openFiles } from '../../src/sqlite/databaseFiles.ts'
import type { PageImages } from '../../src/sqlite/frameBuffer.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'
import { frameOffset } from '../../src/sqlite/walFormat.ts'
import { INDEX_BLOCK_BYTES, type WalIndexHeader } from '../../src/sqlite/walIndexFormat.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { WalWriter } from '../../src/sqlite/walWriter.ts'
import { propertyRuns } from '../support/propertyRuns.ts'
import { PythonSqlite } from '../support/pythonSqlite.ts'
import {
  type Change,
  changeArbitrary,
  changedPages,
  copyDatabase,
  lookAt,
  lookThrough,
  PAGE_SIZES,
  type Page,
  SourceDatabase,
  sha256,
  temporaryFolder,
  toBigEndian,
} from '../support/sourceDatabase.ts'

const folder = temporaryFolder()
const python = new PythonSqlite()
after(async () => {
  await python.stop()
  folder.remove()
})

let databases = 0
const newPath = (name: string) => join(folder.path, `${++databases}-${name}.db`)
const imagesOf = (pages: readonly Page[]): PageImages => ({
  count: pages.length,
  number: (i) => pages[i].number,
  page: (i) => pages[i].image,
})

/**
 * A copy of a source database, the lock on it, the writer, and readers that were there before the
 * first frame.
 */
class Copy {
  readonly path = newPath('copy')
  readonly source: SourceDatabase
  readonly files: DatabaseFiles
  readonly index: WalIndexReader
  readonly #lock: Database.Database
  readonly #early: Database.Database
  readonly #late: Database.Database
  readonly #python: string
  writer: WalWriter
  /** What the readers must see. */
  visible: Buffer

  private constructor(source: SourceDatabase, ops: FileOps, prepare: (path: string) => void) {
    this.source = source
    this.visible = source.image()
    writeFileSync(this.path, this.visible)
    prepare(this.path)
    this.#lock = new Database(this.path, { timeout: 0 })
    this.#lock.pragma('wal_autocheckpoint = 0')
    this.#lock.exec('BEGIN IMMEDIATE')
    this.#late = new Database(this.path, { timeout: 0 })
    this.#early = new Database(this.path, { timeout: 0 })
    lookThrough(this.#early)
    this.#python = this.path
    this.files = openFiles(pinFile(this.path), source.pageSize)
    this.index = new WalIndexReader(this.files.shm.fd)
    this.writer = this.newWriter(ops)
  }

  static async open(
    source: SourceDatabase,
    ops = systemFileOps,
    prepare: (path: string) => void = () => {},
  ): Promise<Copy> {
    const copy = new Copy(source, ops, prepare)
    await python.open(copy.#python, copy.path)
    await copy.check()
    return copy
  }

  /** A writer that takes over what the wal-index publishes. */
  newWriter(ops: FileOps = systemFileOps): WalWriter {
    const header = this.header()
    return new WalWriter(this.files, ops, header, this.index.rawHeader, new FrameMap())
  }

  header(): WalIndexHeader {
    const header = this.index.read()
    assert.ok(header, 'the wal-index is readable')
    return header
  }

  /** The pages that lead from what is visible to the source's present state. */
  difference(): Page[] {
    return changedPages(this.visible, this.source.image(), this.source.pageSize)
  }

  /** Appends and publishes the source's present state, in one piece or in `chunks`. */
  follow(chunks = 1, pages = this.difference()): void {
    const commitPages = this.source.pages
    const perChunk = Math.max(1, Math.ceil(pages.length / chunks))
    for (let at = 0; at < pages.length; at += perChunk) {
      const isLast = at + perChunk >= pages.length
      this.writer.append(imagesOf(pages.slice(at, at + perChunk)), isLast ? commitPages : 0)
    }
    if (this.writer.hasPending) this.writer.publish(commitPages)
    this.visible = this.source.image()
  }

  /** Appends the first of the pages, dies, takes up what lies there and brings the rest. */
  async followAfterCut(cut: number): Promise<void> {
    const { source } = this
    const sent = this.difference().slice(0, cut)
    this.writer.append(imagesOf(sent), 0)
    this.writer = this.newWriter()
    const taken = new Map<number, Buffer>()
    await this.writer.takeUp((page, image) => taken.set(page, Buffer.from(image)))
    for (const { number, image } of sent)
      assert.ok(taken.get(number)?.equals(image), `page ${number} is taken up`)
    const now = source.image()
    const needed = new Map(this.difference().map((page) => [page.number, page]))
    for (const [number, image] of taken) {
      if (number > source.pages) continue
      const right = now.subarray((number - 1) * source.pageSize, number * source.pageSize)
      if (image.equals(right)) needed.delete(number)
      else needed.set(number, { number, image: right })
    }
    this.writer.append(imagesOf([...needed.values()]), source.pages)
    if (this.writer.hasPending) this.writer.publish(source.pages)
    this.visible = now
  }

  /** Both readers see exactly what they must. */
  async check(integrity = true): Promise<void> {
    const expected = { sha256: sha256(this.visible), integrity: integrity ? 'ok' : '' }
    assert.deepEqual(
      lookThrough(this.#early, integrity),
      expected,
      'the connection opened before the first frame',
    )
    assert.deepEqual(await python.look(this.#python, integrity), expected, "Python's SQLite")
    assert.equal(this.header().mxFrame, this.writer.mxFrame)
  }

  /** A copy of the files as a crash would leave them, recovered by both SQLite versions. */
  async checkAfterCrash(expected = this.visible): Promise<void> {
    const wanted = { sha256: sha256(expected), integrity: 'ok' }
    for (const withIndex of [true, false]) {
      assert.deepEqual(
        lookAt(copyDatabase(this.path, folder.path, withIndex)),
        wanted,
        `recovered, ${withIndex ? 'with' : 'without'} -shm`,
      )
      assert.deepEqual(
        await python.lookAt(copyDatabase(this.path, folder.path, withIndex)),
        wanted,
        'recovered by Python',
      )
    }
  }

  /** Moves the lock, with `middle` in the gap, and takes over what was found. */
  async gap(middle: () => void | Promise<void>): Promise<void> {
    this.#lock.exec('COMMIT')
    await middle()
    this.#lock.exec('BEGIN IMMEDIATE')
    const header = this.header()
    if (this.index.rawHeader.equals(this.writer.rawHeader)) return
    assert.equal(header.change, this.writer.header.change, 'another connection wrote')
    assert.equal(header.mxFrame, 0)
    this.writer.takeOver(header, this.index.rawHeader)
  }

  /** A checkpoint in the gap, by this process or by Python's. */
  checkpoint(mode: string, byPython: boolean): Promise<void> {
    return this.gap(async () => {
      if (byPython) await python.rows(this.#python, `PRAGMA wal_checkpoint(${mode})`)
      else this.#late.pragma(`wal_checkpoint(${mode})`)
    })
  }

  /**
   * Begins a read transaction on a connection that keeps next to no pages, and gives a function
   * that checks and ends it.
   */
  linger(): () => void {
    const db = new Database(this.path, { timeout: 0 })
    db.pragma('cache_size = 1')
    db.exec('BEGIN')
    const seen = sha256(db.serialize())
    assert.equal(seen, sha256(this.visible))
    return () => {
      assert.equal(sha256(db.serialize()), seen, 'a reader keeps its snapshot')
      db.exec('COMMIT')
      db.close()
    }
  }

  async close(): Promise<void> {
    this.#lock.exec('COMMIT')
    await python.close(this.#python)
    for (const db of [this.#early, this.#late, this.#lock]) db.close()
    closeSync(this.files.walFd)
  }
}

function newSource(pageSize: number, rows = 30): SourceDatabase {
  const source = new SourceDatabase(newPath('source'), pageSize, 1000)
  source.insert(rows, 300)
  return source
}

type Step =
  | { readonly kind: 'change'; readonly change: Change; readonly chunks: number }
  | { readonly kind: 'returnTo'; readonly change: Change; readonly pages: number }
  | { readonly kind: 'takeUp'; readonly change: Change; readonly pages: number }
  | { readonly kind: 'checkpoint'; readonly mode: string; readonly byPython: boolean }
  | { readonly kind: 'linger' | 'end' | 'restart' | 'abandon' | 'discard' | 'crash' }

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      change: changeArbitrary,
      chunks: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('takeUp' as const, 'returnTo' as const),
      change: changeArbitrary,
      pages: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('checkpoint' as const),
      mode: fc.constantFrom('PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'),
      byPython: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'linger' as const,
        'end' as const,
        'restart' as const,
        'abandon' as const,
        'discard' as const,
        'crash' as const,
      ),
    }),
  },
)

async function take(copy: Copy, step: Step, lingering: (() => void)[]): Promise<void> {
  switch (step.kind) {
    case 'change':
      copy.source.apply(step.change)
      return copy.follow(step.chunks)
    case 'takeUp':
      copy.source.apply(step.change)
      return copy.followAfterCut(step.pages)
    case 'returnTo': {
      copy.source.apply(step.change)
      const pages = copy.difference()
      const { writer } = copy
      writer.append(imagesOf(pages.slice(0, step.pages)), 0)
      const mark = writer.mark()
      // What fails half-way and is brought again later.
      writer.append(imagesOf(pages.slice(step.pages).reverse()), 0)
      writer.returnTo(mark)
      writer.append(imagesOf(pages.slice(step.pages)), copy.source.pages)
      if (writer.hasPending) writer.publish(copy.source.pages)
      copy.visible = copy.source.image()
      return
    }
    case 'checkpoint':
      return copy.checkpoint(step.mode, step.byPython)
    case 'linger':
      if (lingering.length < 3) lingering.push(copy.linger())
      return
    case 'end':
      return lingering.shift()?.()
    case 'restart':
      copy.writer = copy.newWriter()
      return
    case 'abandon':
    case 'discard': {
      const pages = copy
        .difference()
        .concat(
          changedPages(
            Buffer.alloc(0),
            copy.visible.subarray(0, copy.source.pageSize),
            copy.source.pageSize,
          ),
        )
      copy.writer.append(imagesOf(pages), 0)
      if (step.kind === 'discard') copy.writer.discard()
      else copy.writer = copy.newWriter()
      return
    }
    case 'crash':
      return copy.checkAfterCrash()
  }
}

for (const pageSize of PAGE_SIZES) {
  test(`readers follow random commits, pages of ${pageSize} bytes`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { minLength: 3, maxLength: 20 }), async (steps) => {
        const source = newSource(pageSize)
        const copy = await Copy.open(source)
        const lingering: (() => void)[] = []
        try {
          for (const step of steps) {
            await take(copy, step, lingering)
            await copy.check()
          }
          for (const end of lingering.splice(0)) end()
          await copy.checkAfterCrash()
        } finally {
          await copy.close()
          source.close()
        }
      }),
      {
        numRuns: propertyRuns(pageSize === 512 || pageSize === 4096 ? 30 : 15),
        endOnFailure: true,
      },
    )
  })
}

/**
 * Exactly `count` pages that lead to the source's present state: the changed ones, behind as many
 * others as it takes.
 */
function padded(copy: Copy, count: number): Page[] {
  const { pageSize } = copy.source
  const changed = copy.difference()
  assert.ok(changed.length > 0 && changed.length <= count)
  const now = copy.source.image()
  const pages: Page[] = []
  for (let i = 0; pages.length < count - changed.length; i = (i + 7) % (now.length / pageSize))
    pages.push({ number: i + 1, image: now.subarray(i * pageSize, (i + 1) * pageSize) })
  return [...pages, ...changed]
}

test('commits end before, at and past the first wal-index blocks, and span several', async () => {
  const source = newSource(512, 600)
  const copy = await Copy.open(source)
  const [first, second, third] = [4062, 4062 + 4096, 4062 + 2 * 4096]
  for (const target of [
    3,
    4000,
    first - 1,
    first,
    first + 1,
    4096,
    4097,
    second - 1,
    second,
    second + 1,
    2 * 4096,
    2 * 4096 + 1,
    third,
    third + 1,
    third + 2 * 4096 + 5,
  ]) {
    source.apply({ kind: 'update', every: target % 2 === 0 ? 301 : 599, bytes: 250 })
    const count = Math.max(target - copy.writer.mxFrame, copy.difference().length)
    copy.follow(1, padded(copy, count))
    await copy.check(target % 2 === 0)
  }
  assert.ok(copy.writer.mxFrame >= third + 2 * 4096)
  await copy.checkAfterCrash()
  await copy.checkpoint('TRUNCATE', true)
  assert.equal(copy.writer.mxFrame, 0)
  await copy.check()
  source.insert(5, 100)
  copy.follow()
  await copy.check()
  await copy.close()
  source.close()
})

for (const boundary of [4062, 4062 + 4096]) {
  test(`a writer takes over at frame ${boundary}, the end of a block, and beside it`, async () => {
    const source = newSource(512, 600)
    for (const target of [boundary - 1, boundary, boundary + 1]) {
      const copy = await Copy.open(source)
      source.apply({ kind: 'update', every: 301, bytes: 250 })
      copy.follow(1, padded(copy, target))
      assert.equal(copy.writer.mxFrame, target)
      copy.writer = copy.newWriter()
      source.insert(3, 100)
      copy.follow()
      await copy.check()
      copy.writer = copy.newWriter()
      source.insert(3, 100)
      copy.follow()
      await copy.check()
      await copy.checkAfterCrash()
      await copy.close()
    }
    source.close()
  })
}

test('pages that share a hash slot are all found, in old and new states', async () => {
  const source = newSource(512, 11_000)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const copy = await Copy.open(source)
  const slot = (page: Page) => (page.number * 383) % 8192
  const ends: (() => void)[] = []
  for (let round = 0; round < 2; round++) {
    source.db.prepare('UPDATE t SET v = zeroblob(300 + ?)').run(round)
    const pages = copy.difference().sort((a, b) => slot(a) - slot(b))
    assert.ok(pages.filter((page, i) => i > 0 && slot(page) === slot(pages[i - 1])).length > 1000)
    copy.follow(1, pages)
    await copy.check(round === 1)
    ends.push(copy.linger())
    for (let again = 0; again < 3; again++) {
      source.apply({ kind: 'update', every: 2000 + again, bytes: 200 })
      copy.follow()
      await copy.check(false)
    }
  }
  for (const end of ends) end()
  await copy.checkAfterCrash()
  await copy.close()
  source.close()
})

test('shrinking and growing commits and a VACUUM show at once and survive a crash', async () => {
  for (const pageSize of [512, 4096]) {
    const source = newSource(pageSize, 400)
    const copy = await Copy.open(source)
    const steps: Change[] = [
      { kind: 'delete', every: 1 },
      { kind: 'incremental', pages: 20 },
      { kind: 'vacuum' },
      { kind: 'insert', rows: 200, bytes: 400 },
      { kind: 'delete', every: 2 },
      { kind: 'vacuum' },
    ]
    let shrunk = 0
    for (const step of steps) {
      const before = source.pages
      const end = copy.linger()
      source.apply(step)
      copy.follow(3)
      if (source.pages < before) shrunk++
      await copy.check()
      await copy.checkAfterCrash()
      end()
    }
    assert.ok(shrunk >= 2)
    await copy.checkpoint('TRUNCATE', false)
    await copy.check()
    await copy.checkAfterCrash()
    await copy.close()
    source.close()
  }
})

class Killed extends Error {}

/**
 * File operations that fail at the `nth` occurrence of `op`, and at each one after it if `forEver`.
 */
function failing(op: FileOp, nth: number, error: () => Error, forEver = false) {
  let seen = 0
  let armed = false
  const ops = createFileOps((name) => {
    if (!armed || name !== op) return
    seen++
    if (seen === nth || (forEver && seen > nth)) throw error()
  })
  return {
    ops,
    arm: () => {
      armed = true
      seen = 0
    },
    disarm: () => {
      armed = false
    },
    get struck() {
      return seen >= nth
    },
  }
}

const noSpace = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })

/**
 * A step at which a writer can stop; `frames` is how many frames lie in the WAL before, so that the
 * step is taken at all.
 */
const STOPS: readonly { readonly op: FileOp; readonly nth: number; readonly frames: number }[] = [
  { op: 'wal.header', nth: 1, frames: 0 },
  { op: 'wal.append', nth: 1, frames: 0 },
  { op: 'wal.append', nth: 1, frames: 10 },
  { op: 'wal.append', nth: 2, frames: 10 },
  { op: 'index.grow', nth: 1, frames: 4000 },
  { op: 'index.pages', nth: 1, frames: 0 },
  { op: 'index.pages', nth: 1, frames: 10 },
  { op: 'index.pages', nth: 2, frames: 4000 },
  { op: 'index.hash', nth: 1, frames: 10 },
  { op: 'index.hash', nth: 5, frames: 10 },
  { op: 'index.publish', nth: 1, frames: 0 },
  { op: 'index.publish', nth: 1, frames: 10 },
  { op: 'index.publish', nth: 1, frames: 4000 },
  { op: 'index.publish', nth: 1, frames: 4062 },
]
/**
 * Frames of the commit that is stopped: enough to leave the block of 4062 frames, few enough for
 * single hash writes.
 */
interface Stop {
  readonly op: FileOp
  readonly nth: number
  readonly frames: number
}

const placeOf = ({ op, nth, frames }: Stop) => `${op} ${nth} after ${frames} frames`

const manyFrames = (stop: Stop) =>
  stop.op === 'wal.append' && stop.nth > 1 ? 2500 : stop.frames >= 4000 ? 300 : 20

async function copyWithFrames(frames: number, ops: FileOps) {
  const source = newSource(512, 600)
  const copy = await Copy.open(source, ops)
  if (frames > 0) {
    source.apply({ kind: 'update', every: 601, bytes: 250 })
    source.insert(1, 10)
    copy.follow(1, padded(copy, frames))
  }
  source.apply({ kind: 'update', every: 301, bytes: 250 })
  return { source, copy }
}

for (const stop of STOPS) {
  test(`a write that fails at ${placeOf(stop)} changes nothing`, async () => {
    const failure = failing(stop.op, stop.nth, noSpace)
    const { source, copy } = await copyWithFrames(stop.frames, failure.ops)
    const headerBefore = Buffer.from(copy.writer.rawHeader)
    const before = copy.visible
    const pages = padded(copy, manyFrames(stop))
    failure.arm()
    assert.throws(
      () => copy.follow(1, pages),
      (error) => keyOf(error) === 'DISK_FULL',
    )
    assert.ok(failure.struck)
    assert.ok(copy.header().mxFrame === stop.frames && copy.index.rawHeader.equals(headerBefore))
    copy.visible = before
    const shown = { sha256: sha256(before), integrity: 'ok' }
    assert.deepEqual(await python.lookAt(copy.path), shown)
    copy.writer.discard()
    failure.disarm()
    assert.ok(!copy.writer.hasPending)
    await copy.check()
    const end = copy.linger()
    copy.follow(1, pages)
    await copy.check()
    source.insert(5, 200)
    copy.follow(2)
    await copy.check()
    end()
    await copy.checkAfterCrash()
    await copy.close()
    source.close()
  })

  test(`a writer killed at ${placeOf(stop)} leaves a WAL that others go on with`, async () => {
    const kill = failing(stop.op, stop.nth, () => new Killed(), true)
    const { source, copy } = await copyWithFrames(stop.frames, kill.ops)
    const before = copy.visible
    const pages = padded(copy, manyFrames(stop))
    kill.arm()
    assert.throws(() => copy.follow(1, pages))
    assert.ok(kill.struck)
    copy.visible = before
    const isWholeInWal = stop.op.startsWith('index.')
    await copy.checkAfterCrash(isWholeInWal ? source.image() : before)
    copy.writer = copy.newWriter()
    await copy.check()
    source.insert(3, 200)
    copy.follow()
    await copy.check()
    await copy.checkAfterCrash()
    await copy.close()
    source.close()
  })

  test(`SQLite itself goes on behind a writer killed at ${placeOf(stop)}`, async () => {
    const kill = failing(stop.op, stop.nth, () => new Killed(), true)
    const { source, copy } = await copyWithFrames(stop.frames, kill.ops)
    const before = copy.visible
    const pages = padded(copy, manyFrames(stop))
    kill.arm()
    assert.throws(() => copy.follow(1, pages))
    copy.visible = before
    const [[rows]] = await python.rows(copy.path, 'SELECT count(*) FROM t')
    await assert.rejects(python.rows(copy.path, 'DELETE FROM t'), /locked/)
    await assert.rejects(
      copy.gap(async () => {
        await python.rows(copy.path, 'INSERT INTO t (n, v) VALUES (1, zeroblob(3000))')
        await python.rows(copy.path, 'UPDATE t SET n = n + 1 WHERE id < 50')
      }),
      /another connection wrote/,
    )
    assert.deepEqual(await python.rows(copy.path, 'SELECT count(*) FROM t'), [[Number(rows) + 1]])
    const { sha256: seen, integrity } = await python.look(copy.path)
    assert.equal(integrity, 'ok')
    assert.deepEqual(lookAt(copyDatabase(copy.path, folder.path, false)), {
      sha256: seen,
      integrity: 'ok',
    })
    await copy.close()
    source.close()
  })
}

for (const again of [true, false]) {
  const how = again ? 'cleaning up again' : 'as it is'
  test(`a writer that cannot clean up goes on once there is room, ${how}`, async () => {
    for (const op of ['index.hash', 'index.pages'] as const) {
      const full = new Set<FileOp>()
      const ops = createFileOps((name) => {
        if (full.has(name)) throw noSpace()
      })
      const { source, copy } = await copyWithFrames(10, ops)
      const before = copy.visible
      const isFull = (error: unknown) => keyOf(error) === 'DISK_FULL'
      full.add('index.publish')
      assert.throws(() => copy.follow(1, padded(copy, 60)), isFull)
      full.add(op)
      assert.throws(() => copy.writer.discard(), isFull)
      assert.throws(() => copy.newWriter(ops), isFull)
      copy.visible = before
      full.clear()
      if (again) copy.writer.discard()
      await copy.check()
      for (let round = 0; round < 3; round++) {
        copy.follow()
        await copy.check()
        source.insert(2, 100)
      }
      copy.follow()
      copy.writer = copy.newWriter()
      await copy.check()
      await copy.checkAfterCrash()
      await copy.close()
      source.close()
    }
  })
}

test('what lies past mxFrame is gone from the wal-index after a take-over', async () => {
  const kill = failing('index.publish', 1, () => new Killed())
  const { source, copy } = await copyWithFrames(10, kill.ops)
  const pages = padded(copy, 25)
  const before = copy.visible
  kill.arm()
  assert.throws(() => copy.follow(1, pages))
  copy.visible = before
  const block = Buffer.alloc(INDEX_BLOCK_BYTES)
  const entries = () => {
    readSync(copy.files.shm.fd, block, 0, block.length, 0)
    const numbers = new Uint32Array(block.buffer, block.byteOffset + 136, 4062).filter(
      (page) => page !== 0,
    )
    const slots = new Uint16Array(block.buffer, block.byteOffset + 16384, 8192).filter(
      (slot) => slot !== 0,
    )
    return { numbers: numbers.length, slots: [...slots].sort((a, b) => a - b) }
  }
  assert.equal(entries().numbers, 35)
  assert.equal(entries().slots.length, 35)
  copy.writer = copy.newWriter()
  assert.deepEqual(entries(), { numbers: 10, slots: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] })
  await copy.check()
  await copy.close()
  source.close()
})

test('bytes 96 to 135 of the wal-index (checkpoints, locks) are never written', async () => {
  const written: { from: number; to: number }[] = []
  const ops: FileOps = {
    ...systemFileOps,
    write: (op, fd, bytes, position, path) => {
      if (op.startsWith('index.') && op !== 'index.grow') {
        written.push({ from: position, to: position + bytes.length })
        if (op === 'index.hash')
          assert.ok(position % 8 === 0 && bytes.length % 8 === 0, 'aligned blocks of 8 bytes')
        if (op === 'index.publish')
          assert.ok(position === 0 && bytes.length === 96, 'both copies in one write')
      }
      if (op === 'index.grow') {
        assert.equal(position, fstatSync(fd).size)
        assert.ok(bytes.length >= INDEX_BLOCK_BYTES && bytes.every((byte) => byte === 0))
      }
      systemFileOps.write(op, fd, bytes, position, path)
    },
  }
  const source = newSource(512, 600)
  const copy = await Copy.open(source, ops)
  for (let i = 0; i < 20; i++) {
    source.apply({ kind: 'update', every: 100 + i, bytes: 250 })
    copy.follow(1, padded(copy, 500))
  }
  await copy.check()
  assert.ok(written.length > 40)
  for (const { from, to } of written) assert.ok(to <= 96 || from >= 136, `${from} to ${to}`)
  await copy.close()
  source.close()
})

test('frames are written before the index, and the index before its header', async () => {
  const order: FileOp[] = []
  const source = newSource(1024)
  const copy = await Copy.open(
    source,
    createFileOps((op) => order.push(op)),
  )
  source.insert(20, 500)
  copy.follow(3)
  const rank: FileOp[] = [
    'wal.header',
    'wal.append',
    'index.grow',
    'index.pages',
    'index.hash',
    'index.publish',
  ]
  const ranks = order.map((op) => rank.indexOf(op))
  assert.deepEqual(
    ranks,
    [...ranks].sort((a, b) => a - b),
  )
  assert.equal(order.filter((op) => op === 'wal.append').length, 3)
  assert.equal(order.at(-1), 'index.publish')
  await copy.check()
  await copy.close()
  source.close()
})

test('a transaction whose last piece brings no page still ends with a commit', async () => {
  for (const pageSize of [512, 65536]) {
    const source = newSource(pageSize, 100)
    const copy = await Copy.open(source)
    for (let round = 0; round < 3; round++) {
      source.insert(20, 600)
      copy.writer.append(imagesOf(copy.difference()), 0)
      copy.writer.append(imagesOf([]), source.pages)
      copy.writer.publish(source.pages)
      copy.visible = source.image()
      await copy.check()
      await copy.checkAfterCrash()
    }
    await copy.close()
    source.close()
  }
})

test('an append without pages begins nothing', async () => {
  const source = newSource(512)
  const copy = await Copy.open(source)
  copy.writer.append(imagesOf([]), source.pages)
  assert.equal(copy.writer.hasPending, false)
  assert.equal(fstatSync(copy.files.walFd).size, 0)
  await copy.check()
  source.insert(5, 50)
  copy.follow()
  const { mxFrame } = copy.writer
  copy.writer.append(imagesOf([]), source.pages)
  assert.equal(copy.writer.hasPending, false)
  assert.equal(fstatSync(copy.files.walFd).size, frameOffset(mxFrame + 1, 512))
  await copy.close()
  source.close()
})

test('a WAL of the other byte order keeps its order until it is reset', async () => {
  const other = newSource(1024)
  other.db.pragma('wal_checkpoint(TRUNCATE)')
  const base = other.image()
  other.insert(10, 400)
  const wal = toBigEndian(readFileSync(`${other.path}-wal`), 1024)
  const copy = await Copy.open(other, systemFileOps, (path) => {
    writeFileSync(path, base)
    writeFileSync(`${path}-wal`, wal)
  })
  assert.ok(copy.writer.mxFrame > 0)
  assert.equal(copy.header().bigEndianWal, true)
  for (let round = 0; round < 3; round++) {
    other.insert(3, 400)
    copy.follow(2)
    await copy.check()
    await copy.checkAfterCrash()
    if (round === 1) copy.writer = copy.newWriter()
  }
  await copy.checkpoint('TRUNCATE', false)
  other.insert(3, 400)
  copy.follow()
  assert.equal(copy.header().bigEndianWal, false)
  await copy.check()
  await copy.checkAfterCrash()
  await copy.close()
  other.close()
})

test('each generation has new salts, and each commit its number', async () => {
  const source = newSource(512)
  const copy = await Copy.open(source)
  const salts = new Set<string>()
  for (let i = 0; i < 5; i++) {
    source.insert(2, 50)
    const { change } = copy.header()
    copy.follow()
    assert.equal(copy.header().change, (change + 1) >>> 0, 'each commit is counted')
    salts.add(`${copy.writer.header.salt1}-${copy.writer.header.salt2}`)
    await copy.check()
    await copy.checkpoint('TRUNCATE', i % 2 === 0)
  }
  assert.equal(salts.size, 5)
  await copy.close()
  source.close()
})

test('the judges are two versions of SQLite, and one that misses a frame is told', async () => {
  const [{ version }] = new Database(':memory:')
    .prepare('SELECT sqlite_version() AS version')
    .all() as {
    version: string
  }[]
  assert.notEqual(await python.version(), version)
  const source = newSource(512)
  const copy = await Copy.open(source)
  source.insert(5, 400)
  const pages = copy.difference()
  const missing = pages.findLastIndex((page) => page.number > 1)
  copy.follow(
    1,
    pages.filter((_, i) => i !== missing),
  )
  await assert.rejects(copy.check())
  await copy.close()
  source.close()
  rmSync(source.path)
})

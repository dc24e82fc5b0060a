/** The WAL reader against WALs that SQLite wrote. */
import assert from 'node:assert/strict'
import {
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { keyOf } from '../../src/errors.ts'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'
import {
  addToChecksum,
  alignedBuffer,
  frameBytes,
  frameOffset,
  lockPage,
  parseWalHeader,
  WAL_HEADER_BYTES,
  wordsOf,
  writeWalHeader,
} from '../../src/sqlite/walFormat.ts'
import type { WalIndexHeader } from '../../src/sqlite/walIndexFormat.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { readWalHeader } from '../../src/sqlite/walProbe.ts'
import { WalReader } from '../../src/sqlite/walReader.ts'
import { PythonSqlite } from '../support/pythonSqlite.ts'
import {
  type Change,
  changeArbitrary,
  copyDatabase,
  documentedChecksum,
  lookAt,
  PAGE_SIZES,
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
const newPath = () => join(folder.path, `${++databases}.db`)

/** A database file holding `image`, overlaid with frames in the order in which they come. */
class Overlay {
  #image: Buffer
  readonly #pageSize: number
  readonly #pending = new Map<number, Buffer>()
  /** Images after each commit. */
  readonly commits: Buffer[] = []

  constructor(image: Buffer, pageSize: number) {
    this.#image = image
    this.#pageSize = pageSize
  }

  add(page: number, image: Buffer, commitPages: number): void {
    this.#pending.set(page, Buffer.from(image))
    if (commitPages === 0) return
    const next = Buffer.alloc(commitPages * this.#pageSize)
    this.#image.copy(next)
    for (const [number, bytes] of this.#pending) bytes.copy(next, (number - 1) * this.#pageSize)
    this.#pending.clear()
    this.#image = next
    this.commits.push(next)
  }
}

/** Reads to `lastFrame`, in steps of the reader's own bound or of `step` frames. */
function readInto(
  reader: WalReader,
  lastFrame: number,
  overlay: Overlay,
  step = Number.POSITIVE_INFINITY,
): void {
  while (reader.frame < lastFrame) {
    const segment = reader.read(lastFrame)
    assert.equal(segment.firstFrame, reader.frame + 1)
    const count = Math.min(segment.count, step)
    for (let i = 0; i < count; i++)
      overlay.add(segment.pageNumbers[i], segment.page(i), segment.commitPages[i])
    const sum = segment.checksumAfter(count - 1)
    reader.consume(count)
    assert.deepEqual(reader.place?.checksum, sum)
  }
}

/** Opens the WAL, which carries no locks, and the wal-index, which does. */
function openWal(path: string, pageSize: number, segmentBytes: number) {
  const walFd = openSync(`${path}-wal`, 'r')
  const index = new WalIndexReader(pinFile(`${path}-shm`).fd)
  return {
    reader: new WalReader(walFd, pageSize, segmentBytes),
    index,
    close: () => closeSync(walFd),
  }
}

function published(index: WalIndexReader): WalIndexHeader {
  const header = index.read()
  assert.ok(header)
  return header
}

const walBroken = (error: unknown) => keyOf(error) === 'WAL_BROKEN'

for (const pageSize of PAGE_SIZES) {
  test(`frames over the file are what SQLite reads, pages of ${pageSize} bytes`, () => {
    const changes = fc.array(changeArbitrary, { minLength: 1, maxLength: 8 })
    const generations = fc.array(changes, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(
        generations,
        fc.constantFrom(0, 30_000, 1_000_000),
        fc.constantFrom(1, 7, Number.POSITIVE_INFINITY),
        (all, segmentBytes, step) => {
          const source = new SourceDatabase(newPath(), pageSize)
          source.insert(20, 300)
          const { reader, index, close } = openWal(source.path, pageSize, segmentBytes)
          try {
            for (const generation of all) {
              assert.equal(
                (source.db.pragma('wal_checkpoint(RESTART)') as { busy: number }[])[0].busy,
                0,
              )
              const before = source.image()
              const old = published(index)
              const images = [before]
              for (const change of generation) {
                source.apply(change)
                images.push(source.image())
              }
              const header = published(index)
              if (header.change === old.change) continue
              const overlay = new Overlay(before, pageSize)
              assert.ok(!reader.isGeneration(header.salt1, header.salt2))
              reader.startGeneration(header.salt1, header.salt2)
              assert.ok(reader.isGeneration(header.salt1, header.salt2))
              readInto(reader, header.mxFrame, overlay, step)
              assert.deepEqual(reader.place?.checksum, header.frameChecksum)
              const last = overlay.commits.at(-1)
              assert.ok(last?.equals(source.image()))
              const seen = new Set(images.map(sha256))
              for (const commit of overlay.commits)
                assert.ok(seen.has(sha256(commit)), 'a state that SQLite never showed')
            }
          } finally {
            close()
            source.close()
          }
        },
      ),
      { numRuns: pageSize === 512 || pageSize === 4096 ? 25 : 10 },
    )
  })
}

test('a reader goes on behind commits as they come, and resumes at a place that it kept', () => {
  const source = new SourceDatabase(newPath(), 1024)
  source.insert(10, 100)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const overlay = new Overlay(source.image(), 1024)
  const again = new Overlay(source.image(), 1024)
  const first = openWal(source.path, 1024, 4096)
  const second = openWal(source.path, 1024, 50_000)
  let place: WalReader['place']
  for (let i = 0; i < 30; i++) {
    source.insert(3, 400)
    const header = published(first.index)
    if (i === 0) first.reader.startGeneration(header.salt1, header.salt2)
    readInto(first.reader, header.mxFrame, overlay)
    assert.ok(overlay.commits.at(-1)?.equals(source.image()))
    if (place) second.reader.resume(place)
    else second.reader.startGeneration(header.salt1, header.salt2)
    readInto(second.reader, header.mxFrame, again)
    place = second.reader.place
    assert.ok(again.commits.at(-1)?.equals(source.image()))
  }
  assert.equal(overlay.commits.length, 30)
  first.close()
  second.close()
  source.close()
})

for (const pageSize of PAGE_SIZES) {
  test(`a WAL of the other byte order reads the same, pages of ${pageSize} bytes`, async () => {
    const source = new SourceDatabase(newPath(), pageSize)
    source.insert(30, 700)
    source.db.pragma('wal_checkpoint(TRUNCATE)')
    const base = source.image()
    const changes: Change[] = [
      { kind: 'insert', rows: 40, bytes: 600 },
      { kind: 'update', every: 3, bytes: 100 },
      { kind: 'delete', every: 2 },
      { kind: 'vacuum' },
    ]
    for (const change of changes) source.apply(change)
    const copy = copyDatabase(source.path, folder.path, false)
    const swapped = toBigEndian(readFileSync(`${copy}-wal`), pageSize)
    writeFileSync(`${copy}-wal`, swapped)
    const other = copyDatabase(copy, folder.path, false)
    const expected = { sha256: sha256(source.image()), integrity: 'ok' }
    assert.deepEqual(await python.lookAt(other), expected, 'Python judges the rewritten file')
    const judge = new Database(copy)
    assert.equal(sha256(judge.serialize()), expected.sha256, 'SQLite judges the rewritten file')
    const { reader, index, close } = openWal(copy, pageSize, 100_000)
    const header = published(index)
    assert.equal(header.bigEndianWal, true)
    const overlay = new Overlay(base, pageSize)
    reader.startGeneration(header.salt1, header.salt2)
    assert.equal(reader.header?.bigEndian, true)
    readInto(reader, header.mxFrame, overlay)
    assert.deepEqual(reader.place?.checksum, header.frameChecksum)
    assert.ok(overlay.commits.at(-1)?.equals(source.image()))
    close()
    judge.close()
    source.close()
  })
}

/** A little WAL as bytes: header salts, content and the number of frames. */
function sampleWal(pageSize: number) {
  const source = new SourceDatabase(newPath(), pageSize)
  source.insert(10, 300)
  const bytes = readFileSync(`${source.path}-wal`)
  source.close()
  return {
    bytes,
    salts: [bytes.readUInt32BE(16), bytes.readUInt32BE(20)] as const,
    frames: (bytes.length - WAL_HEADER_BYTES) / frameBytes(pageSize),
  }
}

function readAll(
  bytes: Buffer,
  pageSize: number,
  salts: readonly [number, number],
  lastFrame: number,
): number {
  const path = join(folder.path, 'sample-wal')
  writeFileSync(path, bytes)
  const fd = openSync(path, 'r')
  try {
    const reader = new WalReader(fd, pageSize, 20_000)
    reader.startGeneration(...salts)
    return reader.read(lastFrame).count
  } finally {
    closeSync(fd)
  }
}

test('a header with any bit flipped is refused', () => {
  const { bytes, salts, frames } = sampleWal(512)
  assert.equal(readAll(bytes, 512, salts, frames), frames)
  for (let bit = 0; bit < WAL_HEADER_BYTES * 8; bit++) {
    bytes[bit >>> 3] ^= 1 << (bit & 7)
    assert.throws(() => readAll(bytes, 512, salts, frames), walBroken, `bit ${bit}`)
    bytes[bit >>> 3] ^= 1 << (bit & 7)
  }
  assert.throws(() => readAll(bytes.subarray(0, 31), 512, salts, frames), walBroken, 'a cut header')
  assert.throws(
    () => readAll(bytes, 512, [salts[0], (salts[1] + 1) >>> 0], frames),
    walBroken,
    'other salts',
  )
})

test('a frame with any bit flipped is refused, in both byte orders', () => {
  const sample = sampleWal(512)
  const path = join(folder.path, 'flipped-wal')
  for (const bytes of [sample.bytes, toBigEndian(sample.bytes, 512)]) {
    writeFileSync(path, bytes)
    const fd = openSync(path, 'r+')
    const reader = new WalReader(fd, 512, 4 * frameBytes(512))
    reader.startGeneration(...sample.salts)
    const end = WAL_HEADER_BYTES + 2 * frameBytes(512)
    for (let bit = WAL_HEADER_BYTES * 8; bit < end * 8; bit++) {
      const byte = bytes[bit >>> 3]
      writeSync(fd, Buffer.of(byte ^ (1 << (bit & 7))), 0, 1, bit >>> 3)
      assert.throws(() => reader.read(3), walBroken, `bit ${bit}`)
      writeSync(fd, Buffer.of(byte), 0, 1, bit >>> 3)
    }
    assert.equal(reader.read(3).count, 3)
    closeSync(fd)
  }
})

test('a header of another page size than the database is refused before a frame is read', () => {
  const { bytes, salts } = sampleWal(512)
  const path = join(folder.path, 'other-size-wal')
  writeFileSync(path, bytes)
  const fd = openSync(path, 'r')
  const reader = new WalReader(fd, 1024, 20_000)
  assert.throws(() => reader.startGeneration(...salts), walBroken)
  assert.equal(reader.header, undefined)
  closeSync(fd)
})

test('frames that are swapped, repeated or cut off are refused', () => {
  const { bytes, salts, frames } = sampleWal(512)
  const frame = (i: number) => bytes.subarray(frameOffset(i, 512), frameOffset(i + 1, 512))
  const head = bytes.subarray(0, WAL_HEADER_BYTES)
  const wal = (...order: number[]) => Buffer.concat([head, ...order.map(frame)])
  assert.ok(frames >= 4)
  assert.equal(readAll(wal(1, 2, 3, 4), 512, salts, 4), 4)
  for (const order of [
    [2, 1, 3, 4],
    [1, 1, 2, 3],
    [1, 3, 4, 2],
    [1, 2, 4, 3],
  ])
    assert.throws(() => readAll(wal(...order), 512, salts, 4), walBroken, String(order))
  for (let cut = 1; cut <= frameBytes(512); cut++) {
    const short = bytes.subarray(0, frameOffset(4, 512) + frameBytes(512) - cut)
    assert.throws(() => readAll(short, 512, salts, 4), walBroken, `${cut} bytes short`)
  }
})

test('frames of an older generation behind the end are not accepted', () => {
  const source = new SourceDatabase(newPath(), 512)
  source.insert(200, 300)
  const { reader, index, close } = openWal(source.path, 512, 10_000)
  const old = published(index)
  assert.ok(old.mxFrame > 50)
  source.db.pragma('wal_checkpoint(PASSIVE)')
  const before = source.image()
  source.insert(1, 10)
  const header = published(index)
  assert.ok(header.mxFrame < old.mxFrame, 'the writer began again at the front')
  assert.ok(
    statSync(`${source.path}-wal`).size >= frameOffset(old.mxFrame + 1, 512),
    'the old frames are still there',
  )
  assert.throws(() => reader.startGeneration(old.salt1, old.salt2), walBroken)
  reader.startGeneration(header.salt1, header.salt2)
  const overlay = new Overlay(before, 512)
  readInto(reader, header.mxFrame, overlay)
  assert.ok(overlay.commits.at(-1)?.equals(source.image()))
  assert.throws(() => reader.read(header.mxFrame + 1), walBroken)
  assert.throws(() => reader.read(old.mxFrame), walBroken)
  assert.equal(reader.frame, header.mxFrame, 'a refused read moves nothing')
  source.insert(1, 10)
  readInto(reader, published(index).mxFrame, overlay)
  assert.ok(overlay.commits.at(-1)?.equals(source.image()))
  close()
  source.close()
})

test('a spilled, rolled-back transaction leaves valid frames, which mxFrame withholds', () => {
  const source = new SourceDatabase(newPath(), 512)
  source.insert(300, 300)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const before = source.image()
  source.insert(1, 50)
  const { reader, index, close } = openWal(source.path, 512, 1_000_000)
  const committed = published(index)
  const bytesBefore = statSync(`${source.path}-wal`).size
  source.db.pragma('cache_size = 5')
  source.db.exec('BEGIN; UPDATE t SET v = zeroblob(300)')
  const spilledFrames = (statSync(`${source.path}-wal`).size - bytesBefore) / frameBytes(512)
  assert.ok(spilledFrames > 50, `${spilledFrames} frames were spilled`)
  assert.deepEqual(published(index), committed)
  source.db.exec('ROLLBACK')
  assert.deepEqual(published(index), committed)

  const overlay = new Overlay(before, 512)
  reader.startGeneration(committed.salt1, committed.salt2)
  readInto(reader, committed.mxFrame, overlay)
  assert.ok(overlay.commits.at(-1)?.equals(source.image()))
  const beyond = reader.read(committed.mxFrame + 10)
  assert.equal(
    beyond.count,
    10,
    'salts and checksums of the dead frames are right: only mxFrame tells',
  )
  assert.ok(beyond.commitPages.subarray(0, 10).every((pages) => pages === 0))

  source.insert(2, 50)
  const now = published(index)
  assert.ok(now.mxFrame < committed.mxFrame + spilledFrames)
  readInto(reader, now.mxFrame, overlay)
  assert.deepEqual(reader.place?.checksum, now.frameChecksum)
  assert.ok(overlay.commits.at(-1)?.equals(source.image()))
  close()
  source.close()
})

test('a write under way is told from a WAL that is read to its end', () => {
  const source = new SourceDatabase(newPath(), 512)
  source.insert(300, 300)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const { reader, index, close } = openWal(source.path, 512, 1_000_000)
  assert.equal(reader.isWriteUnderWay(), false, 'the WAL is empty')
  source.insert(1, 50)
  assert.equal(reader.isWriteUnderWay(), true, 'a generation of which nothing was read')
  const overlay = new Overlay(source.image(), 512)
  const first = published(index)
  reader.startGeneration(first.salt1, first.salt2)
  assert.equal(reader.isWriteUnderWay(), true)
  readInto(reader, first.mxFrame, overlay)
  assert.equal(reader.isWriteUnderWay(), false)
  source.db.pragma('cache_size = 5')
  source.db.exec('BEGIN; UPDATE t SET v = zeroblob(300)')
  assert.deepEqual(published(index), first)
  assert.equal(reader.isWriteUnderWay(), true, 'spilled, not committed')
  source.db.exec('COMMIT')
  readInto(reader, published(index).mxFrame, overlay)
  assert.equal(reader.isWriteUnderWay(), false)
  source.db.pragma('wal_checkpoint(PASSIVE)')
  assert.equal(reader.isWriteUnderWay(), false, 'a checkpoint writes no frame')
  source.insert(1, 50)
  assert.equal(reader.isWriteUnderWay(), true, 'the writer began again at the front')
  close()
  source.close()
})

test('a commit larger than the cache comes as frames without a commit mark until its last', () => {
  const source = new SourceDatabase(newPath(), 1024)
  source.insert(50, 300)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const before = source.image()
  source.db.pragma('cache_size = 5')
  source.insert(500, 500)
  const { reader, index, close } = openWal(source.path, 1024, 20_000)
  const { salt1, salt2, mxFrame } = published(index)
  const overlay = new Overlay(before, 1024)
  reader.startGeneration(salt1, salt2)
  assert.ok(mxFrame > 5 * reader.maxFrames)
  readInto(reader, mxFrame, overlay)
  assert.equal(overlay.commits.length, 1)
  assert.ok(overlay.commits[0].equals(source.image()))
  close()
  source.close()
})

test('the reader refuses to be misused', () => {
  const { bytes, salts, frames } = sampleWal(512)
  const path = join(folder.path, 'misused-wal')
  writeFileSync(path, bytes)
  const fd = openSync(path, 'r')
  const reader = new WalReader(fd, 512, 1_000_000)
  assert.equal(reader.place, undefined)
  assert.throws(() => reader.read(1), walBroken)
  reader.startGeneration(...salts)
  assert.throws(() => reader.consume(1), walBroken, 'nothing was read')
  reader.read(frames)
  for (const count of [0, -1, frames + 1]) assert.throws(() => reader.consume(count), walBroken)
  reader.consume(frames)
  assert.throws(() => reader.consume(1), walBroken, 'consumed twice')
  closeSync(fd)
})

test('a missing, empty or strange WAL has no header', () => {
  const path = join(folder.path, 'strange-wal')
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(31),
    Buffer.alloc(32),
    Buffer.alloc(4096, 0xff),
    Buffer.from('SQLite format 3\0'.repeat(4)),
  ]) {
    writeFileSync(path, bytes)
    const fd = openSync(path, 'r')
    assert.equal(readWalHeader(fd), undefined)
    closeSync(fd)
  }
  rmSync(path)
})

test('a WAL header is written and parsed back, and only with a page size that SQLite has', () => {
  const word = fc.nat(0xffffffff)
  fc.assert(
    fc.property(
      fc.constantFrom(...PAGE_SIZES),
      word,
      word,
      word,
      (pageSize, checkpointSequence, salt1, salt2) => {
        const bytes = alignedBuffer(WAL_HEADER_BYTES)
        const sum = writeWalHeader(bytes, { pageSize, checkpointSequence, salt1, salt2 })
        assert.deepEqual(parseWalHeader(bytes), {
          bigEndian: false,
          pageSize,
          checkpointSequence,
          salt1,
          salt2,
          ...sum,
        })
        assert.deepEqual([sum.s0, sum.s1], documentedChecksum(bytes.subarray(0, 24), false, [0, 0]))
        assert.equal(parseWalHeader(bytes.subarray(0, 31)), undefined)
      },
    ),
  )
  for (const [at, value] of [
    [0, 0x377f0684],
    [0, 0x377f0680],
    [0, 0x53514c69],
    [4, 3007001],
  ]) {
    const bytes = alignedBuffer(WAL_HEADER_BYTES)
    writeWalHeader(bytes, { pageSize: 512, checkpointSequence: 1, salt1: 2, salt2: 3 })
    bytes.writeUInt32BE(value, at)
    const [s0, s1] = documentedChecksum(bytes.subarray(0, 24), false, [0, 0])
    bytes.writeUInt32BE(s0, 24)
    bytes.writeUInt32BE(s1, 28)
    assert.equal(parseWalHeader(bytes), undefined, `${value} under a right checksum`)
  }
  for (const pageSize of [0, 1, 256, 513, 768, 131072]) {
    const bytes = alignedBuffer(WAL_HEADER_BYTES)
    writeWalHeader(bytes, { pageSize, checkpointSequence: 1, salt1: 2, salt2: 3 })
    assert.equal(parseWalHeader(bytes), undefined, `page size ${pageSize}`)
  }
})

test('the running checksum is that of the documentation, in both byte orders and in pieces', () => {
  const word = fc.nat(0xffffffff)
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 8, maxLength: 256 }),
      word,
      word,
      fc.boolean(),
      fc.nat(31),
      (array, s0, s1, bigEndian, cut) => {
        const bytes = alignedBuffer(array.length & ~7)
        bytes.set(array.subarray(0, bytes.length))
        const sum = { s0, s1 }
        const pairs = bytes.length / 8
        const first = 2 * Math.min(cut, pairs)
        addToChecksum(sum, wordsOf(bytes), 0, first, bigEndian)
        addToChecksum(sum, wordsOf(bytes), first, 2 * pairs - first, bigEndian)
        assert.deepEqual([sum.s0, sum.s1], documentedChecksum(bytes, bigEndian, [s0, s1]))
      },
    ),
  )
})

test('the lock page is the one that holds byte 2^30', () => {
  for (const pageSize of PAGE_SIZES) {
    const page = lockPage(pageSize)
    assert.ok((page - 1) * pageSize <= 2 ** 30 && 2 ** 30 < page * pageSize)
  }
})

test('the copies that other tests read are whole', () => {
  const source = new SourceDatabase(newPath(), 4096)
  source.insert(10, 10)
  for (const withIndex of [true, false])
    assert.deepEqual(lookAt(copyDatabase(source.path, folder.path, withIndex)), {
      sha256: sha256(source.image()),
      integrity: 'ok',
    })
  source.close()
})

/** The wal-index format, against the wal-indexes that SQLite writes and against damage. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'
import { alignedBuffer, frameOffset } from '../../src/sqlite/walFormat.ts'
import {
  frameBeforeBlock,
  HASH_OFFSET,
  HASH_SLOTS,
  hashSlot,
  INDEX_BLOCK_BYTES,
  INDEX_HEADER_BYTES,
  INDEX_PREFIX_BYTES,
  indexBlockOf,
  pageNumbersOffset,
  parseIndexHeader,
  type WalIndexHeader,
  writeIndexHeader,
} from '../../src/sqlite/walIndexFormat.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { PAGE_SIZES, SourceDatabase, temporaryFolder } from '../support/sourceDatabase.ts'

const folder = temporaryFolder()
after(() => folder.remove())

const word = fc.nat(0xffffffff)
const headerArbitrary: fc.Arbitrary<WalIndexHeader> = fc.record(
  {
    change: word,
    bigEndianWal: fc.boolean(),
    pageSize: fc.constantFrom(0, ...PAGE_SIZES),
    mxFrame: word,
    pages: word,
    frameChecksum: fc.record({ s0: word, s1: word }, { noNullPrototype: true }),
    salt1: word,
    salt2: word,
  },
  { noNullPrototype: true },
)

function encoded(header: WalIndexHeader): Buffer {
  const bytes = alignedBuffer(INDEX_HEADER_BYTES)
  writeIndexHeader(bytes, header)
  return bytes
}

test('each frame lies in exactly one block, in order, as many as fit', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: 40_000 }), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
      (frame) => {
        const block = indexBlockOf(frame)
        const before = frameBeforeBlock(block)
        const next = frameBeforeBlock(block + 1)
        assert.ok(before < frame && frame <= next)
        assert.equal(indexBlockOf(before + 1), block)
        assert.equal(indexBlockOf(next), block)
        assert.equal(indexBlockOf(next + 1), block + 1)
        const room = HASH_OFFSET - pageNumbersOffset(block)
        assert.equal(next - before, room / 4, 'page numbers fill the block up to its hash slots')
      },
    ),
    { numRuns: 1000, examples: [[1], [4062], [4063], [8158], [8159], [12254], [12255]] },
  )
  assert.equal(HASH_OFFSET + 2 * HASH_SLOTS, INDEX_BLOCK_BYTES)
  assert.equal(pageNumbersOffset(0), INDEX_PREFIX_BYTES)
})

test('a page is first looked for in a slot of the table', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 0xfffffffe }), (page) => {
      assert.equal(BigInt(hashSlot(page)), (BigInt(page) * 383n) % BigInt(HASH_SLOTS))
    }),
    { examples: [[0xfffffffe], [0x80000000], [0x7fffffff]] },
  )
})

test('a header is written and parsed back', () => {
  fc.assert(
    fc.property(headerArbitrary, (header) =>
      assert.deepEqual(parseIndexHeader(encoded(header)), header),
    ),
    { numRuns: 500 },
  )
})

test('page sizes are written as SQLite does, 65536 as 1', () => {
  const [header] = fc.sample(headerArbitrary, 1)
  for (const pageSize of PAGE_SIZES) {
    const bytes = encoded({ ...header, pageSize })
    assert.equal(bytes.readUInt16LE(14), pageSize === 65536 ? 1 : pageSize)
    assert.equal(parseIndexHeader(bytes)?.pageSize, pageSize)
  }
})

test('a header with any bit flipped is refused', () => {
  for (const header of fc.sample(headerArbitrary, 10)) {
    const bytes = encoded(header)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >>> 3] ^= 1 << (bit & 7)
      assert.equal(parseIndexHeader(bytes), undefined, `bit ${bit}`)
      bytes[bit >>> 3] ^= 1 << (bit & 7)
    }
    assert.deepEqual(parseIndexHeader(bytes), header)
  }
})

/** Bytes with a right checksum, whatever they say. */
function resealed(bytes: Buffer): Buffer {
  let [s0, s1] = [0, 0]
  for (let at = 0; at < 40; at += 8) {
    s0 = (s0 + bytes.readUInt32LE(at) + s1) % 2 ** 32
    s1 = (s1 + bytes.readUInt32LE(at + 4) + s0) % 2 ** 32
  }
  bytes.writeUInt32LE(s0, 40)
  bytes.writeUInt32LE(s1, 44)
  return bytes
}

test('a header of another version, uninitialised or of an odd page size is refused', () => {
  const [header] = fc.sample(headerArbitrary, 1)
  const change = (edit: (bytes: Buffer) => void) => {
    const bytes = encoded(header)
    edit(bytes)
    return parseIndexHeader(resealed(bytes))
  }
  assert.deepEqual(
    change(() => {}),
    header,
  )
  assert.equal(
    change((bytes) => bytes.writeUInt32LE(3007001, 0)),
    undefined,
  )
  assert.equal(
    change((bytes) => bytes.writeUInt8(0, 12)),
    undefined,
  )
  for (const size of [1536, 0xfe00, 0xfe01, 513])
    assert.equal(
      change((bytes) => bytes.writeUInt16LE(size, 14)),
      undefined,
      `page size ${size}`,
    )
  assert.equal(parseIndexHeader(alignedBuffer(INDEX_HEADER_BYTES)), undefined, 'zeros')
})

test('the reader gives a header only when both copies are the same and whole', () => {
  const path = join(folder.path, 'index')
  const [one, two] = fc.sample(headerArbitrary, 2)
  const [a, b] = [encoded(one), encoded(two)]
  const read = (bytes: Buffer) => {
    writeFileSync(path, bytes)
    const fd = openSync(path, 'r')
    try {
      const reader = new WalIndexReader(fd)
      const header = reader.read()
      if (header) assert.ok(reader.rawHeader.equals(bytes.subarray(0, INDEX_HEADER_BYTES)))
      return header
    } finally {
      closeSync(fd)
    }
  }
  assert.deepEqual(read(Buffer.concat([a, a])), one)
  assert.equal(read(Buffer.concat([a, b])), undefined, 'between the two copies')
  assert.equal(read(Buffer.concat([b, a])), undefined)
  assert.equal(read(a), undefined, 'one copy only')
  assert.equal(read(Buffer.alloc(0)), undefined)
  assert.equal(read(Buffer.alloc(96)), undefined, 'a new file')
  for (let cut = 1; cut < INDEX_HEADER_BYTES; cut++) {
    const torn = Buffer.concat([b.subarray(0, cut), a.subarray(cut)])
    if (torn.equals(a) || torn.equals(b)) continue
    assert.equal(read(Buffer.concat([torn, a])), undefined, `torn at ${cut}`)
    assert.equal(read(Buffer.concat([torn, torn])), undefined, `both torn at ${cut}`)
  }
})

test('a torn header is read again and found whole when the writer is done', () => {
  const path = join(folder.path, 'settling')
  const [one, two] = fc.sample(headerArbitrary, 2)
  writeFileSync(path, Buffer.concat([encoded(two), encoded(one)]))
  const fd = openSync(path, 'r+')
  const reader = new WalIndexReader(fd)
  assert.equal(reader.read(), undefined)
  writeSync(fd, encoded(two), 0, INDEX_HEADER_BYTES, INDEX_HEADER_BYTES)
  assert.deepEqual(reader.read(), two)
  closeSync(fd)
})

/** The newest frame of a page up to mxFrame, found through the hash tables as SQLite finds it. */
function lookUp(index: Buffer, page: number, mxFrame: number): number {
  for (let block = indexBlockOf(mxFrame); block >= 0; block--) {
    const start = block * INDEX_BLOCK_BYTES
    let found = 0
    for (let slot = hashSlot(page); ; slot = (slot + 1) % HASH_SLOTS) {
      const entry = index.readUInt16LE(start + HASH_OFFSET + 2 * slot)
      if (entry === 0) break
      const frame = frameBeforeBlock(block) + entry
      if (
        frame <= mxFrame &&
        index.readUInt32LE(start + pageNumbersOffset(block) + 4 * (entry - 1)) === page
      )
        found = frame
    }
    if (found > 0) return found
  }
  return 0
}

for (const pageSize of PAGE_SIZES) {
  test(`the wal-index of SQLite reads as the format says, pages of ${pageSize} bytes`, () => {
    const source = new SourceDatabase(join(folder.path, `${pageSize}.db`), pageSize)
    for (let i = 0; i < 8; i++) source.insert(pageSize === 512 ? 700 : 60, 300)
    const { fd } = pinFile(`${source.path}-shm`)
    const reader = new WalIndexReader(fd)
    const header = reader.read()
    assert.ok(header)
    assert.equal(header.pageSize, pageSize)
    assert.equal(header.pages, source.pages)
    assert.equal(header.bigEndianWal, false)
    assert.ok(encoded(header).equals(reader.rawHeader), 'written again it is the same bytes')
    const wal = readFileSync(`${source.path}-wal`)
    assert.deepEqual([header.salt1, header.salt2], [wal.readUInt32BE(16), wal.readUInt32BE(20)])
    const index = Buffer.alloc((indexBlockOf(header.mxFrame) + 1) * INDEX_BLOCK_BYTES)
    assert.equal(readSync(fd, index, 0, index.length, 0), index.length)
    const newest = new Map<number, number>()
    for (let frame = 1; frame <= header.mxFrame; frame++) {
      const page = wal.readUInt32BE(frameOffset(frame, pageSize))
      const block = indexBlockOf(frame)
      const at =
        block * INDEX_BLOCK_BYTES +
        pageNumbersOffset(block) +
        4 * (frame - frameBeforeBlock(block) - 1)
      assert.equal(index.readUInt32LE(at), page, `frame ${frame}`)
      newest.set(page, frame)
    }
    for (const [page, frame] of newest) assert.equal(lookUp(index, page, header.mxFrame), frame)
    if (pageSize === 512) assert.ok(header.mxFrame > 4062, 'more than one block')
    source.close()
  })
}

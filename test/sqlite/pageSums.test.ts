/** Page checksums and the state checksum, against sums made from scratch. */
import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { readZeroFilled, scanPages } from '../../src/sqlite/pageScan.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'
import { lockPage } from '../../src/sqlite/walFormat.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { WalReader } from '../../src/sqlite/walReader.ts'
import { checksumHex, xxh64 } from '../../src/xxh64.ts'
import { PAGE_SIZES, SourceDatabase, temporaryFolder } from '../support/sourceDatabase.ts'

const folder = temporaryFolder()
after(() => folder.remove())

type Op =
  | { readonly kind: 'set'; readonly page: number; readonly sum: bigint }
  | { readonly kind: 'resize'; readonly pages: number }
  | { readonly kind: 'settle' }
  | { readonly kind: 'revert' }

/** What a database of page sums is: a size, and sums of its pages. */
interface Model {
  pages: number
  readonly sums: Map<number, bigint>
}

const stateOf = (model: Model) => [...model.sums.values()].reduce((state, sum) => state ^ sum, 0n)
const copyOf = (model: Model): Model => ({ pages: model.pages, sums: new Map(model.sums) })

function apply(
  sums: PageSums,
  model: Model,
  settled: Model,
  lock: number,
  op: Op,
): { model: Model; settled: Model } {
  switch (op.kind) {
    case 'set':
      sums.set(op.page, op.sum)
      if (op.page === lock) return { model, settled }
      model.sums.set(op.page, op.sum)
      model.pages = Math.max(model.pages, op.page)
      return { model, settled }
    case 'resize':
      sums.resize(op.pages)
      model.pages = op.pages
      for (const page of model.sums.keys()) if (page > op.pages) model.sums.delete(page)
      return { model, settled }
    case 'settle':
      sums.settle()
      return { model, settled: copyOf(model) }
    case 'revert':
      sums.revert()
      return { model: copyOf(settled), settled }
  }
}

const sumArbitrary = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 1n, 2n ** 64n - 1n),
)

for (const [name, pageSize, pageArbitrary] of [
  ['small databases', 4096, fc.integer({ min: 1, max: 40 })],
  [
    'databases that outgrow their memory',
    4096,
    fc.oneof(fc.integer({ min: 1, max: 6000 }), fc.constantFrom(1024, 1025, 1536, 1537)),
  ],
  ['databases around the lock page', 65536, fc.integer({ min: 16380, max: 16390 })],
] as const) {
  test(`the state checksum is the XOR of all pages: ${name}`, () => {
    const op: fc.Arbitrary<Op> = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          kind: fc.constant('set' as const),
          page: pageArbitrary,
          sum: sumArbitrary,
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('resize' as const),
          pages: fc.oneof(pageArbitrary, fc.constant(0)),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constantFrom('settle' as const, 'revert' as const) }),
      },
    )
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
        const sums = new PageSums(pageSize)
        const lock = lockPage(pageSize)
        let state = {
          model: { pages: 0, sums: new Map<number, bigint>() },
          settled: { pages: 0, sums: new Map<number, bigint>() },
        }
        for (const each of ops) {
          state = apply(sums, state.model, state.settled, lock, each)
          assert.equal(sums.state, stateOf(state.model))
          assert.equal(sums.pages, state.model.pages)
        }
        const { model } = state
        for (const page of [...model.sums.keys(), 1, model.pages, model.pages + 1, lock])
          if (page > 0) assert.equal(sums.get(page), model.sums.get(page) ?? 0n, `page ${page}`)
        const slice = sums.slice(1, model.pages)
        assert.equal(slice.length, 8 * model.pages)
        let fromSlice = 0n
        for (let at = 0; at < slice.length; at += 8) fromSlice ^= slice.readBigUInt64LE(at)
        assert.equal(fromSlice, sums.state, 'what is sent to the leader is what is kept')
      }),
      { numRuns: name === 'small databases' ? 500 : 100 },
    )
  })
}

test('a count in slices takes in changes, what is taken back, growth and shrinking', () => {
  const change = fc.oneof(
    fc.record({
      kind: fc.constant('set' as const),
      page: fc.integer({ min: 1, max: 60 }),
      sum: sumArbitrary,
    }),
    fc.record({ kind: fc.constantFrom('settle' as const, 'revert' as const) }),
    fc.record({ kind: fc.constant('resize' as const), pages: fc.integer({ min: 0, max: 60 }) }),
    fc.record({ kind: fc.constant('count' as const), most: fc.integer({ min: 1, max: 20 }) }),
  )
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
      const sums = new PageSums(4096)
      for (const each of changes) {
        if (each.kind === 'set') sums.set(each.page, each.sum)
        else if (each.kind === 'resize') sums.resize(each.pages)
        else if (each.kind === 'count')
          assert.ok([undefined, sums.state].includes(sums.recount(each.most)))
        else sums[each.kind]()
      }
      let counted = sums.recount(7)
      while (counted === undefined) counted = sums.recount(7)
      assert.equal(counted, sums.state)
    }),
    { numRuns: 500 },
  )
})

test('changes are taken back to a mark, and further to the last settle', () => {
  const changes = fc.array(
    fc.oneof(
      fc.record({ page: fc.integer({ min: 1, max: 60 }), sum: sumArbitrary }),
      fc.record({ pages: fc.integer({ min: 0, max: 60 }) }),
    ),
    { maxLength: 20 },
  )
  const apply = (
    sums: PageSums,
    list: readonly ({ page: number; sum: bigint } | { pages: number })[],
  ) => {
    for (const each of list) {
      if ('page' in each) sums.set(each.page, each.sum)
      else sums.resize(each.pages)
    }
  }
  const lookOf = (sums: PageSums) => [
    sums.state,
    sums.pages,
    ...Array.from({ length: 61 }, (_, i) => sums.get(i + 1)),
  ]
  fc.assert(
    fc.property(changes, changes, changes, (first, second, third) => {
      const sums = new PageSums(4096)
      apply(sums, first)
      sums.settle()
      const settled = lookOf(sums)
      apply(sums, second)
      const marked = lookOf(sums)
      const mark = sums.mark()
      apply(sums, third)
      sums.returnTo(mark)
      assert.deepEqual(lookOf(sums), marked)
      apply(sums, third)
      sums.revert()
      assert.deepEqual(lookOf(sums), settled)
    }),
  )
})

test('a slice holds the sums of its pages, little-endian', () => {
  const sums = new PageSums(512)
  for (let page = 1; page <= 10; page++) sums.set(page, BigInt(page) << 56n)
  assert.equal(sums.slice(3, 4).toString('hex'), '00000000000000030000000000000004')
  assert.equal(sums.slice(11, 10).length, 0)
})

test('a page sum depends on every byte and on the number of the page', () => {
  const page = Buffer.alloc(512, 7)
  const seen = new Set([pageSum(1, page), pageSum(2, page), pageSum(4294967294, page)])
  for (let at = 0; at < page.length; at++) {
    page[at] ^= 1
    seen.add(pageSum(1, page))
    page[at] ^= 1
  }
  assert.equal(seen.size, 3 + 512)
  assert.equal(pageSum(9, page), xxh64(page, 9n))
})

test('a checksum is written as 16 lower-case hex digits', () => {
  fc.assert(fc.property(sumArbitrary, (sum) => assert.equal(BigInt(`0x${checksumHex(sum)}`), sum)))
  for (const sum of [0n, 0xabcn, 2n ** 64n - 1n]) assert.match(checksumHex(sum), /^[0-9a-f]{16}$/)
})

/** The state checksum of a database image, page by page. */
function fromScratch(image: Buffer, pageSize: number): bigint {
  let state = 0n
  for (let page = 1; page * pageSize <= image.length; page++) {
    if (page === lockPage(pageSize)) continue
    state ^= xxh64(image.subarray((page - 1) * pageSize, page * pageSize), BigInt(page))
  }
  return state
}

for (const pageSize of PAGE_SIZES) {
  test(`a scan has the checksum of what SQLite reads, page size ${pageSize}`, async () => {
    const source = new SourceDatabase(join(folder.path, `${pageSize}.db`), pageSize)
    source.insert(400, 900)
    source.db.pragma('wal_checkpoint(TRUNCATE)')
    source.apply({ kind: 'update', every: 3, bytes: 700 })
    source.insert(300, 900)
    const header = new WalIndexReader(pinFile(`${source.path}-shm`).fd).read()
    assert.ok(header)
    const walFd = openSync(`${source.path}-wal`, 'r')
    const reader = new WalReader(walFd, pageSize, 100_000)
    const frames = new FrameMap()
    reader.startGeneration(header.salt1, header.salt2)
    while (reader.frame < header.mxFrame) {
      const segment = reader.read(header.mxFrame)
      for (let i = 0; i < segment.count; i++)
        frames.set(segment.pageNumbers[i], segment.firstFrame + i)
      reader.consume(segment.count)
    }
    const databaseFd = pinFile(source.path).fd
    const { sums } = await scanPages({ databaseFd, walFd, pageSize, pages: header.pages, frames })
    const image = source.image()
    assert.equal(sums.pages, image.length / pageSize)
    assert.equal(sums.state, fromScratch(image, pageSize))
    sums.set(1, 0n)
    sums.revert()
    assert.equal(sums.state, fromScratch(image, pageSize), 'a scan is settled')
    closeSync(walFd)
    source.close()
  })
}

test('a scan tells the state of the file alone, unless the WAL made it smaller', async () => {
  const source = new SourceDatabase(join(folder.path, 'base.db'), 1024)
  source.insert(200, 400)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const base = source.image()
  const databaseFd = pinFile(source.path).fd
  const walFd = openSync(`${source.path}-wal`, 'r')
  const index = new WalIndexReader(pinFile(`${source.path}-shm`).fd)
  const scan = async () => {
    const header = index.read()
    assert.ok(header)
    const frames = new FrameMap()
    const reader = new WalReader(walFd, 1024, 10_000_000)
    reader.startGeneration(header.salt1, header.salt2)
    const segment = reader.read(header.mxFrame)
    for (let i = 0; i < segment.count; i++) frames.set(segment.pageNumbers[i], i + 1)
    return scanPages({ databaseFd, walFd, pageSize: 1024, pages: header.pages, frames })
  }
  source.insert(50, 400)
  const grown = await scan()
  assert.equal(grown.fileState, fromScratch(base, 1024))
  assert.equal(grown.sums.state, fromScratch(source.image(), 1024))
  assert.equal(index.isUntouchedByCheckpoints(), true)
  source.apply({ kind: 'delete', every: 1 })
  source.apply({ kind: 'vacuum' })
  const shrunk = await scan()
  assert.equal(shrunk.fileState, undefined)
  assert.equal(shrunk.sums.state, fromScratch(source.image(), 1024))
  source.db.pragma('wal_checkpoint(PASSIVE)')
  assert.equal(index.isUntouchedByCheckpoints(), false)
  source.insert(1, 1)
  assert.equal(index.isUntouchedByCheckpoints(), true, 'a new generation')
  closeSync(walFd)
  source.close()
})

test('what lies past the end of a file reads as zeros', async () => {
  const source = new SourceDatabase(join(folder.path, 'short.db'), 512)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const bytes = source.image().length
  const into = Buffer.alloc(1024, 0xff)
  await readZeroFilled(pinFile(source.path).fd, into, 1024, bytes - 512)
  assert.ok(into.subarray(0, 512).equals(source.image().subarray(-512)))
  assert.ok(into.subarray(512).equals(Buffer.alloc(512)))
  source.close()
})

test('a frame map gives the last frame set, 0 for unknown pages, and is empty when cleared', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          page: fc.integer({ min: 1, max: 5000 }),
          frame: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
        }),
      ),
      fc.array(fc.integer({ min: 1, max: 9000 })),
      (sets, asked) => {
        const map = new FrameMap()
        for (let round = 0; round < 2; round++) {
          const model = new Map<number, number>()
          for (const { page, frame } of sets) {
            map.set(page, frame)
            model.set(page, frame)
          }
          for (const page of [...asked, ...model.keys()])
            assert.equal(map.get(page), model.get(page) ?? 0)
          map.clear()
          for (const page of [...asked, ...model.keys()]) assert.equal(map.get(page), 0)
        }
      },
    ),
  )
})

test('the runs of pages that are there are those that a look at each page finds', () => {
  const change = fc.oneof(
    fc.record({
      page: fc.integer({ min: 1, max: 60 }),
      // Also sums of which one half is 0.
      sum: fc.constantFrom(0n, 1n, 1n << 32n, (1n << 64n) - 1n),
    }),
    fc.record({ pages: fc.integer({ min: 0, max: 60 }) }),
  )
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
      const sums = new PageSums(512)
      for (const each of changes)
        if ('pages' in each) sums.resize(each.pages)
        else sums.set(each.page, each.sum)
      const there = new Set(sums.runs().flatMap(([first, last]) => range(first, last)))
      for (let page = 1; page <= 61; page++) assert.equal(there.has(page), sums.get(page) !== 0n)
      for (const [i, [first]] of sums.runs().entries())
        if (i > 0) assert.ok(first > sums.runs()[i - 1][1] + 1, 'runs do not touch')
    }),
  )
})

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

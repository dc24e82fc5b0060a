/**
 * Where a leader goes on: when it may keep its epoch, and which txids it must not give out again.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { decode, payloadPage, payloadPageNumber } from '../../proto/codec.ts'
import { MAX_PAGES, MAX_PAYLOAD_BYTES } from '../../proto/limits.ts'
import {
  type Incarnation,
  parseTrail,
  type Standing,
  trailOf,
  withIncarnation,
  withoutIdle,
} from '../../proto/lineage.ts'
import { encodeBatch, segmentBytes } from '../../src/feed/batch.ts'
import type { SeenHistory } from '../../src/feed/seenHistory.ts'
import { rebuildBatches } from '../../src/leader/rebuiltBatches.ts'
import {
  chooseStart as choose,
  type FoundContent,
  type Remembered,
  type StartPoint,
} from '../../src/leader/startPoint.ts'
import { openFiles } from '../../src/sqlite/databaseFiles.ts'
import { type ScannedDatabase, scanDatabase } from '../../src/sqlite/databaseScan.ts'
import { PageSums, pageSum } from '../../src/sqlite/pageSums.ts'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'
import type { PositionRecord } from '../../src/sqlite/positionLog.ts'
import { frameBytes, lockPage } from '../../src/sqlite/walFormat.ts'
import { checksumHex } from '../../src/xxh64.ts'
import { PAGE_SIZES, SourceDatabase, temporaryFolder } from '../support/sourceDatabase.ts'

const folder = temporaryFolder()
after(() => folder.remove())

/** Of the last leader, of the one before it, and of the one that starts. */
const LED = '00000000000000a4'
const BEFORE = '00000000000000a3'
const STARTS = '00000000000000ff'

type Found = FoundContent

const chooseStart = (content: Found, remembered: Remembered) => choose(content, remembered, STARTS)

/**
 * The last leader's incarnation: it committed all from its first txid on, and nothing is known of
 * what was before.
 */
const LEADS: Incarnation = {
  id: LED,
  epoch: 4,
  after: '',
  afterEpoch: 0,
  txid: 0,
  leader: 'me',
  exact: false,
}

const COUNTERS = { changeCounter: 7, schemaCookie: 3 }

/** A database of 10 pages whose WAL has commits at frames 3, 5 and 9. */
function found(): Found {
  const sums = new PageSums(4096)
  for (let page = 1; page <= 10; page++) sums.set(page, BigInt(page) * 77n)
  sums.settle()
  const commits = [3, 5, 9]
  return {
    header: {
      change: 1,
      bigEndianWal: false,
      pageSize: 4096,
      mxFrame: 9,
      pages: 10,
      frameChecksum: { s0: 90, s1: 91 },
      salt1: 11,
      salt2: 12,
    },
    commits,
    checksums: new Map(commits.map((frame) => [frame, { s0: frame * 10, s1: frame * 10 + 1 }])),
    sums,
    baseState: undefined,
    counters: COUNTERS,
  }
}

const inWal = (txid: number, frame: number, epoch = 4): PositionRecord => ({
  epoch,
  txid,
  incarnation: LED,
  checksum: BigInt(txid),
  salt1: 11,
  salt2: 12,
  frame,
  s0: frame * 10,
  s1: frame * 10 + 1,
  pages: 10,
  ...COUNTERS,
})
const before = (
  records: readonly PositionRecord[],
  changes: Partial<Remembered> = {},
): Remembered => ({
  records,
  trusted: true,
  epoch: 4,
  incarnation: LED,
  raised: undefined,
  txidCeiling: 5000,
  lineage: [LEADS],
  node: 'me',
  seen: [],
  ...changes,
})

/**
 * The incarnation that starts goes on, in the same epoch, with the state that the last leader had
 * at `txid`.
 */
const goesOn = (txid: number): Incarnation => ({
  id: STARTS,
  epoch: 4,
  after: LED,
  afterEpoch: 4,
  txid,
  leader: 'me',
  exact: true,
})

test('without any record the first epoch begins at txid 1', () => {
  assert.deepEqual(chooseStart(found(), before([], { epoch: 0, txidCeiling: 0, trusted: false })), {
    epoch: 1,
    term: 0,
    txid: 1,
    newEpoch: 'first start',
    isPutBack: false,
    begun: { id: STARTS, epoch: 1, after: '', afterEpoch: 0, txid: 0, leader: 'me', exact: false },
    verified: [],
  })
})

test('without the log of positions, the next epoch begins above every txid ever given out', () => {
  const start = chooseStart(found(), before([]))
  assert.deepEqual([start.epoch, start.txid, start.newEpoch], [5, 5001, 'no stored position'])
})

test('a stored position of another epoch than the node file begins an epoch above both', () => {
  for (const [recorded, epoch] of [
    [3, 5],
    [9, 10],
  ] as const) {
    const start = chooseStart(found(), before([inWal(100, 9, recorded)]))
    assert.equal(start.epoch, epoch)
    assert.equal(start.txid, 5001)
    assert.ok(start.newEpoch)
  }
  assert.equal(chooseStart(found(), before([inWal(7000, 9, 3)])).txid, 7001)
})

test('after the machine went down, not even a position that verifies goes on', () => {
  const start = chooseStart(found(), before([inWal(100, 9)], { trusted: false }))
  assert.deepEqual([start.epoch, start.txid], [5, 5001])
  assert.match(start.newEpoch ?? '', /clean stop/)
})

test('a position at the end of the WAL goes on where it was', () => {
  const records = [inWal(98, 3), inWal(99, 5), inWal(100, 9)]
  assert.deepEqual(chooseStart(found(), before(records)), {
    epoch: 4,
    term: 0,
    txid: 100,
    newEpoch: undefined,
    isPutBack: false,
    begun: goesOn(100),
    verified: records,
  })
})

test('commits behind a position that verifies are counted', () => {
  assert.equal(chooseStart(found(), before([inWal(98, 3)])).txid, 100)
  assert.equal(chooseStart(found(), before([inWal(98, 5)])).txid, 99)
  assert.equal(chooseStart(found(), before([inWal(98, 3)])).newEpoch, undefined)
})

test('only records of this epoch and this WAL are verified ones', () => {
  const older = inWal(90, 3, 3)
  const otherWal = { ...inWal(91, 3), salt1: 99 }
  const start = chooseStart(found(), before([older, otherWal, inWal(98, 5), inWal(99, 9)]))
  assert.deepEqual(start.verified, [inWal(98, 5), inWal(99, 9)])
})

test('a position that fails in the WAL by one field begins a new epoch at the next txid', () => {
  const good = inWal(100, 9)
  for (const change of [
    { salt1: 12 },
    { salt2: 11 },
    { s0: 91 },
    { s1: 90 },
    { frame: 8 },
    { frame: 10 },
    { frame: 0 },
  ]) {
    const start = chooseStart(found(), before([{ ...good, ...change }]))
    assert.deepEqual(
      [start.epoch, start.txid, start.verified],
      [5, 101, []],
      JSON.stringify(change),
    )
    assert.match(start.newEpoch ?? '', /no leader ran/)
    const back = chooseStart(found(), before([inWal(99, 5), { ...good, ...change }]))
    assert.deepEqual([back.epoch, back.txid, back.verified], [5, 101, []], JSON.stringify(change))
    assert.match(back.newEpoch ?? '', /put back to what it was at 4-99/)
  }
})

test('a WAL removed by a last close does not end the epoch when the content is unchanged', () => {
  const there = found()
  const header = { ...there.header, mxFrame: 0, salt1: 1, salt2: 2 }
  const bare: Found = { ...there, header, commits: [], checksums: new Map() }
  const same = { ...inWal(100, 9), checksum: there.sums.state }
  assert.deepEqual(chooseStart(bare, before([same])), {
    epoch: 4,
    term: 0,
    txid: 100,
    newEpoch: undefined,
    isPutBack: false,
    begun: goesOn(100),
    verified: [],
  })
  assert.equal(chooseStart(bare, before([{ ...same, checksum: 1n }])).epoch, 5)
  assert.equal(chooseStart(bare, before([{ ...same, pages: 11 }])).epoch, 5)
  const older = chooseStart(bare, before([same, { ...inWal(101, 9), checksum: 1n }]))
  assert.deepEqual(
    [older.epoch, older.txid],
    [5, 102],
    'an older position with this content is not the newest',
  )
})

test('a WAL that was started over goes on when the file below is the state that was left', () => {
  const left = { ...inWal(100, 9), salt1: 1, salt2: 2 }
  const there = { ...found(), baseState: left.checksum }
  assert.deepEqual(chooseStart(there, before([inWal(99, 5), left])), {
    epoch: 4,
    term: 0,
    txid: 103,
    newEpoch: undefined,
    isPutBack: false,
    begun: goesOn(100),
    verified: [{ ...left, frame: 0 }],
  })
  assert.equal(chooseStart({ ...there, baseState: left.checksum + 1n }, before([left])).epoch, 5)
  assert.equal(chooseStart({ ...there, baseState: undefined }, before([left])).epoch, 5)
  assert.equal(chooseStart(there, before([left], { trusted: false })).epoch, 5)
  assert.equal(
    chooseStart(there, before([left, { ...left, checksum: 3n }])).epoch,
    5,
    'not the newest position',
  )
})

test('whatever is found and remembered, no txid of an epoch is given out twice', () => {
  const record = fc.record({
    epoch: fc.integer({ min: 1, max: 6 }),
    txid: fc.integer({ min: 1, max: 6000 }),
    frame: fc.constantFrom(0, 3, 5, 8, 9),
    right: fc.boolean(),
    content: fc.boolean(),
  })
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 0, max: 6 }),
      (drawn, trusted, epoch) => {
        const there = found()
        const records = drawn.map((of): PositionRecord => {
          const each = inWal(of.txid, of.frame, of.epoch)
          return { ...each, salt1: of.right ? 11 : 9, checksum: of.content ? there.sums.state : 5n }
        })
        const last = records.at(-1)
        const start = chooseStart(there, before(records, { trusted, epoch }))
        if (start.newEpoch === undefined) {
          assert.ok(last && trusted && last.epoch === epoch && start.epoch === epoch)
          assert.ok(start.txid >= last.txid)
        } else {
          assert.ok(start.epoch > epoch && start.epoch > (last?.epoch ?? 0))
          assert.ok(start.txid > (last?.txid ?? 0) || !trusted || last?.epoch === epoch)
          assert.deepEqual(start.verified, [])
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('whatever is read at once fits in one message', () => {
  for (const pageSize of PAGE_SIZES) {
    for (const batchBytes of [1, 1024, 1024 * 1024, MAX_PAYLOAD_BYTES, 64 * 1024 * 1024]) {
      const count = Math.max(
        1,
        Math.floor(segmentBytes(pageSize, batchBytes) / frameBytes(pageSize)),
      )
      assert.ok(count <= MAX_PAGES, `${count} pages of ${pageSize}`)
      assert.ok(count * (4 + pageSize) <= MAX_PAYLOAD_BYTES, `${count} pages of ${pageSize}`)
    }
  }
})

test('a batch holds the frames taken, in their order', () => {
  const images = [1, 2, 3].map((fill) => Buffer.alloc(512, fill))
  const segment = {
    firstFrame: 1,
    count: 3,
    pageNumbers: Uint32Array.of(8, 9, 8),
    commitPages: Uint32Array.of(0, 0, 9),
    page: (i: number) => images[i],
    checksumAfter: () => ({ s0: 0, s1: 0 }),
  }
  const body = {
    db: 'app',
    epoch: 1,
    fromTxid: 1,
    txid: 2,
    chunk: 0,
    last: true,
    pageSize: 512,
    dbPages: 9,
    checksum: checksumHex(5n),
    noticeMs: 1,
    noticedMs: 2,
    sentMs: 3,
  }
  const message = decode(encodeBatch(body, segment, [1, 2]))
  assert.deepEqual({ ...message.body }, { ...body, pages: 2 })
  assert.deepEqual(
    [0, 1].map((i) => payloadPageNumber(message.payload, i)),
    [9, 8],
  )
  assert.ok(payloadPage(message.payload, 0, 2, 512).equals(images[1]))
  assert.ok(payloadPage(message.payload, 1, 2, 512).equals(images[2]))
})

/**
 * A database with several commits in its WAL, the image after each, and the records that a leader
 * would have written.
 */
async function databaseWithHistory(name: string) {
  const source = new SourceDatabase(join(folder.path, name), 1024)
  source.insert(30, 400)
  source.db.pragma('wal_checkpoint(TRUNCATE)')
  const images = [source.image()]
  const files = openFiles(pinFile(source.path), 1024)
  for (const change of [
    { kind: 'insert', rows: 40, bytes: 500 },
    { kind: 'update', every: 2, bytes: 100 },
    { kind: 'delete', every: 2 },
    { kind: 'vacuum' },
    { kind: 'insert', rows: 60, bytes: 500 },
  ] as const) {
    source.apply(change)
    images.push(source.image())
  }
  const scanned = await scanDatabase(files, 100_000)
  const { header, commits, checksums } = scanned
  const records = commits.map((frame, i): PositionRecord => {
    const { s0, s1 } = checksums.get(frame) ?? { s0: 0, s1: 0 }
    const { salt1, salt2 } = header
    return {
      epoch: 2,
      txid: i + 1,
      incarnation: LED,
      checksum: sumsOf(images[i + 1]).state,
      salt1,
      salt2,
      frame,
      s0,
      s1,
      pages: images[i + 1].length / 1024,
      ...COUNTERS,
    }
  })
  assert.equal(records.length, images.length - 1)
  return { source, files, scanned, images, records }
}

function sumsOf(image: Buffer): PageSums {
  const sums = new PageSums(1024)
  for (let page = 1; page * 1024 <= image.length; page++) {
    if (page !== lockPage(1024))
      sums.set(page, pageSum(page, image.subarray((page - 1) * 1024, page * 1024)))
  }
  return sums
}

function rebuilt(
  files: Parameters<typeof rebuildBatches>[0],
  scanned: ScannedDatabase,
  start: StartPoint,
  batchBytes: number,
  limitBytes = 1e9,
) {
  return [...rebuildBatches(files, scanned, start, { db: 'app', batchBytes, limitBytes, nowMs: 1 })]
}

test('batches rebuilt from the WAL lead from each verified record to the end', async () => {
  const { source, files, scanned, images, records } = await databaseWithHistory('rebuilt.db')
  assert.equal(sumsOf(source.image()).state, scanned.sums.state)
  for (const chosen of [
    records,
    [records[1], records[3]],
    [records[0]],
    [records[2], records[4]],
  ]) {
    const start = chooseStart(scanned, before(chosen, { epoch: 2 }))
    assert.equal(start.txid, records.length)
    assert.deepEqual(start.verified, chosen)
    for (const batchBytes of [1, 5000, 1_000_000]) {
      let image = Buffer.from(images[chosen[0].txid])
      let txid = chosen[0].txid
      let chunk = 0
      for (const each of rebuilt(files, scanned, start, batchBytes)) {
        const message = decode(each.message)
        assert.ok(message.type === 'batch')
        const { body, payload } = message
        assert.deepEqual(
          [body.epoch, body.fromTxid, body.chunk, body.last],
          [2, txid, chunk, each.last],
        )
        assert.deepEqual(each.from, { txid, checksum: checksumHex(sumsOf(images[txid]).state) })
        const pages = new Map<number, Buffer>()
        for (let i = 0; i < body.pages; i++)
          pages.set(payloadPageNumber(payload, i), payloadPage(payload, i, body.pages, 1024))
        assert.equal(pages.size, body.pages, 'no page twice')
        const size = body.last
          ? body.dbPages * 1024
          : Math.max(image.length, ...[...pages.keys()].map((page) => page * 1024))
        const next = Buffer.alloc(size)
        image.copy(next)
        for (const [page, bytes] of pages) {
          assert.ok(!body.last || page <= body.dbPages)
          bytes.copy(next, (page - 1) * 1024)
        }
        image = next
        chunk = body.last ? 0 : chunk + 1
        if (!body.last) continue
        txid = body.txid
        assert.equal(body.checksum, checksumHex(sumsOf(image).state))
        assert.ok(image.equals(images[txid]), `the state at ${txid}`)
      }
      assert.equal(txid, records.length)
    }
  }
  source.close()
})

test('a WAL that another connection started over is made again from its first frame', async () => {
  const { source, files, images, records } = await databaseWithHistory('started-over.db')
  source.db.pragma('wal_checkpoint(PASSIVE)')
  source.insert(3, 100)
  source.insert(3, 100)
  const last = records.slice(-1)
  const scanned = await scanDatabase(files, 100_000)
  const start = chooseStart(scanned, before(last, { epoch: 2 }))
  assert.deepEqual([start.epoch, start.txid, start.newEpoch], [2, last[0].txid + 2, undefined])
  const [only, ...more] = rebuilt(files, scanned, start, 1_000_000)
  assert.deepEqual(more, [])
  const base = images.at(-1) ?? Buffer.alloc(0)
  assert.deepEqual(only.from, { txid: last[0].txid, checksum: checksumHex(sumsOf(base).state) })
  const { body, payload } = decode(only.message)
  assert.ok('dbPages' in body && 'checksum' in body)
  const image = Buffer.alloc(body.dbPages * 1024)
  base.copy(image)
  for (let i = 0; i < body.pages; i++)
    payloadPage(payload, i, body.pages, 1024).copy(
      image,
      (payloadPageNumber(payload, i) - 1) * 1024,
    )
  assert.ok(image.equals(source.image()))
  assert.equal(body.checksum, checksumHex(scanned.sums.state))

  source.db.pragma('wal_checkpoint(PASSIVE)')
  const checkpointed = chooseStart(await scanDatabase(files, 100_000), before(last, { epoch: 2 }))
  assert.equal(checkpointed.epoch, 3, 'the file is no longer what the WAL began on')
  source.close()
})

test('no more is made again than the limit allows, and the end of it is whole', async () => {
  const { source, files, scanned, records } = await databaseWithHistory('limited.db')
  const start = chooseStart(scanned, before(records, { epoch: 2 }))
  const frames = records[4].frame - records[3].frame
  const few = rebuilt(files, scanned, start, 1_000_000, frames * 1024)
  assert.deepEqual(
    few.map((each) => [each.from.txid, each.txid]),
    [[4, 5]],
  )
  assert.deepEqual(rebuilt(files, scanned, start, 1_000_000, 0), [])
  source.close()
})

/** The role file of a node that was promoted says so; its first position is not on record yet. */
const promoted = (changes: Partial<Incarnation> = {}): Partial<Remembered> => {
  const begun = {
    ...LEADS,
    epoch: 5,
    after: BEFORE,
    afterEpoch: 4,
    txid: 100,
    exact: true,
    ...changes,
  }
  return { epoch: 5, lineage: [begun] }
}
const committedBefore = (record: PositionRecord): PositionRecord => ({
  ...record,
  incarnation: BEFORE,
})

test('a crash after the role file and before the first position keeps the epoch', () => {
  const records = [inWal(99, 5), inWal(100, 9)].map(committedBefore)
  const start = chooseStart(found(), before(records, promoted()))
  assert.deepEqual([start.epoch, start.txid, start.newEpoch], [5, 100, undefined])
  assert.deepEqual(start.begun, { ...goesOn(100), epoch: 5, after: BEFORE })
})

test('a promotion from another position explains no stored one', () => {
  for (const change of [{ txid: 99 }, { after: '00000000000000b3' }, { exact: false }]) {
    const start = chooseStart(found(), before([committedBefore(inWal(100, 9))], promoted(change)))
    assert.equal(start.epoch, 6)
    assert.ok(start.newEpoch)
  }
})

test('a database written while no leader ran follows from what it was, without proof', () => {
  const start = chooseStart(found(), before([{ ...inWal(100, 9), s0: 1 }]))
  assert.deepEqual(start.begun, { ...goesOn(100), epoch: 5, exact: false })
  assert.equal(start.txid, 101)
  assert.equal(start.isPutBack, false)
})

test('a database whose counters went back was put back, and nothing is taken to follow', () => {
  for (const counters of [
    { changeCounter: 6, schemaCookie: 3 },
    { changeCounter: 9, schemaCookie: 2 },
  ]) {
    const start = chooseStart({ ...found(), counters }, before([{ ...inWal(100, 9), s0: 1 }]))
    assert.deepEqual([start.epoch, start.txid, start.isPutBack], [5, 101, true])
    assert.match(start.newEpoch ?? '', /put back to a state before 4-100/)
    assert.deepEqual([start.begun.after, start.begun.txid, start.begun.exact], ['', 0, false])
  }
  // What a replica wrote down says nothing of them.
  const unknown = { ...inWal(100, 9), s0: 1, changeCounter: 0, schemaCookie: 0 }
  assert.equal(chooseStart(found(), before([unknown])).isPutBack, false)
})

const seenBy = (trail: string, change: Partial<SeenHistory> = {}): SeenHistory => {
  const points = parseTrail(trail) ?? []
  const txid = points.at(0)?.txid ?? 0
  return { node: 'peer', epoch: 4, txid, trail: points, highestEpoch: 4, term: 0, ...change }
}
/** A database whose WAL is gone, with this state. */
function bare(state: bigint): Found {
  const sums = new PageSums(4096)
  sums.set(1, state)
  sums.settle()
  const header = { ...found().header, mxFrame: 0, salt1: 1, salt2: 2 }
  return { ...found(), header, commits: [], checksums: new Map(), sums }
}
const stored = (txid: number, change: Partial<PositionRecord> = {}): PositionRecord => ({
  ...inWal(txid, 0),
  pages: 1,
  ...change,
})

test('a database in the state of an earlier record was put back: a new epoch begins', () => {
  const records = [stored(98), stored(99), stored(100)]
  for (const content of [bare(98n), { ...bare(7n), baseState: 98n }]) {
    const start = chooseStart(content, before(records))
    assert.deepEqual([start.epoch, start.txid, start.isPutBack], [5, 101, true])
    assert.match(start.newEpoch ?? '', /put back to what it was at 4-98/)
    assert.deepEqual(start.begun, { ...goesOn(98), epoch: 5 })
    assert.deepEqual(start.verified, [])
  }
})

test('a state that was met twice is the newer one', () => {
  const records = [stored(98), stored(99, { checksum: 98n }), stored(100)]
  assert.equal(chooseStart(bare(98n), before(records)).begun.txid, 99)
})

test('after a loss of power, the new epoch follows from a record that proves the content', () => {
  const records = [stored(98), stored(99), stored(100)]
  const start = chooseStart(bare(99n), before(records, { trusted: false }))
  assert.deepEqual([start.epoch, start.txid, start.isPutBack], [5, 5001, false])
  assert.match(start.newEpoch ?? '', /clean stop/)
  assert.deepEqual(start.begun, { ...goesOn(99), epoch: 5 })
  const unproven = chooseStart(bare(7n), before(records, { trusted: false }))
  assert.deepEqual([unproven.epoch, unproven.txid], [5, 5001])
  assert.deepEqual([unproven.begun.after, unproven.begun.exact], ['', false])
})

test('what other nodes have of this history, and no more, changes nothing', () => {
  for (const trail of [`${LED}@100`, `${LED}@3`, '']) {
    const start = chooseStart(bare(100n), before([stored(100)], { seen: [seenBy(trail)] }))
    assert.deepEqual([start.epoch, start.txid, start.newEpoch], [4, 100, undefined], trail)
  }
})

test('a database that lacks what others have begins above them, where they parted', () => {
  const seen = [
    seenBy(`${LED}@150`, { highestEpoch: 7 }),
    seenBy(`00000000000000e1@90 ${LED}@80`, { epoch: 4 }),
    seenBy(`00000000000000e2@170 ${LED}@95`, { epoch: 6, highestEpoch: 6 }),
  ]
  const start = chooseStart(bare(100n), before([stored(100)], { seen }))
  assert.deepEqual([start.epoch, start.txid, start.isPutBack], [8, 171, true])
  assert.match(
    start.newEpoch ?? '',
    /node peer has 4-150 of this leader's history and knows of its epoch 7, which is missing here/,
  )
  assert.deepEqual(start.begun, { ...goesOn(80), epoch: 8 })
  assert.deepEqual(start.verified, [])
})

test('a history that parted before what is only taken to be so follows without proof', () => {
  const lineage = [
    { ...LEADS, id: BEFORE, epoch: 3 },
    { ...LEADS, after: BEFORE, afterEpoch: 3, txid: 60 },
  ]
  const seen = [seenBy(`00000000000000e1@90 ${BEFORE}@50`)]
  const start = chooseStart(bare(100n), before([stored(100)], { lineage, seen }))
  assert.deepEqual(
    [start.begun.after, start.begun.afterEpoch, start.begun.txid, start.begun.exact],
    [BEFORE, 3, 50, false],
  )
})

test('without records, a put-back role file leads to an epoch above the others', () => {
  const starts = (seen: SeenHistory) => chooseStart(bare(100n), before([], { seen: [seen] }))
  const above = starts(seenBy(`${LED}@6000`))
  assert.deepEqual([above.epoch, above.txid, above.isPutBack], [5, 6001, true])
  const later = starts(seenBy(`${LED}@100`, { highestEpoch: 9 }))
  assert.deepEqual([later.epoch, later.txid, later.isPutBack], [10, 5001, true])
  const usual = starts(seenBy(`${LED}@100`))
  assert.deepEqual([usual.epoch, usual.txid, usual.isPutBack], [5, 5001, false])
})

test('impossible numbers are not believed, and the ones that follow can be written down', () => {
  for (const seen of [
    seenBy(`00000000000000e1@90`, { highestEpoch: Number.MAX_SAFE_INTEGER }),
    seenBy(`00000000000000e1@90`, { txid: Number.MAX_SAFE_INTEGER }),
    seenBy(`00000000000000e1@90`, { epoch: Number.MAX_SAFE_INTEGER }),
    seenBy(`00000000000000e1@90`, { term: Number.MAX_SAFE_INTEGER }),
  ]) {
    const start = chooseStart(bare(100n), before([stored(100)], { seen: [seen] }))
    assert.deepEqual([start.epoch, start.txid, start.newEpoch], [4, 100, undefined])
  }
})

test('a node that crashed before the first position above what it had lost goes on there', () => {
  const raised = { ...LEADS, epoch: 9, after: BEFORE, afterEpoch: 4, txid: 80, exact: true }
  const from = { incarnation: BEFORE, txid: 100 }
  const remembered = { epoch: 9, raised: { from, txid: 171 }, txidCeiling: 5171, lineage: [raised] }
  const last = stored(100, { incarnation: BEFORE })
  const start = chooseStart(bare(100n), before([last], remembered))
  assert.deepEqual([start.epoch, start.txid, start.newEpoch], [9, 171, undefined])
  assert.deepEqual(start.begun, { ...goesOn(171), epoch: 9, afterEpoch: 9 })
  const written = chooseStart(bare(7n), before([last], remembered))
  assert.deepEqual([written.epoch, written.txid, written.begun.exact], [10, 172, false])
  const further = chooseStart(
    bare(200n),
    before([stored(200, { incarnation: BEFORE })], remembered),
  )
  assert.deepEqual(
    [further.epoch, further.txid],
    [10, 5172],
    'a role file of another time explains nothing',
  )
  const later = [stored(200, { epoch: 9 }), stored(201, { epoch: 9 })]
  const goneOn = chooseStart(bare(201n), before(later, remembered))
  assert.deepEqual([goneOn.epoch, goneOn.txid, goneOn.newEpoch], [9, 201, undefined])
})

/** A position that was given out, and the content that the database had there. */
interface Given {
  readonly epoch: number
  readonly txid: number
  readonly content: bigint
}

/** The database file and its WAL. */
interface Disk {
  readonly content: bigint
  readonly salt: number
  readonly base: bigint
  /** What each commit of this WAL left, in order. */
  readonly frames: readonly bigint[]
}

/** The node's folder beside it. `path`: what its stored positions stand for. */
interface Folder
  extends Pick<
    Remembered,
    'records' | 'epoch' | 'incarnation' | 'raised' | 'txidCeiling' | 'lineage'
  > {
  readonly path: readonly Given[]
  /** Whether a position has been stored since the machine went down last. */
  readonly trusted: boolean
}

interface Node {
  readonly disk: Disk
  readonly folder: Folder
}

/** Another node: what it has seen of this one. */
interface Peer {
  readonly seen: SeenHistory
  readonly path: readonly Given[]
}

type Event =
  | {
      readonly kind: 'commit' | 'foreign' | 'empty WAL' | 'back up' | 'follow' | 'hear'
      readonly which: number
    }
  | {
      readonly kind: 'restore'
      readonly which: number
      readonly what: 'all' | 'database' | 'folder' | 'role file'
    }
  | {
      readonly kind: 'start'
      readonly which: number
      /** Whether the machine has not gone down. */
      readonly trusted: boolean
      /** Ends right after the role file was written. */
      readonly isCut: boolean
      readonly answers: readonly boolean[]
    }

const PEERS = 3
const which = fc.nat(7)
const events = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('commit'), which }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'foreign',
          'empty WAL',
          'back up',
          'back up',
          'follow',
          'follow',
          'hear',
        ),
        which,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('restore'),
        which,
        what: fc.constantFrom('all', 'database', 'folder', 'role file'),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('start'),
        which,
        trusted: fc.boolean(),
        isCut: fc.boolean(),
        answers: fc.array(fc.boolean(), { minLength: PEERS, maxLength: PEERS }),
      }),
    },
  ) as fc.Arbitrary<Event>,
  { minLength: 1, maxLength: 40, size: 'max' },
)

/** Contents are drawn upwards, and not every commit writes the first page. */
const countersAt = (content: bigint) => ({ changeCounter: Number(content / 3n), schemaCookie: 1 })

/** A leader, the copies that are made of its folder, and the nodes that follow it. */
class World {
  node: Node
  readonly peers: (Peer | undefined)[] = Array(PEERS).fill(undefined)
  readonly #backups: Node[] = []
  /** What was given out on the way to a content, whatever folder lies beside it now. */
  readonly #ways = new Map<bigint, readonly Given[]>()
  #isLed = false
  #drawn = 0n

  constructor() {
    const content = this.#draw()
    this.node = {
      disk: { content, salt: 1, base: content, frames: [] },
      folder: {
        records: [],
        epoch: 0,
        incarnation: '',
        raised: undefined,
        txidCeiling: 0,
        lineage: [],
        path: [],
        trusted: true,
      },
    }
    this.take({ kind: 'start', which: 0, trusted: true, isCut: false, answers: [] })
    this.#backups.push(this.node)
  }

  take(event: Event): void {
    const { disk, folder } = this.node
    switch (event.kind) {
      case 'commit':
        if (this.#isLed) this.#commit()
        return
      case 'foreign':
        this.#isLed = false
        this.node = { folder, disk: this.#written(disk) }
        return
      case 'empty WAL':
        this.node = {
          folder,
          disk: { ...disk, base: disk.content, salt: Number(this.#draw()), frames: [] },
        }
        return
      case 'back up':
        this.#backups.push(this.node)
        return
      case 'restore': {
        this.#isLed = false
        const from = this.#backups[event.which % this.#backups.length]
        const isDisk = event.what === 'all' || event.what === 'database'
        const { records, path, trusted } = folder
        const restored = {
          all: from.folder,
          database: folder,
          folder: from.folder,
          'role file': { ...from.folder, records, path, trusted },
        }[event.what]
        this.node = { disk: isDisk ? from.disk : disk, folder: restored }
        return
      }
      case 'follow':
        if (this.#isLed) this.peers[event.which % PEERS] = this.#followed()
        return
      case 'hear': {
        const peer = this.peers[event.which % PEERS]
        if (!this.#isLed || !peer) return
        const highestEpoch = Math.max(peer.seen.highestEpoch, folder.epoch)
        this.peers[event.which % PEERS] = { ...peer, seen: { ...peer.seen, highestEpoch } }
        return
      }
      case 'start':
        return this.#start(event)
    }
  }

  /** No two contents are the same. */
  #draw(): bigint {
    return ++this.#drawn
  }

  #written(disk: Disk): Disk {
    const content = this.#draw()
    return { ...disk, content, frames: [...disk.frames, content] }
  }

  get #standing(): Standing {
    const { epoch, incarnation } = this.node.folder
    return { epoch, incarnation, txid: this.node.folder.path.at(-1)?.txid ?? 0 }
  }

  #commit(): void {
    const { epoch, txid } = this.#standing
    const { disk, folder } = this.node
    const txidCeiling = Math.max(folder.txidCeiling, txid + 3)
    this.node = { disk: this.#written(disk), folder: { ...folder, txidCeiling } }
    this.#give({ epoch, txid: txid + 1 })
    this.#record()
  }

  #give(position: { epoch: number; txid: number }): void {
    const { disk, folder } = this.node
    const path = [...folder.path, { ...position, content: disk.content }]
    this.#ways.set(disk.content, path)
    this.node = { disk, folder: { ...folder, path } }
  }

  #record(): void {
    const { disk, folder } = this.node
    const { content: checksum, salt, frames } = disk
    const walPlace = { salt1: salt, salt2: salt, frame: frames.length, s0: Number(checksum), s1: 0 }
    const record = { ...this.#standing, checksum, pages: 1, ...walPlace, ...countersAt(checksum) }
    this.node = { disk, folder: { ...folder, records: [...folder.records, record], trusted: true } }
  }

  #found(): Found {
    const { content, salt, base, frames } = this.node.disk
    const { header } = bare(content)
    return {
      ...bare(content),
      header: { ...header, salt1: salt, salt2: salt, mxFrame: frames.length },
      commits: frames.map((_, i) => i + 1),
      checksums: new Map(frames.map((state, i) => [i + 1, { s0: Number(state), s1: 0 }])),
      baseState: frames.length > 0 ? base : undefined,
      counters: countersAt(content),
    }
  }

  #followed(): Peer {
    const { folder } = this.node
    const standing = this.#standing
    const trail = [...trailOf(standing, folder.lineage)]
    const { epoch, txid } = standing
    return {
      seen: { node: 'peer', epoch, txid, trail, highestEpoch: folder.epoch, term: 0 },
      path: folder.path,
    }
  }

  #start({ trusted, isCut, answers }: Event & { readonly kind: 'start' }): void {
    const heard = this.peers.filter((peer, i) => peer !== undefined && answers[i]) as Peer[]
    const { disk } = this.node
    const folder = { ...this.node.folder, trusted: this.node.folder.trusted && trusted }
    const id = `f${this.#draw().toString(16).padStart(15, '0')}`
    const remembered = { ...folder, node: 'me', seen: heard.map(({ seen }) => seen) }
    const start = choose(this.#found(), remembered, id)
    this.#verify(start, heard)
    const last = folder.records.at(-1)?.incarnation ?? ''
    const { epoch, txid, begun, isPutBack } = start
    const lineage = withIncarnation(withoutIdle(folder.lineage, 'me', begun.txid, last), begun)
    const from = { incarnation: last, txid: folder.records.at(-1)?.txid ?? 0 }
    const raised = isPutBack ? { from, txid } : start.newEpoch ? undefined : folder.raised
    const txidCeiling = Math.max(folder.txidCeiling, txid + 3)
    const saved = { ...folder, epoch, incarnation: id, raised, txidCeiling, lineage }
    this.node = { disk, folder: saved }
    this.#isLed = !isCut
    if (isCut) return
    const isKnown = (given: Given) =>
      !start.newEpoch || (given.epoch <= begun.afterEpoch && given.txid <= begun.txid)
    this.node = { disk, folder: { ...saved, path: folder.path.filter(isKnown) } }
    this.#give({ epoch, txid })
    if (start.newEpoch || folder.records.at(-1)?.txid !== txid) this.#record()
  }

  /** No position that is given out from now on is one that a node has with another content. */
  #verify({ epoch, txid, newEpoch }: StartPoint, heard: readonly Peer[]): void {
    const { disk, folder } = this.node
    // A write that no leader made came from a state that the WAL has before it.
    const contents = [disk.base, ...disk.frames, disk.content]
    const known = [...folder.path, ...contents.flatMap((content) => this.#ways.get(content) ?? [])]
    const isHere = (given: Given) =>
      given.epoch === epoch && given.txid === txid
        ? given.content === disk.content
        : known.some(
            (mine) =>
              mine.epoch === given.epoch &&
              mine.txid === given.txid &&
              mine.content === given.content,
          )
    for (const { seen, path } of heard) {
      assert.ok(txid >= seen.txid, `${epoch}-${txid} is below ${seen.txid}, which was seen`)
      assert.ok(epoch >= seen.highestEpoch, `epoch ${epoch}, and ${seen.highestEpoch} was heard of`)
      if (newEpoch) assert.ok(epoch > seen.highestEpoch)
      for (const given of path)
        if (given.epoch >= epoch)
          assert.ok(isHere(given), `${given.epoch}-${given.txid} was seen with another content`)
    }
    const last = folder.records.at(-1)
    if (newEpoch) assert.ok(epoch > folder.epoch && epoch > (last?.epoch ?? 0))
    else assert.ok(last && txid >= last.txid && epoch === folder.epoch)
  }
}

const START = { which: 0, trusted: false, isCut: false } as const
/**
 * The database as it was left, beside older positions and the newest role file: it goes on where it
 * was.
 */
const RESUMED: Event[] = [
  { kind: 'start', ...START, answers: [false, false, false] },
  { kind: 'follow', which: 0 },
  { kind: 'restore', which: 0, what: 'all' },
  { kind: 'start', ...START, answers: [true, false, false] },
  { kind: 'back up', which: 0 },
  { kind: 'follow', which: 0 },
  { kind: 'commit', which: 0 },
  { kind: 'restore', which: 0, what: 'folder' },
  { kind: 'restore', which: 3, what: 'role file' },
]

/**
 * An older state of all beside the newest role file, and a write while no node ran: it follows from
 * where it was.
 */
const WRITTEN: Event[] = [
  { kind: 'start', ...START, answers: [false, false, false] },
  { kind: 'follow', which: 0 },
  { kind: 'restore', which: 0, what: 'all' },
  { kind: 'start', ...START, answers: [true, false, false] },
  { kind: 'back up', which: 0 },
  { kind: 'follow', which: 0 },
  { kind: 'restore', which: 0, what: 'all' },
  { kind: 'restore', which: 7, what: 'role file' },
  { kind: 'foreign', which: 0 },
]

test('whatever is put back, written or lost: no position means two contents', () => {
  fc.assert(
    fc.property(events, (taken) => {
      const world = new World()
      for (const event of taken) world.take(event)
      world.take({
        kind: 'start',
        which: 0,
        trusted: true,
        isCut: false,
        answers: [true, true, true],
      })
    }),
    { numRuns: 3000, examples: [[RESUMED], [WRITTEN]] },
  )
})

/** Where a leader goes on: when it may keep its epoch, and which txids it must not give out again. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { decode, payloadPage, payloadPageNumber } from '../proto/codec.ts'
import { MAX_PAGES, MAX_PAYLOAD_BYTES } from '../proto/limits.ts'
import type { Incarnation } from '../proto/lineage.ts'
import { encodeBatch, segmentBytes } from '../src/leader/batch.ts'
import {
  chooseStart as choose,
  type FoundContent,
  type Remembered,
  rebuildBatches,
  type StartPoint,
} from '../src/leader/startPoint.ts'
import { openFiles } from '../src/sqlite/databaseFiles.ts'
import { type ScannedDatabase, scanDatabase } from '../src/sqlite/databaseScan.ts'
import { PageSums, pageSum } from '../src/sqlite/pageSums.ts'
import { pinFile } from '../src/sqlite/pinnedFiles.ts'
import type { PositionRecord } from '../src/sqlite/positionLog.ts'
import { frameBytes, lockPage } from '../src/sqlite/walFormat.ts'
import { checksumHex } from '../src/xxh64.ts'
import { PAGE_SIZES, SourceDatabase, temporaryFolder } from './support/sourceDatabase.ts'

const folder = temporaryFolder()
after(() => folder.remove())

/** Of the last leader, of the one before it, and of the one that starts. */
const LED = '00000000000000a4'
const BEFORE = '00000000000000a3'
const STARTS = '00000000000000ff'

type Found = FoundContent

const chooseStart = (content: Found, remembered: Remembered) => choose(content, remembered, STARTS)

/** The last leader's incarnation: it committed all from its first txid on, and nothing is known of what was before. */
const LEADS: Incarnation = {
  id: LED,
  epoch: 4,
  after: '',
  afterEpoch: 0,
  txid: 0,
  leader: 'me',
  exact: false,
}

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
})
const before = (records: readonly PositionRecord[], changes: Partial<Remembered> = {}): Remembered => ({
  records,
  trusted: true,
  epoch: 4,
  incarnation: LED,
  firstTxid: undefined,
  txidCeiling: 5000,
  lineage: [LEADS],
  node: 'me',
  seen: [],
  ...changes,
})

/** The incarnation that starts goes on, in the same epoch, with the state that the last leader had at `txid`. */
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
    txid: 1,
    newEpoch: 'first start',
    isPutBack: false,
    begun: { id: STARTS, epoch: 1, after: '', afterEpoch: 0, txid: 0, leader: 'me', exact: false },
    verified: [],
  })
})

test('with the log of positions gone, the next epoch begins above every txid that may have been given out', () => {
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
    assert.deepEqual([start.epoch, start.txid, start.verified], [5, 101, []], JSON.stringify(change))
    assert.match(start.newEpoch ?? '', /no leader ran/)
    const back = chooseStart(found(), before([inWal(99, 5), { ...good, ...change }]))
    assert.deepEqual([back.epoch, back.txid, back.verified], [5, 101, []], JSON.stringify(change))
    assert.match(back.newEpoch ?? '', /put back to what it was at 4-99/)
  }
})

test('a WAL that was removed by a last close does not end the epoch when the content is unchanged', () => {
  const there = found()
  const header = { ...there.header, mxFrame: 0, salt1: 1, salt2: 2 }
  const bare: Found = { header, commits: [], checksums: new Map(), sums: there.sums, baseState: undefined }
  const same = { ...inWal(100, 9), checksum: there.sums.state }
  assert.deepEqual(chooseStart(bare, before([same])), {
    epoch: 4,
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

test('a WAL that was started over goes on when the file below it is the state that was left', () => {
  const left = { ...inWal(100, 9), salt1: 1, salt2: 2 }
  const there = { ...found(), baseState: left.checksum }
  assert.deepEqual(chooseStart(there, before([inWal(99, 5), left])), {
    epoch: 4,
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
      const count = Math.max(1, Math.floor(segmentBytes(pageSize, batchBytes) / frameBytes(pageSize)))
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

/** A database with several commits in its WAL, the image after each, and the records that a leader would have written. */
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
    }
  })
  assert.equal(records.length, images.length - 1)
  return { source, files, scanned, images, records }
}

function sumsOf(image: Buffer): PageSums {
  const sums = new PageSums(1024)
  for (let page = 1; page * 1024 <= image.length; page++) {
    if (page !== lockPage(1024)) sums.set(page, pageSum(page, image.subarray((page - 1) * 1024, page * 1024)))
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

test('batches made again from the WAL lead from each verified record to the end, in messages of any size', async () => {
  const { source, files, scanned, images, records } = await databaseWithHistory('rebuilt.db')
  assert.equal(sumsOf(source.image()).state, scanned.sums.state)
  for (const chosen of [records, [records[1], records[3]], [records[0]], [records[2], records[4]]]) {
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
        assert.deepEqual([body.epoch, body.fromTxid, body.chunk, body.last], [2, txid, chunk, each.last])
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
    payloadPage(payload, i, body.pages, 1024).copy(image, (payloadPageNumber(payload, i) - 1) * 1024)
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
  const begun = { ...LEADS, epoch: 5, after: BEFORE, afterEpoch: 4, txid: 100, exact: true, ...changes }
  return { epoch: 5, lineage: [begun] }
}
const committedBefore = (record: PositionRecord): PositionRecord => ({ ...record, incarnation: BEFORE })

test('a node that crashed between its role file and its first position leads on in the epoch of its promotion', () => {
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

test('a database that was written while no leader ran follows from what it was, without proof', () => {
  const start = chooseStart(found(), before([{ ...inWal(100, 9), s0: 1 }]))
  assert.deepEqual(start.begun, { ...goesOn(100), epoch: 5, exact: false })
  assert.equal(start.txid, 101)
  assert.equal(start.isPutBack, false)
})

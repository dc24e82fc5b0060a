/** Batches gathered into one lead where the single ones lead. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decode,
  encode,
  pagesPayloadBytes,
  payloadPage,
  payloadPageNumber,
} from '../../proto/codec.ts'
import type { Body } from '../../proto/messages.ts'
import { compact } from '../../src/feed/batchCompaction.ts'
import { BatchHistory } from '../../src/feed/batchHistory.ts'
import { checksumHex } from '../../src/xxh64.ts'

const PAGE_BYTES = 512

interface Batch {
  /** Pages with the byte that fills them. */
  readonly pages: ReadonlyMap<number, number>
  readonly dbPages: number
}

const batch = fc
  .record({
    pages: fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(255)), { maxLength: 8 }),
    dbPages: fc.integer({ min: 1, max: 40 }),
  })
  .map(({ pages, dbPages }) => ({
    pages: new Map(pages.filter(([page]) => page <= dbPages)),
    dbPages,
  }))

function encoded({ pages, dbPages }: Batch, txid: number): Buffer {
  const body: Body<'batch'> = {
    db: 'main',
    epoch: 1,
    fromTxid: txid - 1,
    txid,
    chunk: 0,
    last: true,
    pageSize: PAGE_BYTES,
    pages: pages.size,
    dbPages,
    checksum: checksumHex(BigInt(txid)),
    noticeMs: txid,
    noticedMs: txid,
    sentMs: txid,
  }
  return encode('batch', body, pagesPayloadBytes(pages.size, PAGE_BYTES), (payload) => {
    let i = 0
    for (const [page, fill] of pages) {
      payload.writeUInt32LE(page, 4 * i)
      payload.fill(fill, 4 * pages.size + i * PAGE_BYTES, 4 * pages.size + ++i * PAGE_BYTES)
    }
  })
}

/** A database of the bytes that fill its pages, after a message. */
function apply(database: Map<number, number>, message: Buffer): Body<'batch'> {
  const { type, body, payload } = decode(message)
  assert.equal(type, 'batch')
  const batchBody = body as Body<'batch'>
  const seen = new Set<number>()
  for (let i = 0; i < batchBody.pages; i++) {
    const page = payloadPageNumber(payload, i)
    assert.ok(page <= batchBody.dbPages && !seen.has(page), `page ${page} of ${batchBody.dbPages}`)
    seen.add(page)
    database.set(page, payloadPage(payload, i, batchBody.pages, PAGE_BYTES)[0])
  }
  for (const page of database.keys()) if (page > batchBody.dbPages) database.delete(page)
  return batchBody
}

test('a step leaves what its batches leave, with each page at most once', () => {
  fc.assert(
    fc.property(fc.array(batch, { minLength: 1, maxLength: 30 }), (batches) => {
      const messages = batches.map((each, i) => encoded(each, i + 1))
      const singly = new Map<number, number>()
      const { message, count } = compact(messages)
      assert.equal(count, messages.length)
      for (const each of messages) apply(singly, each)
      const together = new Map<number, number>()
      const body = apply(together, message)
      // A page that was cut off and not written again afterwards is not there.
      for (const page of together.keys()) assert.ok(page <= body.dbPages)
      for (const [page, fill] of singly) assert.equal(together.get(page), fill)
      assert.deepEqual(
        [body.fromTxid, body.txid, body.last, body.chunk],
        [0, messages.length, true, 0],
      )
      assert.equal(body.checksum, checksumHex(BigInt(messages.length)))
      assert.equal(body.noticeMs, 1, 'lag counts from the first commit')
    }),
  )
})

test('a step ends where the next batch no longer fits', () => {
  const full = (from: number, pages: number, txid: number) =>
    encoded(
      {
        pages: new Map(Array.from({ length: pages }, (_, i) => [from + i, txid & 255])),
        dbPages: 10_000,
      },
      txid,
    )
  const messages = [full(1, 1500, 1), full(1, 1500, 2), full(1000, 900, 3), full(4000, 400, 4)]
  assert.equal(compact(messages).count, 3, 'a MiB of pages')
  assert.equal(
    compact([full(1, 3000, 1), full(1, 10, 2)]).count,
    1,
    'one that is larger goes alone',
  )
})

test('history gathers for those who lack many batches, and gives the same step to all', () => {
  const history = new BatchHistory(64 * 1024 * 1024)
  const add = (txid: number, last = true, chunk = 0) =>
    history.add(
      { txid: txid - 1, checksum: checksumHex(BigInt(txid - 1)) },
      txid,
      chunk === 0
        ? encoded({ pages: new Map([[1, txid & 255]]), dbPages: 5 }, txid)
        : Buffer.alloc(10),
      last,
    )
  for (let txid = 1; txid <= 7; txid++) add(txid)
  assert.equal(history.compacted(0), undefined, 'a few go as they are')
  for (let txid = 8; txid <= 20; txid++) add(txid)
  const step = history.compacted(0)
  assert.equal(step?.nextSequence, 20)
  assert.equal(
    decode(step?.message ?? Buffer.alloc(0)).payload.length,
    pagesPayloadBytes(1, PAGE_BYTES),
  )
  add(21)
  assert.equal(history.compacted(0), step, 'made once for all')
  assert.equal(history.compacted(19), undefined)
  // A transaction in several messages goes as it is; what is not whole yet, too.
  add(22, false)
  add(22, true, 1)
  for (let txid = 23; txid <= 40; txid++) add(txid)
  assert.equal(history.compacted(5)?.nextSequence, 21)
  assert.equal(history.compacted(21), undefined)
  assert.equal(history.compacted(22)?.nextSequence, 40)
  history.clear()
  assert.equal(history.compacted(22), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatchHistory } from '../../src/feed/batchHistory.ts'

interface Sent {
  readonly fromTxid: number
  readonly txid: number
  readonly sizes: readonly number[]
}

const checksumOf = (txid: number) => txid.toString(16).padStart(16, '0')

/** Adds a batch of one message a size, and gives the messages. */
function add(history: BatchHistory, batch: Sent, isComplete = true): Buffer[] {
  return batch.sizes.map((bytes, i) => {
    const message = Buffer.alloc(bytes, batch.txid)
    const last = isComplete && i === batch.sizes.length - 1
    history.add(
      { txid: batch.fromTxid, checksum: checksumOf(batch.fromTxid) },
      batch.txid,
      message,
      last,
    )
    return message
  })
}

const kept = (history: BatchHistory) => {
  let bytes = 0
  for (let sequence = 0; sequence < history.nextSequence; sequence++)
    for (const chunk of history.get(sequence)?.chunks ?? []) bytes += chunk?.length ?? 0
  return bytes
}

test('history counts its bytes, stays within its limit and keeps the newest', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 600 }),
      fc.array(sizes, { maxLength: 25 }),
      (limitBytes, batches) => {
        const history = new BatchHistory(limitBytes)
        batches.forEach((each, i) => {
          const messages = add(history, { fromTxid: i, txid: i + 1, sizes: each })
          assert.equal(history.nextSequence, i + 1)
          assert.equal(history.bytes, kept(history))
          const lastBytes = each[each.length - 1]
          assert.ok(
            history.bytes <= Math.max(limitBytes, lastBytes),
            `${history.bytes} of ${limitBytes}`,
          )
          const newest = history.get(i)
          assert.ok(newest?.complete && newest.txid === i + 1 && newest.sequence === i)
          assert.equal(newest.chunks.length, each.length)
          assert.equal(newest.chunks.at(-1), messages.at(-1), 'the newest message is always there')
          const there = newest.chunks.findIndex((chunk) => chunk !== undefined)
          assert.ok(
            newest.chunks.slice(there).every((chunk, k) => chunk === messages[there + k]),
            'only leading chunks are dropped',
          )
          if (each.reduce((sum, bytes) => sum + bytes) <= limitBytes)
            assert.equal(there, 0, 'a batch that fits is kept whole')
        })
        let oldest = 0
        while (oldest < history.nextSequence && !history.get(oldest)) oldest++
        for (let i = 0; i < history.nextSequence; i++) {
          const entry = history.get(i)
          assert.equal(entry !== undefined, i >= oldest, 'what is kept has no gap')
          const found = history.find(i, checksumOf(i))
          assert.equal(found, entry?.chunks[0] === undefined ? undefined : entry)
          assert.equal(
            history.find(i, checksumOf(i + 1)),
            undefined,
            'another state with that txid',
          )
        }
        assert.equal(history.get(history.nextSequence), undefined)
        assert.equal(history.get(-1), undefined)
        assert.equal(
          history.find(history.nextSequence, checksumOf(history.nextSequence)),
          undefined,
        )
      },
    ),
    { numRuns: 400 },
  )
})

test('nothing more is dropped than the limit asks for', () => {
  const history = new BatchHistory(100)
  for (let i = 0; i < 4; i++) add(history, { fromTxid: i, txid: i + 1, sizes: [25] })
  assert.equal(history.bytes, 100)
  assert.ok(history.get(0))
  add(history, { fromTxid: 4, txid: 5, sizes: [1] })
  assert.equal(history.get(0), undefined)
  assert.ok(history.get(1))
  assert.equal(history.bytes, 76)
})

test('a transaction that is not whole yet is one entry, found from its beginning', () => {
  const history = new BatchHistory(1000)
  add(history, { fromTxid: 0, txid: 1, sizes: [10] })
  add(history, { fromTxid: 1, txid: 2, sizes: [10, 10] }, false)
  assert.equal(history.nextSequence, 2)
  const open = history.find(1, checksumOf(1))
  assert.equal(open?.complete, false)
  assert.equal(open?.chunks.length, 2)
  add(history, { fromTxid: 1, txid: 2, sizes: [10] })
  assert.equal(history.nextSequence, 2)
  assert.equal(open?.complete, true)
  assert.equal(open?.chunks.length, 3)
})

test('leading chunks of a huge transaction give way; a session that has them all goes on', () => {
  const history = new BatchHistory(100)
  add(history, { fromTxid: 0, txid: 1, sizes: [50] })
  const messages = add(history, { fromTxid: 1, txid: 2, sizes: [40, 40, 40, 40] }, false)
  assert.equal(history.get(0), undefined)
  const entry = history.get(1)
  assert.deepEqual(entry?.chunks, [undefined, undefined, messages[2], messages[3]])
  assert.equal(history.bytes, 80)
  assert.equal(history.find(1, checksumOf(1)), undefined, 'no replica can begin with it any more')
  add(history, { fromTxid: 1, txid: 2, sizes: [30] })
  assert.equal(entry?.chunks.length, 5)
  assert.equal(entry.chunks[2], undefined)
  add(history, { fromTxid: 2, txid: 3, sizes: [20] })
  assert.equal(history.bytes, kept(history))
  assert.ok(history.find(2, checksumOf(2)))
  add(history, { fromTxid: 3, txid: 4, sizes: [90] })
  assert.equal(history.get(1), undefined)
  assert.equal(history.bytes, 90)
})

test('a second huge transaction drops its own chunks only', () => {
  const history = new BatchHistory(100)
  add(history, { fromTxid: 0, txid: 1, sizes: [60, 60, 60] })
  const messages = add(history, { fromTxid: 1, txid: 2, sizes: [60, 30, 60] })
  assert.deepEqual(history.get(1)?.chunks, [undefined, messages[1], messages[2]])
  assert.equal(history.bytes, 90)
})

test('sequences go on after clear, so that no cursor meets another batch', () => {
  const history = new BatchHistory(100)
  for (let i = 0; i < 3; i++) add(history, { fromTxid: i, txid: i + 1, sizes: [10] })
  history.clear()
  assert.equal(history.bytes, 0)
  assert.equal(history.nextSequence, 3)
  assert.equal(history.get(2), undefined)
  assert.equal(history.find(2, checksumOf(2)), undefined)
  add(history, { fromTxid: 9, txid: 10, sizes: [10] })
  assert.equal(history.get(3)?.txid, 10)
  assert.equal(history.get(2), undefined)
})

test('what a message would have dropped is told before it is added', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(
      fc.integer({ min: 60, max: 300 }),
      fc.array(sizes, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      (limitBytes, batches, bytes) => {
        const history = new BatchHistory(limitBytes)
        batches.forEach((each, i) => {
          add(history, { fromTxid: i, txid: i + 1, sizes: each }, i < batches.length - 1)
        })
        const open = history.nextSequence - 1
        const place = history.placeAfterAdding(bytes)
        const isThere = (sequence: number, chunk: number) =>
          history.get(sequence)?.chunks[chunk] !== undefined
        const before = batches.map((each, sequence) =>
          each.map((_, chunk) => isThere(sequence, chunk)),
        )
        history.add(
          { txid: open, checksum: checksumOf(open) },
          open + 1,
          Buffer.alloc(bytes),
          false,
        )
        before.forEach((chunks, sequence) => {
          chunks.forEach((wasThere, chunk) => {
            const isBefore =
              place !== undefined &&
              (sequence < place.sequence || (sequence === place.sequence && chunk < place.chunk))
            assert.equal(isThere(sequence, chunk), wasThere && !isBefore, `${sequence}, ${chunk}`)
          })
        })
      },
    ),
    { numRuns: 400 },
  )
})

/** Bytes that do not compress: any decoder of Brotli reads them, and ours without decoding. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { CODECS } from '../../src/backup/codecs.ts'
import { MAX_STORED_BYTES, storeAsBrotli, storedInBrotli } from '../../src/backup/storedBrotli.ts'

/** Around the places where the length of the head changes, and any other. */
const lengths = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 65_500, max: 65_600 }),
  fc.integer({ min: MAX_STORED_BYTES - 9, max: MAX_STORED_BYTES }),
)

test('a stored stream is what a decoder of Brotli says', () => {
  fc.assert(
    fc.property(lengths, fc.integer({ min: 0, max: 255 }), (length, first) => {
      const raw = Buffer.alloc(length, Buffer.from([first, 3, 0, 255, 7]))
      const stream = storeAsBrotli(raw)
      assert.ok(brotliDecompressSync(stream).equals(raw))
      assert.ok(storedInBrotli(stream)?.equals(raw))
    }),
    { numRuns: 60 },
  )
})

test('whatever is taken for a stored stream is one to a decoder too', () => {
  const base = storeAsBrotli(Buffer.from('a few bytes'))
  fc.assert(
    fc.property(
      fc.nat(base.length - 1),
      fc.integer({ min: 0, max: 255 }),
      fc.nat(base.length),
      (at, value, length) => {
        const stream = Buffer.from(base.subarray(0, length))
        if (at < length) stream[at] = value
        const taken = storedInBrotli(stream)
        if (taken) assert.ok(brotliDecompressSync(stream).equals(taken))
      },
    ),
    { numRuns: 3000 },
  )
  assert.equal(storedInBrotli(brotliCompressSync(Buffer.alloc(500, 'ab'))), undefined)
})

test('what does not compress by a sixteenth is stored, and what does is not', async () => {
  const { compress, decompress } = CODECS.brotli
  const random = randomBytes(131_072)
  const few = Buffer.concat([random.subarray(0, 125_000), Buffer.alloc(6072)])
  const more = Buffer.concat([random.subarray(0, 100_000), Buffer.alloc(31_072)])
  for (const [raw, isStored] of [
    [random, true],
    [few, true],
    [more, false],
  ] as const) {
    for (const effort of ['least', 'some'] as const) {
      const packed = await compress(raw, effort)
      assert.equal(storedInBrotli(packed) !== undefined, isStored)
      assert.ok((await decompress(packed, raw.length)).equals(raw))
    }
  }
  await assert.rejects(decompress(await compress(random), random.length - 1))
  const none = await compress(Buffer.alloc(0))
  assert.equal((await decompress(none, 1)).length, 0)
})

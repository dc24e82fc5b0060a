/** Archive files: what is written is read, in whole and page by page, and no changed bit passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ArchiveFileWriter } from '../../src/backup/archiveFileWriter.ts'
import { keyOf } from '../../src/errors.ts'
import {
  contentOf,
  GOLDEN,
  goldenFile,
  HEADER,
  opened,
  pointsOf,
  SAMPLE,
  written,
} from '../support/archiveBytes.ts'
import { assembled, partsOf } from '../support/archiveForgery.ts'

for (const codec of ['none', 'deflate', 'brotli'] as const)
  test(`what is written is read, in whole and page by page (${codec})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .constantFrom(512, 1024, 4096)
          .chain((pageSize) =>
            fc.tuple(fc.constant(pageSize), fc.integer({ min: 1, max: 5 }), pointsOf(pageSize)),
          ),
        async ([pageSize, blockPages, points]) => {
          const header = { ...HEADER, codec, pageSize, blockPages }
          const file = await opened(await written(header, points))
          assert.deepEqual(file.header, header)
          assert.deepEqual(await contentOf(file), points)
          for (const [i, { images }] of points.entries()) {
            for (const { number, bytes } of images)
              assert.deepEqual(await file.page(i, number), bytes)
            assert.equal(await file.page(i, 301), undefined)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

for (const codec of ['none', 'deflate', 'brotli'] as const)
  test(`any changed bit, and any end that is missing, is found (${codec})`, async () => {
    const whole = await written({ ...HEADER, codec }, SAMPLE)
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] ^= 1 << (at % 8)
      await assert.rejects(
        opened(changed).then(contentOf),
        (error) => keyOf(error) === 'ARCHIVE_BROKEN',
        `byte ${at}`,
      )
    }
    for (let length = 0; length < whole.length; length += 7)
      await assert.rejects(
        opened(whole.subarray(0, length)),
        (error) => keyOf(error) === 'ARCHIVE_BROKEN',
        `${length} bytes`,
      )
    await assert.rejects(opened(Buffer.concat([whole, Buffer.alloc(1)])))
  })

test('the file of ARCHIVE.md is what this version writes and reads', async () => {
  const golden = goldenFile('golden')
  assert.deepEqual(await contentOf(await opened(golden)), GOLDEN)
  assert.equal((await written(HEADER, GOLDEN)).toString('hex'), golden.toString('hex'))
})

test('bounds of a file hold', async () => {
  const big = { ...HEADER, blockPages: 4096, pageSize: 65536 }
  await assert.rejects(opened(await written(big, [])), /its blocks are empty or too long/)
  const back = [SAMPLE[1], SAMPLE[0]]
  await assert.rejects(opened(await written(HEADER, back)), /its positions are not in order/)
  const past = [{ ...SAMPLE[0], pages: 2 }]
  await assert.rejects(opened(await written(HEADER, past)), /past the end of the database/)
  const { writer: _, ...without } = HEADER
  const odd = { ...without, writer: 'a\u0007b' }
  await assert.rejects(opened(await written(odd, [])), /writer in its header is no text/)
})

test('a file is full before it has more blocks than a reader takes', async () => {
  for (const [blockPages, most] of [
    [1, 65_536],
    [2, 131_072],
    [1000, 4 * 1024 * 1024],
  ]) {
    const writer = await ArchiveFileWriter.begin({ ...HEADER, blockPages }, async () => {})
    assert.ok(writer.hasRoom(most))
    assert.equal(writer.hasRoom(most + 1), false)
  }
})

test('a snapshot is one position, and a part is of one', async () => {
  const snapshot = { ...HEADER, kind: 'snapshot' as const, fromIncarnation: '', fromChecksum: '' }
  assert.deepEqual(await contentOf(await opened(await written(snapshot, [SAMPLE[0]]))), [SAMPLE[0]])
  assert.equal((await opened(await written(snapshot, [SAMPLE[0]]))).header.fromChecksum, '')
  await assert.rejects(opened(await written(snapshot, SAMPLE)), /not of one position/)
  const pieces: Buffer[] = []
  const writer = await ArchiveFileWriter.begin(HEADER, async (bytes) => void pieces.push(bytes))
  await writer.end({ continues: false, isOpen: true })
  await assert.rejects(opened(Buffer.concat(pieces)), /it is a part of no position/)
})

test('the beginning of one file and the rest of another are no file', async () => {
  const [one, two] = [
    await written(HEADER, SAMPLE),
    await written({ ...HEADER, createdMs: HEADER.createdMs + 1 }, SAMPLE),
  ]
  const { header } = partsOf(one)
  const mixed = Buffer.concat([header, two.subarray(header.length)])
  await assert.rejects(opened(mixed), /its end is that of another file/)
  await assert.rejects(
    opened(await written({ ...HEADER, blockPages: 1 }, SAMPLE).then(withoutBlock)),
    /another number of blocks than its pages fill/,
  )
})

function withoutBlock(archive: Buffer): Buffer {
  const parts = partsOf(archive)
  return assembled({ ...parts, blocks: parts.blocks.slice(1) })
}

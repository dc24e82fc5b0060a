/** Archive files: what is written is read, in whole and page by page, and no changed bit passes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { ArchiveFile } from '../../src/backup/archiveFile.ts'
import { ArchiveFileWriter, type PageImage } from '../../src/backup/archiveFileWriter.ts'
import { keyOf } from '../../src/errors.ts'

const HEADER: ArchiveHeader = {
  kind: 'changes',
  cluster: 'cluster-1a2b3c4d5e6f',
  db: 'main',
  incarnation: '0123456789abcdef',
  epoch: 3,
  pageSize: 512,
  codec: 'none',
  blockPages: 2,
  fromIncarnation: '0123456789abcdef',
  fromEpoch: 3,
  fromTxid: 40,
  fromChecksum: '00000000000000ff',
  createdMs: 1_700_000_000_123,
  node: 'node-a',
  writer: 'walcast 0.1.0',
}

interface Wanted {
  readonly txid: number
  readonly checksum: string
  readonly timeMs: number
  readonly pages: number
  readonly images: readonly PageImage[]
}

async function written(header: ArchiveHeader, points: readonly Wanted[]): Promise<Buffer> {
  const pieces: Buffer[] = []
  const writer = await ArchiveFileWriter.begin(header, async (bytes) => {
    pieces.push(Buffer.from(bytes))
  })
  for (const { images, ...point } of points) await writer.add(point, images)
  await writer.end()
  return Buffer.concat(pieces)
}

function opened(bytes: Buffer): Promise<ArchiveFile> {
  return ArchiveFile.open({
    name: 'a.changes',
    bytes: bytes.length,
    read: async (at, length) => Buffer.from(bytes.subarray(at, at + length)),
  })
}

/** All that can be read of a file. */
async function contentOf(file: ArchiveFile): Promise<readonly Wanted[]> {
  const found: Wanted[] = []
  for (const [i, { txid, checksum, timeMs, pages }] of file.points.entries()) {
    const images: PageImage[] = []
    for await (const { number, bytes } of file.images(i, i))
      images.push({ number, bytes: Buffer.from(bytes) })
    found.push({ txid, checksum, timeMs, pages, images })
  }
  return found
}

/** Points with ascending txids, each with some pages of its database. */
const pointsOf = (pageSize: number) =>
  fc
    .array(
      fc.record({
        step: fc.integer({ min: 1, max: 1000 }),
        checksum: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        timeMs: fc.integer({ min: 0, max: 8.64e15 }),
        numbers: fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 20 }),
        seed: fc.integer({ min: 0, max: 255 }),
      }),
      { maxLength: 8 },
    )
    .map((drawn) => {
      let txid = 0
      return drawn.map(({ step, checksum, timeMs, numbers, seed }): Wanted => {
        txid += step
        const images = numbers
          .toSorted((a, b) => a - b)
          .map((number) => ({ number, bytes: Buffer.alloc(pageSize, (seed * number) % 256) }))
        return {
          txid,
          checksum: checksum.toString(16).padStart(16, '0'),
          timeMs,
          pages: Math.max(1, ...numbers),
          images,
        }
      })
    })

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

const SAMPLE: readonly Wanted[] = [
  {
    txid: 41,
    checksum: 'fedcba9876543210',
    timeMs: 1_700_000_000_200,
    pages: 3,
    images: [
      { number: 1, bytes: Buffer.alloc(512, 'a') },
      { number: 3, bytes: Buffer.alloc(512, 'b') },
    ],
  },
  {
    txid: 43,
    checksum: '00000000000000aa',
    timeMs: 1_700_000_000_300,
    pages: 2,
    images: [{ number: 2, bytes: Buffer.alloc(512, 'c') }],
  },
]

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
  const page = readFileSync(new URL('../../../proto/ARCHIVE.md', import.meta.url), 'utf8')
  const [, shown] = /<!-- golden -->\n```\n([0-9a-f\s]+?)```/.exec(page) ?? []
  const golden = Buffer.from((shown ?? '').replaceAll(/\s/g, ''), 'hex')
  assert.deepEqual(await contentOf(await opened(golden)), GOLDEN)
  assert.equal((await written(HEADER, GOLDEN)).toString('hex'), golden.toString('hex'))
})

const GOLDEN: readonly Wanted[] = [
  {
    txid: 41,
    checksum: 'fedcba9876543210',
    timeMs: 1_700_000_000_200,
    pages: 2,
    images: [{ number: 2, bytes: Buffer.alloc(512, 'a') }],
  },
]

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

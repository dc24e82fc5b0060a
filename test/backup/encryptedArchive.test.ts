/**
 * Encrypted archive files: each recipient reads them alone, nobody else does, and nothing that was
 * changed or moved is ever shown, also when every checksum was made right again.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_RECIPIENTS } from '../../proto/archiveSeal.ts'
import { ArchiveEnvelope } from '../../src/backup/archiveEnvelope.ts'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { replaceRandom } from '../../src/platform/random.ts'
import { type BackupIdentity, newIdentity } from '../../src/security/backupKeys.ts'
import {
  contentOf,
  GOLDEN,
  goldenFile,
  HEADER,
  opened,
  pointsOf,
  SAMPLE,
  sourceOf,
  type Wanted,
  written,
} from '../support/archiveBytes.ts'
import { assembled, partsOf, withJson } from '../support/archiveForgery.ts'
import { PYTHON, PYTHON_PROGRAMS } from '../support/paths.ts'

const OWN = newIdentity()
const OTHER = newIdentity()
const STRANGER = newIdentity()

const codec = fc.constantFrom('none', 'deflate', 'brotli')

test('what is encrypted is read by each recipient alone, whatever its size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc
        .constantFrom(512, 1024, 4096)
        .chain((pageSize) =>
          fc.tuple(fc.constant(pageSize), fc.integer({ min: 1, max: 5 }), pointsOf(pageSize)),
        ),
      codec,
      async ([pageSize, blockPages, points], given) => {
        const header = { ...HEADER, codec: given, pageSize, blockPages }
        const file = await written(header, points, [OWN.recipient, OTHER.recipient])
        for (const identity of [OWN, OTHER]) {
          const read = await opened(file, [STRANGER, identity])
          assert.deepEqual(read.header, header)
          assert.deepEqual(await contentOf(read), points)
        }
        const [first] = points.flatMap(({ images }, i) =>
          images.map(({ number }) => ({ i, number })),
        )
        if (first)
          assert.deepEqual(
            await (await opened(file, [OWN])).page(first.i, first.number),
            points[first.i].images[0].bytes,
          )
      },
    ),
    { numRuns: 40 },
  )
})

test('without the key an encrypted file tells its header and nothing of its pages', async () => {
  const secret = randomBytes(512)
  const points: Wanted[] = [{ ...SAMPLE[0], images: [{ number: 1, bytes: secret }] }]
  const [one, two] = [
    await written(HEADER, points, [OWN.recipient]),
    await written(HEADER, points, [OWN.recipient]),
  ]
  assert.notDeepEqual(partsOf(one).blocks, partsOf(two).blocks)
  const sums = [SAMPLE[0].checksum, HEADER.fromChecksum].flatMap((sum) => {
    const bytes = Buffer.from(sum, 'hex')
    return [bytes, Buffer.from(bytes).reverse(), Buffer.from(sum)]
  })
  for (const hidden of [secret.subarray(0, 16), ...sums]) assert.equal(one.indexOf(hidden), -1)
  const { fromChecksum, ...clear } = HEADER
  assert.notEqual(fromChecksum, '')
  const envelope = await ArchiveEnvelope.open(sourceOf(one))
  assert.deepEqual(envelope.header, clear)
  assert.deepEqual(envelope.recipients, [OWN.recipient.id])
  await envelope.checkBlocks()
})

test('who has no key of a file is told whose it is, and what to give', async () => {
  const file = await written(HEADER, SAMPLE, [OWN.recipient, OTHER.recipient])
  for (const [identities, said] of [
    [[], 'no identity was given'],
    [[STRANGER], `the identity that was given is ${STRANGER.recipient.id}`],
  ] satisfies [BackupIdentity[], string][]) {
    const error = await opened(file, identities).catch((each: unknown) => each)
    assert.ok(error instanceof WalcastError)
    assert.equal(error.key, 'ARCHIVE_LOCKED')
    assert.ok(error.line.includes(`${OWN.recipient.id}, ${OTHER.recipient.id}, and ${said}`))
    assert.match(error.line, /--identity FILE, or WALCAST_IDENTITY/)
  }
})

/** Refused, and never as something that another key would open. */
async function refused(file: Buffer, why: string): Promise<void> {
  await assert.rejects(
    opened(file, [OWN]).then(contentOf),
    (error) => keyOf(error) === 'ARCHIVE_BROKEN',
    why,
  )
}

test('every changed bit and every missing end is found, with and without the key', async () => {
  const whole = await written({ ...HEADER, codec: 'deflate' }, SAMPLE, [OWN.recipient])
  for (let at = 0; at < whole.length; at++)
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(whole)
      changed[at] ^= 1 << bit
      await refused(changed, `byte ${at}, bit ${bit}`)
    }
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] ^= 1 << (at % 8)
    await assert.rejects(
      ArchiveEnvelope.open(sourceOf(changed)).then((envelope) => envelope.checkBlocks()),
      (error) => keyOf(error) === 'ARCHIVE_BROKEN',
      `byte ${at}, without the key`,
    )
  }
  for (let length = 0; length < whole.length; length += 7)
    await refused(whole.subarray(0, length), `${length} bytes`)
})

test('a changed bit is found also when all checksums are made right again', async () => {
  const whole = await written({ ...HEADER, codec: 'deflate' }, SAMPLE, [OWN.recipient])
  const parts = partsOf(whole)
  assert.deepEqual(assembled(parts), whole)
  const flipped = (bytes: Buffer, at: number) => {
    const changed = Buffer.from(bytes)
    changed[at] ^= 1 << (at % 8)
    return changed
  }
  for (const [i, block] of parts.blocks.entries())
    for (let at = 0; at < block.length; at++)
      await refused(
        assembled({ ...parts, blocks: parts.blocks.with(i, flipped(block, at)) }),
        `block ${i}, byte ${at}`,
      )
  for (let at = 0; at < parts.index.length; at++)
    await refused(assembled({ ...parts, index: flipped(parts.index, at) }), `index, byte ${at}`)
  const text = ['ARCHIVE_BROKEN', 'ARCHIVE_LOCKED', 'ARCHIVE_NEWER']
  for (let at = 0; at < parts.header.length - 8; at++)
    await assert.rejects(
      opened(assembled({ ...parts, header: flipped(parts.header, at) }), [OWN]).then(contentOf),
      (error) => text.includes(String(keyOf(error))),
      `header, byte ${at}`,
    )
})

test('blocks do not open at another place, in another file or under another header', async () => {
  const three = { ...HEADER, blockPages: 1 }
  const [one, two] = [
    partsOf(await written(three, SAMPLE, [OWN.recipient])),
    partsOf(await written(three, SAMPLE, [OWN.recipient])),
  ]
  const [a, b, c] = one.blocks
  await contentOf(await opened(assembled(one), [OWN]))
  for (const [why, parts] of Object.entries({
    'two blocks swapped': { ...one, blocks: [b, a, c] },
    'a block twice': { ...one, blocks: [a, a, c] },
    'a block dropped': { ...one, blocks: [a, b] },
    'a block added': { ...one, blocks: [a, b, c, c] },
    'a block of another file': { ...one, blocks: [a, two.blocks[1], c] },
    'all blocks of another file': { ...one, blocks: two.blocks },
    'the index of another file': { ...one, index: two.index },
    'the header of another file': { ...one, header: two.header },
    'the index as a block': { ...one, blocks: [one.index, b, c] },
    'a block as the index': { ...one, index: a },
    'a later time in the header': withJson(one, (json) =>
      json.replace('1700000000123', '1800000000123'),
    ),
    'another txid in the header': withJson(one, (json) => json.replace(':40,', ':39,')),
    'the length of the index': { ...one, indexRawBytes: one.indexRawBytes - 1 },
  }))
    await refused(assembled(parts), why)
})

test('keys in a header belong to their recipient and to the pair of the file', async () => {
  const parts = partsOf(await written(HEADER, SAMPLE, [OWN.recipient, OTHER.recipient]))
  const seal = (
    change: (seal: { ephemeral: string; keys: { recipient: string; key: string }[] }) => unknown,
  ) =>
    assembled(
      withJson(parts, (json) => {
        const header = JSON.parse(json)
        return JSON.stringify({ ...header, seal: change(header.seal) })
      }),
    )
  for (const low of ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`])
    await refused(
      seal((given) => ({ ...given, ephemeral: low })),
      `ephemeral ${low}`,
    )
  await refused(
    seal(({ ephemeral, keys: [own, other] }) => ({
      ephemeral,
      keys: [
        { ...own, key: other.key },
        { ...other, key: own.key },
      ],
    })),
    'the keys of two recipients swapped',
  )
  const many = Array.from({ length: MAX_RECIPIENTS + 1 })
  for (const [why, change] of Object.entries({
    'more keys than a header may have': ({ ephemeral, keys }) => ({
      ephemeral,
      keys: many.map(() => keys[0]),
    }),
    'no keys': ({ ephemeral }) => ({ ephemeral, keys: [] }),
    'another field': (given) => ({ ...given, more: 1 }),
    'no seal': () => undefined,
    'not encrypted': () => null,
    'a key that is too short': ({ ephemeral, keys }) => ({
      ephemeral,
      keys: [{ ...keys[0], key: '00' }],
    }),
  } satisfies Record<string, Parameters<typeof seal>[0]>))
    await refused(seal(change), why)
  await refused(
    assembled(withJson(parts, (json) => `${json}${' '.repeat(70_000)}`)),
    'a header that is too long',
  )
  await assert.rejects(written(HEADER, SAMPLE, []), RangeError)
  await assert.rejects(
    written(
      HEADER,
      SAMPLE,
      many.map(() => OWN.recipient),
    ),
    RangeError,
  )
})

test('a file for as many recipients as there may be is read by the last one', async () => {
  const all = Array.from({ length: MAX_RECIPIENTS }, newIdentity)
  const file = await written(
    HEADER,
    SAMPLE,
    all.map(({ recipient }) => recipient),
  )
  assert.deepEqual(await contentOf(await opened(file, all.slice(-1))), SAMPLE)
})

test('pages that cannot be compressed fit, in blocks of the largest size', async () => {
  const header = { ...HEADER, pageSize: 65_536, blockPages: 16 }
  const images = Array.from({ length: 17 }, (_, i) => ({
    number: i + 1,
    bytes: randomBytes(65_536),
  }))
  const points = [{ ...SAMPLE[0], pages: 17, images }]
  for (const given of ['none', 'deflate', 'brotli'] as const) {
    const file = await written({ ...header, codec: given }, points, [OWN.recipient])
    assert.deepEqual(await contentOf(await opened(file, [OWN])), points)
  }
})

/** Gives bytes of 1, of 2 and so on. */
function countedBytes(...values: readonly number[]) {
  const left = [...values]
  return replaceRandom({
    random: () => 0,
    randomBytes: (count) => Buffer.alloc(count, left.shift()),
    randomUuid: () => '',
  })
}

test('the encrypted file of ARCHIVE.md is what is written, and Python reads it', async () => {
  const golden = goldenFile('golden encrypted')
  const restoreRandom = countedBytes(1, 3, 2)
  try {
    const identity = newIdentity()
    assert.deepEqual(await contentOf(await opened(golden, [identity])), GOLDEN)
    const made = await written(HEADER, GOLDEN, [identity.recipient])
    assert.equal(made.toString('hex'), golden.toString('hex'))
  } finally {
    restoreRandom()
  }
  const [{ txid, checksum, timeMs, pages, images }] = GOLDEN
  const wanted = {
    kind: 'changes',
    fromChecksum: HEADER.fromChecksum,
    points: [
      {
        txid,
        checksum,
        timeMs,
        pages,
        images: images.map(({ number, bytes }) => [number, Buffer.from(bytes).toString('hex')]),
      },
    ],
  }
  assert.deepEqual(readByPython(golden, '01'.repeat(32)), wanted)
  assert.deepEqual(readByPython(goldenFile('golden'), ''), wanted)
})

/** `identity`: hex. */
function readByPython(archive: Buffer, identity: string): unknown {
  const options = JSON.stringify({ archive: archive.toString('hex'), identity })
  const program = join(PYTHON_PROGRAMS, 'open_archive.py')
  return JSON.parse(execFileSync(PYTHON, [program, options], { encoding: 'utf8' }))
}

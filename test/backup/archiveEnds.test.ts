/** The ends of a file, however long its header is: they are read at once, and no byte twice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readEnds } from '../../src/backup/archiveEnds.ts'

function sourceOf(bytes: Buffer) {
  const reads: [number, number][] = []
  const read = async (at: number, length: number) => {
    reads.push([at, length])
    assert.ok(at >= 0 && at + length <= bytes.length, `${length} bytes from ${at} are there`)
    return Buffer.from(bytes.subarray(at, at + length))
  }
  return { source: { name: 'a file', bytes: bytes.length, read }, reads }
}

test('head and tail are what the file has, however long it and its header are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.nat(40),
        fc.nat(50_000),
        fc.integer({ min: 36_800, max: 36_930 }),
        fc.nat(300_000),
      ),
      fc.oneof(fc.nat(6000), fc.nat(0xffff_ffff)),
      fc.nat(1_000_000),
      fc.nat(1_000_000),
      async (length, headerBytes, from, count) => {
        const bytes = Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255))
        if (length >= 16) bytes.writeUInt32LE(headerBytes, 12)
        const { source, reads } = sourceOf(bytes)
        const { head, read } = await readEnds(source)
        const wanted = Math.min(length, length < 16 ? 0 : 24 + Math.min(headerBytes, 65_536))
        assert.ok(head.length >= wanted)
        assert.ok(head.equals(bytes.subarray(0, head.length)))
        assert.ok(reads.length <= 3)
        const at = from % (length + 1)
        const some = count % (length - at + 1)
        assert.ok((await read(at, some)).equals(bytes.subarray(at, at + some)))
      },
    ),
    { numRuns: 200 },
  )
})

test('a small file is read once, and the end of a large one is not read again', async () => {
  for (const [length, most] of [
    [20_000, 1],
    [1_000_000, 2],
  ]) {
    const { source, reads } = sourceOf(Buffer.alloc(length))
    const { read } = await readEnds(source)
    await read(length - 56, 56)
    await read(length - 9000, 8000)
    assert.equal(reads.length, most)
  }
})

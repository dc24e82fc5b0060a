/** What is read of the log is what is in the file, however it lies in what was read at once. */
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { LogReader } from '../../src/backup/logReader.ts'
import { randomBytes } from '../../src/platform/random.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-log-'))
after(() => rmSync(root, { recursive: true, force: true }))

const BYTES = 3_000_000
const content = randomBytes(BYTES)
const path = join(root, 'log')
writeFileSync(path, content)
const PLACE = fc.record({
  at: fc.integer({ min: 0, max: BYTES + 10 }),
  bytes: fc.oneof(fc.constant(96), fc.integer({ min: 0, max: 1_500_000 })),
})

test('bytes of the log are those of the file, and fewer at its end', async () => {
  const fd = openSync(path, 'r')
  await fc.assert(
    fc.asyncProperty(fc.array(PLACE, { maxLength: 8 }), async (places) => {
      const reader = new LogReader(fd)
      const found: Buffer[] = []
      for (const { at, bytes } of places) found.push(await reader.read(at, bytes))
      for (const [i, { at, bytes }] of places.entries())
        assert.ok(found[i].equals(content.subarray(at, at + bytes)), `${bytes} bytes at ${at}`)
    }),
    { numRuns: 60 },
  )
  closeSync(fd)
})

test('records are read many at a time, and the thread has its turns between them', async () => {
  const fd = openSync(path, 'r')
  const reader = new LogReader(fd)
  const buffers = new Set<ArrayBufferLike>()
  let isOver = false
  let turns = 0
  const count = () => {
    turns++
    if (!isOver) setImmediate(count)
  }
  count()
  for (let at = 0; at < BYTES; at += 1000) buffers.add((await reader.read(at, 1000)).buffer)
  isOver = true
  assert.ok(buffers.size <= 8, `${buffers.size} reads`)
  assert.ok(turns > BYTES / 1000 / 100, `${turns} turns`)
  closeSync(fd)
})

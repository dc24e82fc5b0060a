/** A ring as a file: restarts, crashes, full disks, and files of others. */
import assert from 'node:assert/strict'
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { encodeSlot, SLOT_BYTES } from '../../../src/health/lagRing/lagSlot.ts'
import { RingFile } from '../../../src/health/lagRing/ringFile.ts'
import { HEADER_BYTES } from '../../../src/health/lagRing/ringHeader.ts'
import { createFileOps, type FileOp } from '../../../src/platform/fileOps.ts'
import { numbered, slotOf, valuesWith } from '../../support/lagSlots.ts'

const SLOTS = 8
const slotAt = (n: number) => slotOf(n * 1000, n * 1000 + 1000)

function ringIn(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-ring-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'lag.ring')
  const messages: string[] = []
  const log = pino({}, { write: (line: string) => void messages.push(JSON.parse(line).msg) })
  let failing: FileOp | undefined
  let dropped = 0
  const ops = createFileOps((op) => {
    if (op === failing) throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' })
  })
  const open = (node = 'node-a', cluster = 'c1', slots = SLOTS) =>
    new RingFile({
      path,
      slotMs: 1000,
      slots,
      owner: () => ({ node, cluster }),
      ops,
      log,
      onDropped: () => dropped++,
    })
  return {
    ...{ folder, path, messages, open },
    fail: (op?: FileOp) => {
      failing = op
    },
    dropped: () => dropped,
  }
}

const timesOf = async (ring: RingFile, fromMs = 0, toMs = 1e12) =>
  (await ring.read(fromMs, toMs)).map(({ fromMs: at }) => at / 1000)

/** Of a ring that is opened for that alone. */
const timesOnce = async (ring: RingFile) => {
  const times = await timesOf(ring)
  await ring.close()
  return times
}

test('slots survive a restart; the oldest ones go, and the file stays small', async (t) => {
  const { path, open, messages } = ringIn(t)
  let ring = open()
  assert.deepEqual(await timesOf(ring), [])
  for (const n of [1, 2, 3]) await ring.append(slotAt(n))
  assert.deepEqual(await timesOf(ring), [1, 2, 3])
  assert.deepEqual(await timesOf(ring, 2000, 3000), [2])
  await ring.close()
  ring = open()
  for (let n = 4; n <= 29; n++) await ring.append(slotAt(n))
  assert.deepEqual(await timesOf(ring), [22, 23, 24, 25, 26, 27, 28, 29])
  await ring.close()
  assert.deepEqual(await timesOnce(open()), [22, 23, 24, 25, 26, 27, 28, 29])
  const { size, mode } = statSync(path)
  assert.deepEqual([size, mode & 0o777], [HEADER_BYTES + SLOTS * SLOT_BYTES, 0o600])
  assert.deepEqual(messages, [])
})

test('a torn slot is a gap, and its place is written again', async (t) => {
  const { path, open } = ringIn(t)
  const ring = open()
  for (const n of [1, 2, 3]) await ring.append(slotAt(n))
  await ring.close()
  const fd = openSync(path, 'r+')
  // The third slot, as a crash leaves it within its write.
  const newer = slotOf(9000, 10_000, { values: valuesWith({ longestPauseMs: 1 }) })
  const torn = encodeSlot(numbered(newer, 11)).subarray(0, 100)
  writeSync(fd, torn, 0, torn.length, HEADER_BYTES + 3 * SLOT_BYTES)
  closeSync(fd)
  const next = open()
  assert.deepEqual(await timesOf(next), [1, 2])
  await next.append(slotAt(4))
  assert.deepEqual(await timesOf(next), [1, 2, 4])
  await next.close()
})

test('a file that ends within its head or a slot is gone on with', async (t) => {
  const { path, open } = ringIn(t)
  for (const size of [0, 100, HEADER_BYTES, HEADER_BYTES + 2 * SLOT_BYTES + 7]) {
    const ring = open()
    for (const n of [1, 2, 3]) await ring.append(slotAt(n))
    await ring.close()
    writeFileSync(path, readFileSync(path).subarray(0, size))
    const next = open()
    await next.append(slotAt(7))
    assert.equal((await timesOf(next)).at(-1), 7, `${size} bytes`)
    await next.close()
    rmSync(path)
  }
})

test('the ring of another node, cluster, version or shape is set aside unchanged', async (t) => {
  const { folder, path, open, messages } = ringIn(t)
  const ring = open()
  await ring.append(slotAt(1))
  await ring.close()
  const ours = readFileSync(path)
  const later = Buffer.from(ours)
  later.writeUInt32LE(7, 16)
  const damaged = Buffer.from(ours)
  damaged[300] ^= 1
  const cases: (readonly [Buffer, RingFile])[] = [
    [ours, open('node-b')],
    [ours, open('node-a', 'c2')],
    [ours, open('node-a', 'c1', SLOTS + 1)],
    [later, open()],
    [damaged, open()],
    [Buffer.alloc(9000, 'x'), open()],
  ]
  for (const [i, [bytes, next]] of cases.entries()) {
    writeFileSync(path, bytes)
    assert.deepEqual(await timesOf(next), [], `case ${i}`)
    await next.append(slotAt(5))
    assert.deepEqual(await timesOf(next), [5])
    await next.close()
    assert.deepEqual(readFileSync(`${path}.other-${i + 1}`), bytes)
  }
  assert.equal(messages.filter((text) => text.includes('set a history of lag aside')).length, 6)
  assert.equal(readdirSync(folder).length, 7)
})

test('a node that learns its cluster goes on with its ring', async (t) => {
  const { open, messages } = ringIn(t)
  const before = open('node-a', '')
  await before.append(slotAt(1))
  await before.close()
  const after = open('node-a', 'c1')
  assert.deepEqual(await timesOf(after), [1])
  await after.close()
  assert.deepEqual(await timesOnce(open('node-a', 'c2')), [])
  assert.equal(messages.length, 1)
})

test('no more than nine files are set aside, and none of them is lost', async (t) => {
  const { folder, path, open, dropped, messages } = ringIn(t)
  for (let i = 0; i < 11; i++) {
    writeFileSync(path, Buffer.alloc(9000, `${i}`))
    const ring = open()
    await ring.append(slotAt(1))
    await ring.close()
  }
  assert.equal(readdirSync(folder).length, 10)
  assert.equal(dropped(), 2)
  assert.ok(messages.includes('cannot write the history of lag; it has a gap'))
})

test('a full disk stops nothing, is said once, and leaves a gap', async (t) => {
  const { open, messages, fail, dropped } = ringIn(t)
  const ring = open()
  await ring.append(slotAt(1))
  fail('lag.write')
  for (const n of [2, 3, 4]) await ring.append(slotAt(n))
  assert.deepEqual([await timesOf(ring), dropped()], [[1], 3])
  fail()
  for (const n of [5, 6]) await ring.append(slotAt(n))
  assert.deepEqual(await timesOf(ring), [1, 5, 6])
  assert.deepEqual(messages, [
    'cannot write the history of lag; it has a gap',
    'the history of lag can be written again',
  ])
  await ring.close()
})

test('a disk that is slow keeps few slots waiting', async (t) => {
  const { open, dropped } = ringIn(t)
  const ring = open()
  await Promise.all(Array.from({ length: 10 }, (_, n) => ring.append(slotAt(n))))
  assert.deepEqual([(await timesOf(ring)).length, dropped()], [4, 6])
  await ring.close()
})

test('a link in its place is not followed', async (t) => {
  const { folder, path, open, messages } = ringIn(t)
  const ring = open()
  await ring.append(slotAt(1))
  await ring.close()
  const other = join(folder, 'other')
  copyFileSync(path, other)
  const before = readFileSync(other)
  rmSync(path)
  symlinkSync(other, path)
  const next = open()
  await next.append(slotAt(2))
  assert.deepEqual(await timesOf(next), [])
  assert.deepEqual(readFileSync(other), before)
  assert.equal(messages.length, 1)
})

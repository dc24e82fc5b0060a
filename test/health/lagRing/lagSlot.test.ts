/** The bytes of a slot and of the head of a ring, as proto/LAGRING.md describes them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CAUSE_CODES } from '../../../src/api/cause.ts'
import {
  decodeSlot,
  encodeSlot,
  type LagSlot,
  SLOT_BYTES,
  VALUE_NAMES,
  valuesFrom,
} from '../../../src/health/lagRing/lagSlot.ts'
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  type RingHeader,
  strangeness,
} from '../../../src/health/lagRing/ringHeader.ts'
import { numbered, slotOf } from '../../support/lagSlots.ts'
import { seededRandom } from '../../support/seededRandom.ts'

const HEADER: RingHeader = {
  node: 'node-a',
  cluster: '0f0f',
  slots: 400,
  slotMs: 10_000,
  slotBytes: SLOT_BYTES,
}

function anySlot(random: () => number): LagSlot {
  const fromMs = Math.floor(random() * 4e12)
  return {
    seq: 1 + Math.floor(random() * 1e9),
    fromMs,
    toMs: fromMs + 1 + random() * 1e5,
    role: (['leader', 'replica', 'standby'] as const)[Math.floor(random() * 3)],
    causes: CAUSE_CODES.filter(() => random() < 0.3),
    values: valuesFrom(() => (random() < 0.2 ? Number.NaN : random() * 10 ** (random() * 15))),
  }
}

test('each slot comes back as it was, and none with a bit turned over', () => {
  const random = seededRandom(7)
  for (let run = 0; run < 300; run++) {
    const slot = anySlot(random)
    const bytes = encodeSlot(slot)
    assert.equal(bytes.length, SLOT_BYTES)
    assert.deepEqual(decodeSlot(bytes), slot)
    const bit = Math.floor(random() * SLOT_BYTES * 8)
    bytes[bit >> 3] ^= 1 << (bit & 7)
    assert.equal(decodeSlot(bytes), undefined, `bit ${bit}`)
  }
})

test('a slot that is torn, empty or impossible is none', () => {
  const whole = encodeSlot(numbered(slotOf(1000, 2000), 1))
  const other = valuesFrom((_name, i) => 1000 + i)
  const before = encodeSlot(numbered(slotOf(500, 900, { values: other }), 2))
  for (let cut = 0; cut < SLOT_BYTES; cut += 8) {
    const torn = Buffer.concat([whole.subarray(0, cut), before.subarray(cut)])
    const found = decodeSlot(torn)
    const isWhole = torn.equals(whole) || torn.equals(before)
    assert.equal(found !== undefined, isWhole, `cut at ${cut}`)
  }
  assert.equal(decodeSlot(Buffer.alloc(SLOT_BYTES)), undefined)
  assert.equal(decodeSlot(whole.subarray(1)), undefined)
  for (const wrong of [
    numbered(slotOf(2000, 2000), 1),
    numbered(slotOf(2000, 1000), 1),
    numbered(slotOf(-5, 1000), 1),
    numbered(slotOf(0, 1e17), 1),
    numbered(slotOf(1000, 2000), 0),
    numbered(slotOf(1000, 2000), 1.5),
    numbered(slotOf(1000, 2000, { values: valuesFrom(() => -1) }), 1),
    numbered(slotOf(1000, 2000, { values: valuesFrom(() => Infinity) }), 1),
  ])
    assert.equal(decodeSlot(encodeSlot(wrong)), undefined, JSON.stringify(wrong))
})

test('numbers and causes keep the places that files have them at', () => {
  assert.deepEqual(VALUE_NAMES, [
    ...['lagMs', 'p50Ms', 'p95Ms', 'p99Ms'],
    ...['noticed', 'sent', 'received', 'applied'].flatMap((stage) =>
      ['P50Ms', 'P95Ms', 'P99Ms'].map((name) => stage + name),
    ),
    ...['transactions', 'bytes', 'walBytes', 'heldWrites', 'mostHeld'],
    ...['pauses', 'pausedMs', 'longestPauseMs'],
  ])
  const bytes = encodeSlot(
    numbered(slotOf(1000, 2000, { role: 'standby', causes: ['link-down', 'proof-overdue'] }), 3),
  )
  assert.equal(bytes.readUInt32LE(4), 2)
  assert.equal(bytes.readUInt32LE(8), 0x8004)
  assert.deepEqual(
    [16, 24, 32, 40 + 8 * 23].map((at) => bytes.readDoubleLE(at)),
    [3, 1000, 2000, 23],
  )
  const page = readFileSync(new URL('../../../../proto/LAGRING.md', import.meta.url), 'utf8')
  const [, told = ''] = /^Bits of causes, from 0: ([^.]+)\./m.exec(page) ?? []
  const codes = [...told.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code)
  assert.deepEqual([...codes].sort(), [...CAUSE_CODES].sort())
  for (const code of CAUSE_CODES) {
    const slot = numbered(slotOf(1, 2, { causes: [code] }), 1)
    assert.deepEqual(decodeSlot(encodeSlot(slot))?.causes, [code])
    assert.equal(encodeSlot(slot).readUInt32LE(8), 2 ** codes.indexOf(code))
  }
})

test('a head says whose ring it is; another version, owner or shape is told', () => {
  const bytes = encodeHeader(HEADER)
  assert.equal(bytes.length, HEADER_BYTES)
  assert.deepEqual(decodeHeader(bytes), HEADER)
  assert.equal(strangeness(HEADER, HEADER), undefined)
  assert.equal(strangeness({ ...HEADER, cluster: '' }, HEADER), undefined)
  assert.match(String(strangeness({ ...HEADER, node: 'node-b' }, HEADER)), /another node/)
  assert.match(String(strangeness({ ...HEADER, cluster: '1' }, HEADER)), /another cluster/)
  assert.match(String(strangeness({ ...HEADER, slotMs: 1 }, HEADER)), /other sizes/)
  const later = Buffer.from(bytes)
  later.writeUInt32LE(2, 16)
  assert.match(String(decodeHeader(later)), /version 2/)
  bytes[40] ^= 1
  assert.match(String(decodeHeader(bytes)), /damaged/)
  assert.match(String(decodeHeader(Buffer.alloc(HEADER_BYTES))), /no lag ring/)
  assert.match(String(decodeHeader(Buffer.alloc(3))), /no lag ring/)
  const long = { ...HEADER, node: 'n'.repeat(128), cluster: 'c'.repeat(128) }
  assert.deepEqual(decodeHeader(encodeHeader(long)), long)
})

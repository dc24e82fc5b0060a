/**
 * The ring of positions: what survives a reopen, a torn write and a crash, and when its end is
 * trusted.
 */
import assert from 'node:assert/strict'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { keyOf } from '../../src/errors.ts'
import { createFileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { bootId, PositionLog, type PositionRecord } from '../../src/sqlite/positionLog.ts'
import { temporaryFolder } from '../support/sourceDatabase.ts'

const folder = temporaryFolder()
after(() => folder.remove())

const CAPACITY = 1024
const RECORD_BYTES = 80
const THIS_BOOT = '00112233445566778899aabbccddeeff'
const NEXT_BOOT = 'ffeeddccbbaa99887766554433221100'

let logs = 0
const newPath = () => join(folder.path, `positions-${++logs}`)
const open = (path: string, boot = THIS_BOOT) => new PositionLog(path, systemFileOps, boot)
const record = (txid: number): PositionRecord => ({
  epoch: 3,
  txid,
  incarnation: `${'fe'.repeat(4)}${txid.toString(16).padStart(8, '0')}`,
  checksum: BigInt(txid) * 0x1_0000_0001n,
  salt1: 0xfffffffe,
  salt2: 7,
  frame: txid + 1,
  s0: 0x80000001,
  s1: txid,
  pages: 4294967294,
  changeCounter: 4294967295,
  schemaCookie: txid,
})
const records = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => record(from + i))

const word = fc.nat(0xffffffff)
const recordArbitrary: fc.Arbitrary<PositionRecord> = fc.record(
  {
    epoch: fc.maxSafeNat(),
    txid: fc.maxSafeNat(),
    incarnation: fc
      .bigInt({ min: 0n, max: 2n ** 64n - 1n })
      .map((id) => id.toString(16).padStart(16, '0')),
    checksum: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    salt1: word,
    salt2: word,
    frame: word,
    s0: word,
    s1: word,
    pages: word,
    changeCounter: word,
    schemaCookie: word,
  },
  { noNullPrototype: true },
)

test('records come back whole and in order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(recordArbitrary, { maxLength: 20 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (lives, clean) => {
        const path = newPath()
        const all: PositionRecord[] = []
        for (const life of lives) {
          const log = open(path)
          assert.deepEqual(log.found, all)
          assert.deepEqual(log.known, all)
          for (const each of life) {
            log.append(each)
            assert.deepEqual(log.known, [...all, each])
          }
          all.push(...life)
          log.close(clean)
        }
        const log = open(path)
        assert.deepEqual(log.found, all)
        log.close(false)
      },
    ),
    { numRuns: 40 },
  )
})

test('the ring keeps the last records, in order of writing, across reopens', () => {
  const path = newPath()
  let txid = 0
  for (const count of [1, CAPACITY - 2, 1, 1, 500, CAPACITY + 3, 2 * CAPACITY]) {
    const log = open(path)
    for (let i = 0; i < count; i++) log.append(record(++txid))
    log.close(false)
    const again = open(path)
    assert.deepEqual(again.found, records(Math.max(1, txid - CAPACITY + 1), txid))
    again.close(false)
  }
  assert.equal(statSync(path).size, RECORD_BYTES * (1 + CAPACITY))
})

test('a record with any byte changed is left out, the others are not', () => {
  const path = newPath()
  const log = open(path)
  for (const each of records(1, 5)) log.append(each)
  log.close(true)
  const whole = readFileSync(path)
  for (let at = 0; at < RECORD_BYTES; at++) {
    const bytes = Buffer.from(whole)
    bytes[3 * RECORD_BYTES + at] ^= 0x10
    writeFileSync(path, bytes)
    const again = open(path)
    assert.deepEqual(again.found, [record(1), record(2), record(4), record(5)], `byte ${at}`)
    again.close(false)
  }
})

test('a torn newest record is ignored and its slot written again', () => {
  for (let kept = 0; kept < RECORD_BYTES; kept++) {
    const path = newPath()
    const log = open(path)
    for (const each of records(1, 3)) log.append(each)
    log.close(false)
    truncateSync(path, 3 * RECORD_BYTES + kept)
    const again = open(path)
    assert.deepEqual(again.found, records(1, 2), `${kept} bytes of it`)
    again.append(record(9))
    again.close(false)
    const third = open(path)
    assert.deepEqual(third.found, [...records(1, 2), record(9)])
    third.close(false)
  }
})

test('a torn record in a ring that has turned gives way to the newer ones', () => {
  const path = newPath()
  const log = open(path)
  for (const each of records(1, CAPACITY + 10)) log.append(each)
  log.close(false)
  const bytes = readFileSync(path)
  bytes.fill(0xee, 10 * RECORD_BYTES + 20, 11 * RECORD_BYTES)
  writeFileSync(path, bytes)
  const again = open(path)
  assert.deepEqual(again.found, records(11, CAPACITY + 9))
  again.append(record(5000))
  assert.deepEqual(again.known.at(-1), record(5000))
  again.close(false)
  const third = open(path)
  assert.deepEqual(third.found, [...records(11, CAPACITY + 9), record(5000)])
  third.close(false)
})

test('an empty, short or foreign file holds nothing and is not trusted', () => {
  for (const content of [
    Buffer.alloc(0),
    Buffer.alloc(10),
    Buffer.alloc(RECORD_BYTES * 1025),
    Buffer.alloc(RECORD_BYTES * 1025, 0xff),
    Buffer.from('SQLite format 3\0'),
  ]) {
    const path = newPath()
    writeFileSync(path, content)
    const log = open(path)
    assert.deepEqual(log.found, [])
    assert.equal(log.trusted, false)
    log.append(record(1))
    log.close(false)
    const again = open(path)
    assert.deepEqual(again.found, [record(1)])
    again.close(false)
  }
})

/**
 * What became of a log that held record 1, opened on `boot`: whether its last record is known to be
 * the newest.
 */
function trustedOn(path: string, boot: string): boolean {
  const log = open(path, boot)
  log.close(false)
  assert.deepEqual(log.found, [record(1)])
  return log.trusted
}

test('the last record is trusted after a clean stop, or on the same boot', () => {
  for (const [clean, boot, expected] of [
    [false, THIS_BOOT, true],
    [false, NEXT_BOOT, false],
    [true, THIS_BOOT, true],
    [true, NEXT_BOOT, true],
  ] as const) {
    const path = newPath()
    const log = open(path)
    assert.equal(log.trusted, false, 'a new log')
    log.append(record(1))
    log.close(clean)
    assert.equal(
      trustedOn(path, boot),
      expected,
      `clean ${clean}, ${boot === THIS_BOOT ? 'same' : 'next'} boot`,
    )
  }
})

test('after a crash of the machine, opening a log never makes its records trusted', () => {
  for (const clean of [false, true]) {
    const path = newPath()
    const log = open(path)
    log.append(record(1))
    log.close(false)
    const afterCrash = open(path, NEXT_BOOT)
    assert.equal(afterCrash.trusted, false)
    afterCrash.close(clean)
    assert.equal(trustedOn(path, NEXT_BOOT), false, 'nothing was settled meanwhile')
    const settled = open(path, NEXT_BOOT)
    settled.append(record(2))
    settled.close(false)
    assert.equal(open(path, NEXT_BOOT).trusted, true, 'a record was written on this boot')
  }
})

test('a log that was stopped cleanly is no longer clean once a record is written', () => {
  const path = newPath()
  const log = open(path)
  log.append(record(1))
  log.close(true)
  const second = open(path, THIS_BOOT)
  second.close(true)
  assert.equal(trustedOn(path, NEXT_BOOT), true, 'opened and stopped without a record')
  const third = open(path, THIS_BOOT)
  third.append(record(2))
  third.close(false)
  const fourth = open(path, NEXT_BOOT)
  assert.equal(fourth.trusted, false)
  fourth.close(false)
})

test('a record that cannot be written is an error, and the next takes its place', () => {
  const path = newPath()
  let full = false
  const ops = createFileOps((op) => {
    if (full && op === 'position.append')
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  })
  const log = new PositionLog(path, ops, THIS_BOOT)
  log.append(record(1))
  full = true
  assert.throws(
    () => log.append(record(2)),
    (error) => keyOf(error) === 'DISK_FULL',
  )
  full = false
  log.append(record(3))
  log.close(false)
  const again = open(path)
  assert.deepEqual(again.found, [record(1), record(3)])
  again.close(false)
})

test('a log that cannot be written at all can still be opened and read', () => {
  const path = newPath()
  const log = open(path)
  log.append(record(1))
  log.close(false)
  const full = createFileOps(() => {
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  })
  const again = new PositionLog(path, full, THIS_BOOT)
  assert.deepEqual(again.found, [record(1)])
  assert.throws(
    () => again.append(record(2)),
    (error) => keyOf(error) === 'DISK_FULL',
  )
  again.close(false)
})

test('the boot of this machine has a number of 16 bytes that stays', () => {
  assert.match(bootId(), /^[0-9a-f]{32}$/)
  assert.equal(bootId(), bootId())
})

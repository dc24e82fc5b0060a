/**
 * The memory of requests with a key: it stays within its bounds, and no request is executed twice
 * because of them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyOf } from '../../src/errors.ts'
import { IdempotencyStore } from '../../src/proxy/idempotencyStore.ts'
import type { Execution, StoredAnswer } from '../../src/proxy/idempotentExecution.ts'

const answerOf = (bytes: number): StoredAnswer => ({
  status: 200,
  statusText: 'OK',
  headers: {},
  body: Buffer.alloc(bytes),
})

const TRANSIT_MS = 20
/** The client that all is counted under, where only one asks. */
const ME = '192.0.2.1'
/** Bytes that keep an answer without head and body, with a key of one character. */
const EMPTY_BYTES = 1024 + 1 + ME.length + 2
const MAX_ANSWERS = 5
const MAX_BYTES = 5 * EMPTY_BYTES + 100
const LIMITS = { maxAnswers: MAX_ANSWERS, maxBytes: MAX_BYTES, keepMs: 1000, transitMs: TRANSIT_MS }

function setUp() {
  const clock = { now: 1_000_000, nowMs: () => clock.now }
  const led = { id: 'x', lasting: new Set<string>() }
  const pushed = { number: 0, size: 0 }
  const memory = new IdempotencyStore(
    { ...LIMITS, onPushedOut: (why) => void pushed[why]++ },
    clock,
    {
      incarnation: () => led.id,
      contains: ({ incarnation, txid }) => led.lasting.has(`${incarnation}@${txid}`),
    },
  )
  return { clock, led, memory, pushed }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('send' as const), key: fc.nat(9) }) },
  fc.record({ what: fc.constant('answer' as const), key: fc.nat(9), bytes: fc.nat(150) }),
  fc.record({ what: fc.constant('lose' as const), key: fc.nat(9) }),
  fc.record({ what: fc.constant('cancel' as const), key: fc.nat(9) }),
  fc.record({ what: fc.constant('pass' as const), ms: fc.nat(700) }),
  fc.record({ what: fc.constant('lead' as const) }),
  fc.record({ what: fc.constant('elsewhere' as const), key: fc.nat(9) }),
)

/** Some keys belong to one client. */
const ownerOf = (key: number) => `192.0.2.${key % 4}`

/** A request takes at most TRANSIT_MS on its way. The sender's clock differs from the leader's. */
test('whatever happens, bounds hold and what was sent before is never executed again', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(step, fc.nat(TRANSIT_MS)), { maxLength: 80 }),
      fc.integer({ min: -600_000, max: 600_000 }),
      (steps, aheadMs) => {
        const { clock, led, memory } = setUp()
        const firstSent = new Map<
          string,
          { readonly incarnation: string; readonly sentMs: number }
        >()
        const executed = new Set<string>()
        for (const [given, onItsWayMs] of steps) {
          if (given.what === 'pass') clock.now += given.ms
          else if (given.what === 'lead') led.id += 'x'
          else {
            const key = String(given.key)
            if (given.what === 'send') {
              const sentMs = clock.now + aheadMs
              clock.now += onItsWayMs
              const first = firstSent.get(key)
              if (!first) firstSent.set(key, { incarnation: led.id, sentMs })
              const before = first && {
                incarnation: first.incarnation,
                agoMs: sentMs - first.sentMs,
              }
              try {
                if (memory.find(key, ownerOf(given.key), before) === undefined) {
                  memory.begin(key, ownerOf(given.key))
                  assert.equal(executed.has(key), false, `${key} was executed before`)
                  executed.add(key)
                }
              } catch (error) {
                const code = keyOf(error)
                assert.ok(code === 'OUTCOME_UNKNOWN' || code === 'TOO_MANY_REQUESTS', String(error))
              }
            } else if (given.what === 'elsewhere') {
              // Another node, with an incarnation of its own.
              if (firstSent.has(key)) continue
              firstSent.set(key, { incarnation: 'other', sentMs: clock.now + aheadMs })
              executed.add(key)
            } else if (given.what === 'answer') memory.end(key, { answer: answerOf(given.bytes) })
            else if (given.what === 'lose') memory.end(key, { lost: 'cut' })
            else if (memory.find(key, ownerOf(given.key), undefined) && executed.has(key)) {
              const before = memory.size
              memory.cancel(key)
              if (memory.size < before) executed.delete(key)
            }
          }
          assert.ok(memory.size <= MAX_ANSWERS && memory.bytes >= 0 && memory.bytes <= MAX_BYTES)
        }
      },
    ),
    { numRuns: 2000 },
  )
})

const endingOf = async (known: Execution | undefined) => known && Object.keys(await known.ending)[0]

test('an answer is given until it is too old; then the outcome is unknown', async () => {
  const { clock, memory } = setUp()
  const agoMs = () => clock.now - 1_000_000
  const first = memory.begin('a', ME)
  assert.equal(memory.find('a', ME, { incarnation: 'x', agoMs: agoMs() }), first)
  memory.end('a', { answer: answerOf(3) })
  memory.end('a', { lost: 'late' })
  memory.cancel('a')
  assert.deepEqual(await first.ending, { answer: answerOf(3) })
  clock.now += 999
  assert.equal(memory.find('a', ME, { incarnation: 'x', agoMs: agoMs() }), first)
  assert.equal(memory.bytes, EMPTY_BYTES + 3)
  clock.now += 1
  assert.throws(() => memory.find('a', ME, { incarnation: 'x', agoMs: agoMs() }), {
    key: 'OUTCOME_UNKNOWN',
  })
  assert.equal(
    await endingOf(memory.find('a', ME, undefined)),
    'lost',
    'that is remembered in its place',
  )
  assert.equal(memory.size, 1)
  assert.equal(
    memory.find('c', ME, undefined),
    undefined,
    'a request that was never sent is a new one',
  )
  const reachMs = agoMs() - TRANSIT_MS
  assert.throws(() => memory.find('b', ME, { incarnation: 'x', agoMs: reachMs }), {
    key: 'OUTCOME_UNKNOWN',
  })
  assert.equal(memory.find('d', ME, { incarnation: 'x', agoMs: reachMs - 1 }), undefined)
})

test('a request that was sent to another incarnation may have been executed', async () => {
  const { led, memory } = setUp()
  const long = { incarnation: 'x', agoMs: 5_000_000 }
  assert.equal(
    memory.find('a', ME, long),
    undefined,
    'nothing was forgotten, however long ago it was sent',
  )
  led.id = 'y'
  for (const [key, first] of [
    ['b', long],
    ['c', { incarnation: 'x', agoMs: 0 }],
    ['d', { incarnation: '', agoMs: 0 }],
  ] as const) {
    assert.throws(() => memory.find(key, ME, first), { key: 'OUTCOME_UNKNOWN' })
    assert.equal(
      await endingOf(memory.find(key, ME, undefined)),
      'lost',
      'whoever sends it again is told the same',
    )
  }
  const known = memory.begin('a', ME)
  assert.equal(memory.find('a', ME, long), known)
})

test('an answer of an earlier incarnation holds if its write is in the history', () => {
  const { led, memory } = setUp()
  const [early, late, untold] = ['early', 'late', 'untold'].map((key) => memory.begin(key, ME))
  for (const key of ['early', 'late', 'untold']) memory.end(key, { answer: answerOf(1) })
  memory.settle('early', 7)
  memory.settle('early', 9)
  memory.settle('late', 9)
  const held = () => [early, late, untold].map((each) => memory.holds(each))
  assert.deepEqual(held(), [true, true, true])
  // Another node led from 7 on, and this one after it.
  led.id = 'y'
  led.lasting.add('x@7')
  memory.settle('untold', 7)
  assert.deepEqual(held(), [true, false, false])
})

test('executions under way are never forgotten, the oldest answer is', async () => {
  const { clock, memory } = setUp()
  for (const key of ['a', 'b', 'c', 'd', 'e']) memory.begin(key, ME)
  assert.throws(() => memory.begin('f', ME), { key: 'TOO_MANY_REQUESTS' })
  clock.now += 5000
  assert.equal(memory.find('zz', ME, undefined), undefined)
  assert.equal(memory.size, 5)
  memory.end('c', { answer: answerOf(1) })
  memory.begin('f', ME)
  assert.equal(memory.find('c', ME, undefined), undefined)
  assert.ok(memory.find('a', ME, undefined))
})

test('the client that takes most loses first, by number and by size', () => {
  const { memory, pushed } = setUp()
  const answered = (key: string, client: string, bytes: number) => {
    memory.begin(key, client)
    memory.end(key, { answer: answerOf(bytes) })
  }
  const isKept = (key: string) => memory.find(key, ME, undefined) !== undefined
  answered('honest', 'honest', 5)
  for (let i = 0; i < 100; i++) answered(`throwaway ${i}`, 'attacker', 0)
  assert.deepEqual(
    [memory.size, isKept('honest'), isKept('throwaway 99')],
    [MAX_ANSWERS, true, true],
  )
  assert.deepEqual(pushed, { number: 96, size: 0 })
  answered('large', 'large', 3 * EMPTY_BYTES)
  assert.ok(isKept('honest') && memory.bytes <= MAX_BYTES && pushed.size > 0)
  answered('another', 'another', 0)
  assert.ok(isKept('honest') && isKept('another'))

  for (let i = 0; memory.size < MAX_ANSWERS; i++) answered(`fill ${i}`, 'filler', 0)
  const begin = (key: string) => memory.begin(key, 'greedy')
  assert.throws(
    () => {
      for (let i = 0; i < 100; i++) begin(`under way ${i}`)
    },
    { key: 'TOO_MANY_REQUESTS' },
  )
  assert.ok(isKept('honest') && isKept('another'), 'nobody who has less makes room for it')
})

test("what the store forgot of one client says nothing of another's", () => {
  const { clock, memory } = setUp()
  clock.now += 500
  for (let i = 0; i < 100; i++) {
    memory.begin(`throwaway ${i}`, 'attacker')
    memory.end(`throwaway ${i}`, { answer: answerOf(0) })
  }
  const sent = { incarnation: 'x', agoMs: 200 }
  assert.equal(memory.find('mine', ME, sent), undefined, 'it was not executed')
  assert.throws(() => memory.find('throwaway 0', 'attacker', sent), { key: 'OUTCOME_UNKNOWN' })
  clock.now += 1001
  memory.find('mine', ME, undefined)
  assert.equal(memory.size, 0)
  const long = { incarnation: 'x', agoMs: 1201 }
  assert.throws(() => memory.find('throwaway 0', 'attacker', long), { key: 'OUTCOME_UNKNOWN' })
})

test('a cancelled key is free, and requests that waited for it are told', async () => {
  const { memory } = setUp()
  const execution = memory.begin('a', ME)
  memory.cancel('a')
  assert.equal(await execution.ending, 'notExecuted')
  assert.equal(memory.find('a', ME, { incarnation: 'x', agoMs: 1 }), undefined)
})

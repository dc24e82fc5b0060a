/** Which secrets are good and which signs, for any clocks, rotations and absences. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isGivenLasting, SETTLE_MS, secretsInForce } from '../../src/cluster/secretsInForce.ts'
import { withNewSecret, withSecret } from '../../src/cluster/trustChanges.ts'
import { mergeTrust } from '../../src/cluster/trustMerge.ts'
import { emptyTrust, MAX_SECRETS, type TrustRecord } from '../../src/cluster/trustRecord.ts'
import { secretId } from '../../src/security/clusterSecrets.ts'

const GIVEN = 'the secret from the environment'
const MINUTE_MS = 60_000
const OVERLAP_MS = 5 * MINUTE_MS
const START_MS = 1_000_000_000
/** Two clocks differ by at most twice that. */
const SKEW_MS = 30_000
/** A member may hear of a new secret so much later without that one request is refused. */
const ABSENCE_MS = SETTLE_MS - 2 * SKEW_MS - 1

function rotated(record: TrustRecord, secret: string, nowMs: number, overlapMs = OVERLAP_MS) {
  const given = { id: secretId(GIVEN), secret: GIVEN }
  return withNewSecret(record, { id: secretId(secret), secret, given, overlapMs }, nowMs)
}

function named(index: number): string {
  return `secret number ${index} of the cluster`
}

test('alone the given one is good; after a rotation it signs until the new one settles', () => {
  const empty = emptyTrust('c')
  assert.deepEqual(secretsInForce(undefined, empty, START_MS).good, [])
  assert.deepEqual(secretsInForce(GIVEN, empty, START_MS).good, [GIVEN])
  const record = rotated(empty, named(1), START_MS)
  const at = (ms: number) => secretsInForce(GIVEN, record, START_MS + ms)
  assert.deepEqual(at(0).good, [GIVEN, named(1)])
  for (const ms of [0, SETTLE_MS]) assert.equal(at(ms).oldest, GIVEN)
  assert.equal(at(0).nextChangeMs, START_MS + SETTLE_MS)
  assert.deepEqual(at(SETTLE_MS).good, [named(1), GIVEN])
  assert.equal(at(SETTLE_MS).nextChangeMs, START_MS + OVERLAP_MS)
  assert.deepEqual(at(OVERLAP_MS).good, [named(1)])
  assert.deepEqual(at(OVERLAP_MS).ended, [GIVEN])
  assert.equal(at(OVERLAP_MS).nextChangeMs, Infinity)
  assert.deepEqual([isGivenLasting(GIVEN, empty), isGivenLasting(GIVEN, record)], [true, false])
})

test('a given secret that ended stays so when the record has dropped it', () => {
  let record = emptyTrust('c')
  for (let index = 1; index <= MAX_SECRETS + 2; index++)
    record = rotated(record, named(index), START_MS + index * OVERLAP_MS * 2)
  assert.ok(!record.secrets.some(({ id }) => id === secretId(GIVEN)))
  const { good, ended } = secretsInForce(GIVEN, record, START_MS * 2)
  assert.deepEqual(good, [named(MAX_SECRETS + 2)])
  assert.ok(ended.includes(GIVEN))
  assert.ok(!isGivenLasting(GIVEN, record))
})

test('a given secret that another node writes down later stays at its end', () => {
  const ended = rotated(emptyTrust('c'), named(1), START_MS)
  for (const createdAt of [0, START_MS + 1, START_MS + OVERLAP_MS]) {
    const entry = { id: secretId(GIVEN), secret: GIVEN, createdAt }
    const written = withSecret(emptyTrust('c'), entry)
    for (const record of [
      mergeTrust(ended, written),
      mergeTrust(written, ended),
      withSecret(ended, entry),
    ]) {
      const { good } = secretsInForce(GIVEN, record, START_MS + OVERLAP_MS)
      assert.deepEqual(good, [named(1)])
      assert.ok(!isGivenLasting(GIVEN, record))
    }
  }
})

interface Step {
  readonly afterMs: number
  readonly by: number
  readonly to: number
  readonly isRotation: boolean
  readonly overlapMs: number
}

const STEPS = fc.array(
  fc.record<Step>({
    afterMs: fc.integer({ min: 0, max: 4 * MINUTE_MS }),
    by: fc.nat(3),
    to: fc.nat(3),
    isRotation: fc.boolean(),
    overlapMs: fc.integer({ min: OVERLAP_MS, max: 10 * OVERLAP_MS }),
  }),
  { maxLength: 12 },
)
const CLOCKS = fc.array(fc.integer({ min: -SKEW_MS, max: SKEW_MS }), { minLength: 4, maxLength: 4 })

/** Members by what they know; each step a rotation by one of them, or a contact of two. */
function play(steps: readonly Step[], clocks: readonly number[]) {
  const records = clocks.map(() => emptyTrust('c'))
  let nowMs = START_MS
  let made = 0
  for (const { afterMs, by, to, isRotation, overlapMs } of steps) {
    nowMs += afterMs
    if (isRotation && made < MAX_SECRETS - 2)
      records[by] = rotated(records[by], named(++made), nowMs + clocks[by], overlapMs)
    const both = mergeTrust(records[by], records[to])
    records[by] = both
    records[to] = both
  }
  return { records, nowMs }
}

test('whatever happened, a cluster with a secret never becomes open', () => {
  fc.assert(
    fc.property(STEPS, CLOCKS, fc.nat(20 * OVERLAP_MS), (steps, clocks, laterMs) => {
      const { records, nowMs } = play(steps, clocks)
      for (const [at, record] of records.entries()) {
        const ownMs = nowMs + laterMs + clocks[at]
        const { good, ended, nextChangeMs } = secretsInForce(GIVEN, record, ownMs)
        assert.ok(good.length > 0)
        assert.ok(nextChangeMs > ownMs)
        assert.ok(!good.some((secret) => ended.includes(secret)))
        assert.equal(new Set(good).size, good.length)
      }
    }),
  )
})

test('two that know the same: the receiver takes what the sender signs, for ever after', () => {
  fc.assert(
    fc.property(STEPS, CLOCKS, fc.nat(20 * OVERLAP_MS), (steps, clocks, laterMs) => {
      const { records, nowMs } = play(steps, clocks)
      const record = records.reduce(mergeTrust)
      const [signs] = secretsInForce(GIVEN, record, nowMs + laterMs + clocks[0]).good
      const taken = secretsInForce(GIVEN, record, nowMs + laterMs + clocks[1]).good
      assert.ok(taken.includes(signs), `${signs} of ${taken.join()}`)
    }),
    { numRuns: 500 },
  )
})

test('who has not heard of a rotation for a minute is not refused, nor refuses', () => {
  fc.assert(
    fc.property(CLOCKS, fc.nat(ABSENCE_MS), (clocks, absentMs) => {
      const before = rotated(emptyTrust('c'), named(1), START_MS - 10 * OVERLAP_MS)
      const after = rotated(before, named(2), START_MS + clocks[0])
      const [signs] = secretsInForce(GIVEN, after, START_MS + absentMs + clocks[0]).good
      const there = secretsInForce(GIVEN, before, START_MS + absentMs + clocks[1]).good
      assert.ok(there.includes(signs))
      const here = secretsInForce(GIVEN, after, START_MS + absentMs + clocks[0]).good
      assert.ok(here.includes(there[0]))
    }),
  )
})

test('within the overlap the oldest good secret opens an exchange with who was away', () => {
  fc.assert(
    fc.property(CLOCKS, fc.nat(OVERLAP_MS - 2 * SKEW_MS - 1), (clocks, awayMs) => {
      const after = rotated(emptyTrust('c'), named(1), START_MS + clocks[0])
      const here = secretsInForce(GIVEN, after, START_MS + awayMs + clocks[1]).good
      const there = secretsInForce(GIVEN, emptyTrust('c'), START_MS + awayMs + clocks[2]).good
      assert.ok(here.includes(there[0]))
    }),
  )
})

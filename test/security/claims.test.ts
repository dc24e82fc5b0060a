/** How far the numbers of other nodes are believed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_AHEAD, MAX_COUNTED } from '../../proto/limits.ts'
import {
  type ClaimKind,
  Claims,
  isBelievable,
  type Known,
  unbelievableIn,
} from '../../src/security/claims.ts'

const number = fc.oneof(
  fc.nat(1000),
  fc.maxSafeNat(),
  fc.constantFrom(MAX_AHEAD, MAX_COUNTED, 2 ** 53 - 1),
)
const counted = fc.oneof(fc.nat(1000), fc.maxSafeNat()).map((value) => value % (MAX_COUNTED + 1))
const REASONABLE: Known = { epoch: 7, txid: 4711 }

function wrong(claim: object, known: Known = REASONABLE): string {
  const found = unbelievableIn(claim, known)
  return found ? `${found.kind} ${found.claimed}` : 'believed'
}

test('a number is believed up to 2^32 above the highest known, and never beyond 2^48', () => {
  for (const known of [1, 7, 2 ** 31, 2 ** 32, 2 ** 40]) {
    assert.equal(isBelievable(known + 2 ** 32, known), true, `${known} + 2^32`)
    assert.equal(isBelievable(known + 2 ** 32 + 1, known), false, `${known} + 2^32 + 1`)
    for (const lower of [0, 1, known - 1, known, known + 1])
      assert.equal(isBelievable(lower, known), true, `${lower} where ${known} is known`)
  }
  for (const known of [2 ** 48 - 1, 2 ** 48]) {
    assert.equal(isBelievable(2 ** 48, known), true)
    assert.equal(isBelievable(2 ** 48 + 1, known), false)
  }
})

test('a node that knows none yet believes any up to 2^48', () => {
  for (const claimed of [0, 1, 2 ** 32 + 1, 2 ** 48]) assert.equal(isBelievable(claimed, 0), true)
  for (const claimed of [2 ** 48 + 1, 2 ** 53 - 1, 2 ** 53])
    assert.equal(isBelievable(claimed, 0), false)
})

test('what is no count is never believed', () => {
  for (const known of [0, 7])
    for (const claimed of [
      -1,
      0.5,
      7.5,
      Number.NaN,
      1e300,
      Infinity,
      -Infinity,
      '7',
      null,
      true,
      [7],
    ])
      assert.equal(isBelievable(claimed, known), false, `${claimed} where ${known} is known`)
})

test('who believes a number believes every lower one, and so does who knows more', () => {
  fc.assert(
    fc.property(number, number, counted, counted, (a, b, c, d) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)]
      const [less, more] = [Math.min(c, d) + 1, Math.max(c, d) + 1]
      if (isBelievable(high, less)) assert.ok(isBelievable(low, less))
      if (isBelievable(low, less)) assert.ok(isBelievable(low, more))
    }),
  )
})

test('one above whatever is believed can be counted, and is believed by who knows that', () => {
  fc.assert(
    fc.property(number, counted, (claimed, known) => {
      if (!isBelievable(claimed, known)) return
      assert.ok(Number.isSafeInteger(claimed + 1))
      if (claimed < MAX_COUNTED) assert.ok(isBelievable(claimed + 1, Math.max(claimed, known, 1)))
    }),
  )
})

test('one liar moves a node by 2^32 at a time', () => {
  fc.assert(
    fc.property(fc.array(number, { maxLength: 50 }), (claims) => {
      let known = 1
      for (const claimed of claims)
        if (isBelievable(claimed, known)) known = Math.max(known, claimed)
      assert.ok(known <= 1 + claims.length * MAX_AHEAD)
    }),
  )
})

test('every field of a message or an answer that holds an epoch or a txid is judged', () => {
  const far = 2 ** 32 + 5000
  for (const name of ['epoch', 'highestEpoch', 'term', 'afterEpoch', 'positionEpoch'])
    assert.equal(wrong({ db: 'main', txid: 1, [name]: far }), `epoch ${far}`, name)
  for (const name of ['txid', 'fromTxid', 'durableTxid'])
    assert.equal(wrong({ db: 'main', epoch: 1, [name]: far }), `txid ${far}`, name)
  const trail = (txid: number) => `0123456789abcdef@12 00000000000000ff@${txid}`
  assert.equal(wrong({ epoch: 7, history: trail(11) }), 'believed')
  assert.equal(wrong({ epoch: 7, history: trail(far) }), `txid ${far}`)
  assert.equal(wrong({ pages: far, walBytes: 2 ** 53 - 1, timeMs: 1e15 }), 'believed')
  assert.equal(wrong({}), 'believed')
})

test('a position in an answer counts only within reach', () => {
  const counted: ClaimKind[] = []
  const claims = new Claims(
    () => REASONABLE,
    (kind) => counted.push(kind),
  )
  assert.deepEqual(claims.positionIn('8-4712'), { epoch: 8, txid: 4712 })
  for (const text of [
    undefined,
    '',
    '8',
    '8-',
    '-8-1',
    '8-1.5',
    '8-1\n',
    '8-1e3',
    `8-${'9'.repeat(16)}`,
  ])
    assert.equal(claims.positionIn(text), undefined, text)
  assert.deepEqual(counted, [])
  for (const text of ['999999999999999-1', '8-999999999999999', `${2 ** 32 + 8}-1`])
    assert.equal(claims.positionIn(text), undefined, text)
  assert.deepEqual(counted, ['epoch', 'txid', 'epoch'])
})

test('each refusal is an error of the catalogue and is counted by its kind', () => {
  const counted: ClaimKind[] = []
  const known = { epoch: 3, txid: 0 }
  const claims = new Claims(
    () => known,
    (kind) => counted.push(kind),
  )
  claims.require({ epoch: 4, txid: 2 ** 40 })
  assert.throws(() => claims.require({ epoch: 2 ** 53 - 1 }), {
    code: 'WALCAST_CLAIM_REFUSED',
    message: /claims epoch 9007199254740991; this node knows none above 3 /,
  })
  known.txid = 10
  assert.equal(claims.refuse({ epoch: 4, txid: 2 ** 40 })?.key, 'CLAIM_REFUSED')
  claims.count('address')
  assert.deepEqual(counted, ['epoch', 'txid', 'address'])
})

/**
 * Who may lead: what speaks against a promotion, what it would lose, and which of two leaders gives
 * way.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Candidate, judge, type Peer } from '../../../src/roles/election/fitness.ts'
import { givesWay } from '../../../src/roles/election/precedence.ts'

const FIT: Candidate = {
  hasCopy: true,
  isSyncing: false,
  isTrusted: true,
  position: { epoch: 3, txid: 100 },
  leaderTxid: 100,
  stoodAt: undefined,
}
const peer = (epoch: number, txid: number): Peer => ({
  node: 'b',
  address: 'b:1',
  role: 'replica',
  epoch,
  txid,
})

test('a level replica may lead, and loses nothing', () => {
  assert.deepEqual(judge(FIT, [peer(3, 100), peer(3, 7), peer(2, 500)]), {
    isPossible: true,
    reasons: [],
    lost: null,
  })
})

test('a node without a copy cannot lead by any force', () => {
  const verdict = judge({ ...FIT, hasCopy: false }, [])
  assert.deepEqual([verdict.isPossible, verdict.reasons.length], [false, 1])
})

test('what the leader told of and is not here speaks against it, with its number', () => {
  const { isPossible, reasons, lost } = judge({ ...FIT, leaderTxid: 112 }, [])
  assert.deepEqual([isPossible, reasons.length, lost?.transactions], [true, 1, 12])
})

test('a node that has more speaks against it, and the furthest one is named', () => {
  const { reasons, lost } = judge(FIT, [peer(3, 104), { ...peer(3, 109), node: 'c' }])
  assert.equal(lost?.transactions, 9)
  assert.match(reasons.join(), /node c .* 3-109/)
})

test('where the copy once stood speaks against it with the number, until that is reached', () => {
  const behind = judge({ ...FIT, stoodAt: { epoch: 3, txid: 130 } }, [])
  assert.deepEqual([behind.reasons.length, behind.lost?.transactions], [1, 30])
  assert.equal(judge({ ...FIT, stoodAt: { epoch: 2, txid: 130 } }, []).lost, null)
})

test('of a higher epoch nobody can tell how much is lost', () => {
  assert.deepEqual(judge(FIT, [peer(4, 20)]).lost?.transactions, null)
})

test('a copy that is being repaired may lead by force only, and its loss is not known', () => {
  for (const candidate of [
    { ...FIT, isSyncing: true },
    { ...FIT, isTrusted: false },
    { ...FIT, isTrusted: false, leaderTxid: 140 },
  ]) {
    const { isPossible, reasons, lost } = judge(candidate, [])
    assert.ok(isPossible && reasons.length > 0)
    assert.equal(lost?.transactions, null)
  }
})

const positions = fc.record({ epoch: fc.nat(4), txid: fc.nat(20) })

test('whoever is fit has everything that any node that answered has', () => {
  fc.assert(
    fc.property(positions, fc.array(positions), fc.nat(20), (position, peers, leaderTxid) => {
      const { reasons } = judge(
        { ...FIT, position, leaderTxid },
        peers.map(({ epoch, txid }) => peer(epoch, txid)),
      )
      const hasAll =
        leaderTxid <= position.txid &&
        peers.every(
          ({ epoch, txid }) =>
            epoch < position.epoch || (epoch === position.epoch && txid <= position.txid),
        )
      assert.equal(reasons.length === 0, hasAll)
    }),
  )
})

test('of two leaders exactly one gives way, and the one that was promoted last stays', () => {
  const claims = fc.record({ node: fc.string({ minLength: 1 }), epoch: fc.nat(3), term: fc.nat(2) })
  fc.assert(
    fc.property(claims, claims, (a, b) => {
      fc.pre(a.node !== b.node)
      assert.notEqual(givesWay(a, b), givesWay(b, a))
      if (a.term > b.term || (a.term === b.term && a.epoch > b.epoch))
        assert.equal(givesWay(a, b), false)
    }),
  )
  assert.ok(
    givesWay({ node: 'a', epoch: 4, term: 4 }, { node: 'b', epoch: 4, term: 4 }),
    'the lower id gives way',
  )
})

/** What a rehearsal tells of a crash that did not happen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crashLoss, crashLossText } from '../../../src/console/page/crashLoss.ts'

const asked = { node: 'a', epoch: 2, txid: 10 }

test('a crash loses what the leader has and the other node lacks, whoever of them is asked', () => {
  const b = { node: 'b', epoch: 2, txid: 7 }
  assert.equal(crashLoss({ ...asked, members: [b] }, 'a', 'b'), 3)
  assert.equal(crashLoss({ ...b, members: [asked] }, 'a', 'b'), 3)
  assert.equal(crashLoss({ node: 'c', epoch: 1, txid: 1, members: [b, asked] }, 'a', 'b'), 3)
  // The replica told its position a moment later than the leader.
  assert.equal(crashLoss({ ...asked, members: [{ ...b, txid: 11 }] }, 'a', 'b'), 0)
})

test('it is unknown of a node that does not answer, and between epochs', () => {
  assert.equal(crashLoss({ ...asked, members: [] }, 'a', 'b'), null)
  assert.equal(crashLoss({ ...asked, members: [{ node: 'b' }] }, 'a', 'b'), null)
  const older = { node: 'b', epoch: 1, txid: 10 }
  assert.equal(crashLoss({ ...asked, members: [older] }, 'a', 'b'), null)
})

test('the loss in words', () => {
  const texts = [0, 1, 1234, null].map(crashLossText)
  const unknown = 'an unknown number of transactions'
  assert.deepEqual(texts, ['nothing', '1 transaction', '1,234 transactions', unknown])
})

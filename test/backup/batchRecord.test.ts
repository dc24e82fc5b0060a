/** The head of a record, and which states are the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeHead, isSameState, messageSum, parseHead } from '../../src/backup/batchRecord.ts'
import { A, B, headsOf, stand } from '../support/batchLogs.ts'

const HEADS = headsOf(stand(7, A, 2), stand(9, B, 3), [Buffer.from('one'), Buffer.from('two')])

test('a head is read as it was written', () => {
  for (const head of HEADS) assert.deepEqual(parseHead(encodeHead(head)), head)
  assert.equal(parseHead(encodeHead({ ...HEADS[0], timeMs: -5 }))?.timeMs, 0)
})

test('a head that was cut off or changed is none', () => {
  const whole = encodeHead(HEADS[1])
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      assert.equal(parseHead(whole.subarray(0, at)), undefined)
      const changed = Buffer.from(whole)
      changed[at] ^= flip
      assert.equal(parseHead(changed), undefined)
    }),
  )
})

test('a message is told from one that was changed', () => {
  assert.notEqual(messageSum(Buffer.from('one')), messageSum(Buffer.from('onf')))
})

test('a state is what it holds, whatever its history', () => {
  assert.equal(isSameState(stand(5, A), stand(5, B)), true)
  assert.equal(isSameState(stand(5), stand(6)), false)
  const other = { ...stand(5), checksum: '00000000000000ff' }
  assert.equal(isSameState(stand(5), other), false)
  const locked = { ...stand(5), checksum: '' }
  assert.equal(isSameState(stand(5), locked), true)
  assert.equal(isSameState(stand(5, B), locked), false)
})

/** Which snapshot is enough for what was asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SnapshotWish } from '../../src/backup/snapshotWish.ts'

const at = (txid: number, epoch = 1) => ({ epoch, txid })

test('a snapshot is enough when it has what is wanted', () => {
  const wish = new SnapshotWish()
  assert.equal(wish.now, undefined)
  wish.want()
  wish.onSnapshot(at(1), undefined)
  assert.equal(wish.now, undefined)
  wish.want(at(5))
  wish.onSnapshot(at(4), undefined)
  assert.deepEqual(wish.now, at(5))
  wish.want(at(3))
  wish.want()
  assert.deepEqual(wish.now, at(5), 'the newest of all that are wanted')
  wish.onSnapshot(at(5), undefined)
  assert.equal(wish.now, undefined)
})

test('one that was begun for what is wanted is enough wherever it is', () => {
  const wish = new SnapshotWish()
  wish.want(at(9))
  const begunFor = wish.now
  // A failover leaves txid 9 of epoch 1 behind: no snapshot will ever have it.
  wish.onSnapshot(at(8, 1), begunFor)
  assert.equal(wish.now, undefined)
  wish.want(at(9))
  const before = wish.now
  wish.want(at(10))
  wish.onSnapshot(at(9), before)
  assert.deepEqual(wish.now, at(10), 'what was asked for meanwhile is still wanted')
})

/** A snapshot beside the changes: when the next one may be taken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddedSnapshot } from '../../src/backup/addedSnapshot.ts'
import { WalcastError } from '../../src/errors.ts'
import { A } from '../support/batchLogs.ts'

const AT = { incarnation: A, epoch: 1, txid: 5, checksum: '0'.repeat(16) }

test('one that ended is not begun again at once, whatever ended it', async () => {
  for (const key of ['STOPPING', 'STARTING', 'DISK_FULL'] as const) {
    const now = { ms: 0 }
    let begun = 0
    const withSnapshot = async () => {
      begun++
      throw new WalcastError(key, { path: '/a' })
    }
    const parts = { withSnapshot, mark: assert.fail }
    const added = new AddedSnapshot(parts, assert.fail, () => now.ms)
    const take = () => added.take(assert.fail, assert.fail)
    let before = 0
    for (let i = 0; i < 8; i++) {
      assert.ok(added.mayTake(AT))
      await assert.rejects(take(), { key })
      assert.equal(added.mayTake(AT), false, key)
      const { retryMs = 0 } = added
      assert.ok(retryMs > before / 3, 'the pauses grow')
      before = retryMs
      now.ms += retryMs
      assert.equal(added.retryMs, undefined)
    }
    assert.equal(begun, 8)
    assert.ok(before > 4000 && before <= 30_000)
  }
})

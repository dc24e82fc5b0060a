import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOWHERE } from '../../proto/lineage.ts'
import { PositionWaits, reachFrom } from '../../src/api/positionWaits.ts'

const NOW = { epoch: 4, incarnation: '00000000000000a4', txid: 100 }

test('a position is reached, still to come, or unknown', () => {
  assert.equal(reachFrom(NOW, { epoch: 4, txid: 100 }, true), 'reached')
  assert.equal(reachFrom(NOW, { epoch: 4, txid: 101 }, true), 'ahead')
  const lineage = [
    {
      id: NOW.incarnation,
      epoch: 4,
      after: '00000000000000a3',
      afterEpoch: 3,
      txid: 99,
      leader: 'a',
      exact: true,
    },
  ]
  assert.equal(reachFrom(NOW, { epoch: 3, txid: 99 }, true, lineage), 'reached')
  assert.equal(
    reachFrom(NOW, { epoch: 3, txid: 100 }, true, lineage),
    'unknown',
    'a failover left it behind',
  )
  assert.equal(
    reachFrom(NOW, { epoch: 3, txid: 99 }, true),
    'unknown',
    'nothing is known of that epoch',
  )
  assert.equal(
    reachFrom(NOW, { epoch: 5, txid: 1 }, true),
    'unknown',
    'a leader is never behind its own epochs',
  )
  assert.equal(reachFrom(NOW, { epoch: 5, txid: 1 }, false), 'ahead')
})

test('a txid alone is of any epoch: reached or still to come', () => {
  assert.equal(reachFrom(NOWHERE, { epoch: undefined, txid: 1 }, false), 'ahead')
  assert.equal(reachFrom(NOW, { epoch: undefined, txid: 101 }, true), 'ahead')
  assert.equal(reachFrom(NOW, { epoch: undefined, txid: 100 }, true), 'reached')
})

test('a wait ends when its position comes or no longer can, and when the node stops', async () => {
  const now = { ...NOW }
  const waits = new PositionWaits(3, (target) => reachFrom(now, target, false))
  const reached = waits.until({ epoch: 4, txid: 101 }, 60_000)
  const lost = waits.until({ epoch: 4, txid: 500 }, 60_000)
  const later = waits.until({ epoch: undefined, txid: 500 }, 60_000)
  await assert.rejects(waits.until({ epoch: 4, txid: 102 }, 60_000), { key: 'TOO_MANY_WAITS' })
  now.txid = 101
  waits.onMoved()
  await reached
  assert.equal(waits.size, 2)
  now.epoch = 5
  waits.onMoved()
  await assert.rejects(lost, { key: 'POSITION_UNKNOWN' })
  waits.close()
  await assert.rejects(later, { key: 'STOPPING' })
})

test('a wait ends when who waits went away', async () => {
  const waits = new PositionWaits(3, (target) => reachFrom(NOW, target, false))
  const gone = new AbortController()
  const wait = waits.until({ epoch: 4, txid: 101 }, 60_000, gone.signal)
  gone.abort()
  await assert.rejects(wait, { key: 'CALLER_GONE' })
  assert.equal(waits.size, 0)
  const late = waits.until({ epoch: 4, txid: 101 }, 60_000, gone.signal)
  await assert.rejects(late, { key: 'CALLER_GONE' })
})

test('a wait is bounded in time', async () => {
  const waits = new PositionWaits(1, (target) => reachFrom(NOW, target, false))
  await assert.rejects(waits.until({ epoch: 4, txid: 101 }, 1), { key: 'WAIT_TIMEOUT' })
  assert.equal(waits.size, 0)
})

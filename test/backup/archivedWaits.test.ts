/** Writes that wait for the archive are told the truth, in whatever order things happen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArchivedWaits } from '../../src/backup/archivedWaits.ts'

const at = (txid: number, epoch = 3) => ({ epoch, txid })
const LONG_MS = 60_000

test('a wait ends once its position is archived, and at once when it is', async () => {
  const waits = new ArchivedWaits(10)
  const [early, later] = [waits.wait(at(5), LONG_MS), waits.wait(at(7), LONG_MS)]
  waits.reach(at(6))
  assert.deepEqual(await early, { reached: true, replicas: 0, end: 'reached' })
  assert.equal(waits.size, 1)
  assert.equal((await waits.wait(at(6), LONG_MS)).end, 'reached')
  waits.reach(at(8))
  assert.equal((await later).end, 'reached')
})

test('a position of another epoch is not reached by its number', async () => {
  const waits = new ArchivedWaits(10)
  waits.reach(at(100, 2))
  const wait = waits.wait(at(5), 1)
  assert.equal((await wait).end, 'timeout')
})

test('waits are bounded, and end with the lead', async () => {
  const waits = new ArchivedWaits(1)
  const wait = waits.wait(at(5), LONG_MS)
  assert.equal((await waits.wait(at(6), LONG_MS)).end, 'full')
  waits.endAll()
  assert.deepEqual(await wait, { reached: false, replicas: 0, end: 'ended' })
  waits.reach(at(9))
  waits.endAll()
  assert.equal((await waits.wait(at(5), 1)).end, 'timeout')
})

/** A node writes a place that stands still, though another one should. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StandIn } from '../../src/backup/standIn.ts'
import { stand } from '../support/batchLogs.ts'

const PATIENCE_MS = 60_000

test('a place that moves, or has all, is left to who writes it', () => {
  const standIn = new StandIn()
  for (let nowMs = 0; nowMs < 600_000; nowMs += 10_000) {
    const txid = 1 + Math.floor(nowMs / 50_000)
    assert.equal(standIn.look(stand(txid), stand(99), PATIENCE_MS, nowMs), false)
  }
  for (let nowMs = 600_000; nowMs < 900_000; nowMs += 10_000)
    assert.equal(standIn.look(stand(99), stand(99), PATIENCE_MS, nowMs), false)
  assert.equal(standIn.isOn(900_000), false)
})

test('a place that stands still is written for ten minutes, then looked at again', () => {
  const standIn = new StandIn()
  for (let nowMs = 0; nowMs < PATIENCE_MS; nowMs += 10_000)
    assert.equal(standIn.look(stand(1), stand(9), PATIENCE_MS, nowMs), false)
  assert.equal(standIn.look(stand(1), stand(9), PATIENCE_MS, PATIENCE_MS), true)
  assert.equal(standIn.isOn(PATIENCE_MS + 599_999), true)
  assert.equal(standIn.isOn(PATIENCE_MS + 600_000), false)
  assert.equal(standIn.look(stand(5), stand(9), PATIENCE_MS, PATIENCE_MS + 600_000), false)
  assert.equal(standIn.look(stand(5), stand(9), PATIENCE_MS, 2 * PATIENCE_MS + 600_000), true)
  standIn.end()
  assert.equal(standIn.isOn(2 * PATIENCE_MS + 600_000), false)
})

test('a place without a snapshot gets more time, and a node that never stands in waits', () => {
  const standIn = new StandIn()
  assert.equal(standIn.look(undefined, stand(9), PATIENCE_MS, 0), false)
  assert.equal(standIn.look(undefined, stand(9), PATIENCE_MS, 5 * PATIENCE_MS), false)
  assert.equal(standIn.look(undefined, stand(9), PATIENCE_MS, 10 * PATIENCE_MS), true)
  const never = new StandIn()
  for (const nowMs of [0, 1e12])
    assert.equal(never.look(stand(1), stand(9), Number.POSITIVE_INFINITY, nowMs), false)
})

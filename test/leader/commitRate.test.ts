import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitRate } from '../../src/leader/commitRate.ts'

test('commits a second, by whole windows', () => {
  const clock = { now: 1000, nowMs: () => clock.now }
  const rate = new CommitRate(clock)
  rate.onCommit(1_000_000)
  clock.now += 150
  assert.equal(rate.perSecond(), 0, 'commits before the first say nothing about speed')
  let txid = 1_000_000
  for (let i = 0; i < 200; i++) {
    clock.now += 2
    txid += 10
    rate.onCommit(txid)
  }
  assert.ok(Math.abs(rate.perSecond() - 5000) < 500, String(rate.perSecond()))
  clock.now += 60_000
  assert.ok(rate.perSecond() < 20)
  clock.now -= 120_000
  assert.equal(rate.perSecond(), 0, 'a clock that is set back')
})

/** When a checkpoint may stop the writers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FencePolicy } from '../../src/leader/fencePolicy.ts'

const LIMITS = { hardWalFrames: 1000, maxWalBytes: 64_000_000, fenceTimeoutMs: 100 }
const SMALL = { frames: 10, bytes: 40_000, commitsPerSecond: 10, mustMend: false }
const FAST = { frames: 1000, bytes: 4_000_000, commitsPerSecond: 10_000, mustMend: false }
const LARGE = { frames: 20_000, bytes: 80_000_000, commitsPerSecond: 10, mustMend: false }
const BLOCKED = { fencedMs: 10, yielded: false, isBlocked: true }
const DONE = { fencedMs: 1, yielded: false, isBlocked: false }

test('fast writers are fenced out while no process reads; past the maximum always', () => {
  const policy = new FencePolicy(LIMITS, true)
  assert.equal(policy.choose(SMALL, 0), 'never')
  assert.equal(policy.choose({ ...FAST, commitsPerSecond: 100 }, 0), 'never')
  assert.equal(policy.choose(FAST, 0), 'unless-read')
  assert.equal(policy.choose(LARGE, 0), 'always')
  assert.equal(policy.choose({ ...SMALL, mustMend: true }, 0), 'always')
  policy.onPass({ fencedMs: 1, yielded: true, isBlocked: false }, false, 0)
  assert.equal(policy.choose(FAST, 9_999), 'never', 'a process was seen reading')
  assert.equal(policy.choose(LARGE, 4), 'always', 'who gave way to readers does not rest for that')
  assert.equal(policy.choose(FAST, 10_000), 'unless-read')
})

test('where readers may be unseen, no writer is fenced out below the maximum size', () => {
  const policy = new FencePolicy(LIMITS, false)
  assert.equal(policy.choose(FAST, 0), 'never')
  assert.equal(policy.choose(LARGE, 0), 'always')
})

test('fences that readers make useless become rare, until a pass is complete', () => {
  const policy = new FencePolicy(LIMITS, true)
  let nowMs = 0
  const rests = () => {
    policy.onPass(BLOCKED, false, nowMs)
    const beganMs = nowMs
    while (!policy.mayFence(nowMs)) nowMs += 500
    return (nowMs - beganMs) / 1000
  }
  assert.deepEqual(Array.from({ length: 7 }, rests), [1, 2, 4, 8, 16, 32, 32])
  policy.onPass(DONE, true, nowMs)
  assert.equal(policy.mayFence(nowMs), true)
  assert.deepEqual([rests(), rests()], [1, 2])
  policy.onPass({ ...BLOCKED, fencedMs: 0 }, false, nowMs)
  assert.equal(policy.mayFence(nowMs), true, 'no fence was taken')
  policy.onPass(DONE, false, nowMs)
  assert.equal(policy.mayFence(nowMs + 4000), true, 'no reader was in its way')
})

test('after a fence that writers kept from its end: a pause 4 times as long, at most 1 s', () => {
  const policy = new FencePolicy(LIMITS, true)
  policy.onPass({ ...DONE, fencedMs: 12 }, false, 0)
  assert.deepEqual([policy.mayFence(47), policy.mayFence(48)], [false, true])
  policy.onPass({ ...DONE, fencedMs: 400 }, false, 1000)
  assert.deepEqual([policy.mayFence(1999), policy.mayFence(2000)], [false, true])
})

test('a WAL far past its maximum size is worth a longer stop, a huge transaction is not', () => {
  const policy = new FencePolicy(LIMITS, true)
  assert.deepEqual(policy.limits(LARGE), { fenceMs: 100, stopMs: 10, maxMissing: 4000 })
  const larger = { frames: 24_000, bytes: 96_000_000 }
  assert.deepEqual(policy.limits(larger), { fenceMs: 100, stopMs: 250, maxMissing: 24_000 })
  const { maxMissing } = policy.limits({ frames: 400_000, bytes: 1_600_000_000 })
  assert.equal(maxMissing, 24_000, 'however large the WAL is by then')
  policy.onPass(BLOCKED, false, 0)
  assert.equal(policy.limits(larger).stopMs, 10, 'a reader is in the way')
  policy.onPass(DONE, true, 0)
  assert.equal(policy.limits(larger).stopMs, 250)
})

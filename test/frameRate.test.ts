import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameRate } from '../src/leader/frameRate.ts'

test('frames a second, by whole windows, across WALs that are started over', () => {
  const clock = { now: 1000, nowMs: () => clock.now }
  const rate = new FrameRate(clock)
  rate.onFrames(5000)
  assert.equal(rate.perSecond(), 0, 'one large transaction is no speed')
  let frames = 5000
  for (let i = 0; i < 100; i++) {
    clock.now += 2
    frames = frames > 5100 ? 10 : frames + 10
    rate.onFrames(frames)
  }
  assert.ok(Math.abs(rate.perSecond() - 5000) < 500, String(rate.perSecond()))
  clock.now += 60_000
  assert.ok(rate.perSecond() < 20)
  clock.now -= 120_000
  assert.equal(rate.perSecond(), 0, 'a clock that is set back')
})

/** A leader that hears no replica closes, and opens again whatever became of the closing. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WalcastError } from '../../src/errors.ts'
import { type AloneLeader, IsolationFence } from '../../src/roles/isolationFence.ts'

const AFTER_MS = 1000
const STEP_MS = 50

/** `isStubborn`: a transaction keeps the fence from being taken. */
class FakeLeader implements AloneLeader {
  isFenced = false
  isClosed = false
  isStubborn = false
  closings = 0
  openings = 0

  async close(error: WalcastError): Promise<void> {
    assert.equal(error.key, 'LEADER_ALONE')
    this.closings++
    this.isClosed = true
    if (this.isStubborn) throw new WalcastError('FENCE_FAILED', { timeoutMs: 1000 })
    this.isFenced = true
  }

  async open(): Promise<void> {
    this.openings++
    this.isFenced = false
    this.isClosed = false
  }
}

/** `pass` lets time go by, with everything that it brings. */
function start(t: TestContext, leader: FakeLeader) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const world = { nowMs: 10_000, heardMs: 0 }
  const fence = new IsolationFence(AFTER_MS, {
    clock: { nowMs: () => world.nowMs },
    lastHeardMs: () => world.heardMs,
    fence: () => leader,
    inBackground: (_what, change) => void change().catch(() => {}),
  })
  t.after(() => fence.stop())
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      world.nowMs += STEP_MS
      t.mock.timers.tick(STEP_MS)
    }
  }
  return { fence, world, pass }
}

test('it closes after the time, and opens when a replica is heard of', (t) => {
  const leader = new FakeLeader()
  const { world, pass } = start(t, leader)
  pass(AFTER_MS)
  assert.equal(leader.closings, 0, 'it is given the time')
  pass(AFTER_MS)
  assert.deepEqual([leader.isFenced, leader.closings], [true, 1])
  world.heardMs = world.nowMs
  pass(AFTER_MS)
  assert.deepEqual([leader.isClosed, leader.closings, leader.openings], [false, 1, 1])
})

test('one whose fence could not be taken tries again, and opens too when a replica is heard of meanwhile', (t) => {
  const leader = new FakeLeader()
  leader.isStubborn = true
  const { world, pass } = start(t, leader)
  pass(3 * AFTER_MS)
  assert.ok(leader.closings >= 2)
  assert.deepEqual([leader.isClosed, leader.isFenced], [true, false])
  world.heardMs = world.nowMs
  pass(AFTER_MS)
  assert.deepEqual([leader.isClosed, leader.isFenced, leader.openings], [false, false, 1])
})

test('after it was stopped nothing is closed any more', (t) => {
  const leader = new FakeLeader()
  const { fence, pass } = start(t, leader)
  fence.stop()
  pass(10 * AFTER_MS)
  assert.equal(leader.closings, 0)
})

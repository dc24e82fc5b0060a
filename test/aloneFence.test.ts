/** A leader that hears no replica closes, and opens again whatever became of the closing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WalcastError } from '../src/errors.ts'
import { AloneFence, type AloneLeader } from '../src/node/aloneFence.ts'
import { until } from './support/until.ts'

const AFTER_MS = 1000

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

function start(leader: FakeLeader) {
  const world = { nowMs: 10_000, heardMs: 0 }
  const fence = new AloneFence(AFTER_MS, {
    clock: { nowMs: () => world.nowMs },
    lastHeardMs: () => world.heardMs,
    fence: () => leader,
    inBackground: (_what, change) => void change().catch(() => {}),
  })
  return { fence, world }
}

test('it closes after the time, and opens when a replica is heard of', async () => {
  const leader = new FakeLeader()
  const { fence, world } = start(leader)
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert.equal(leader.closings, 0, 'it is given the time')
  world.nowMs += AFTER_MS + 1
  await until('it is closed', () => leader.isFenced)
  world.heardMs = world.nowMs
  await until('it is open', () => !leader.isClosed)
  assert.deepEqual([leader.closings, leader.openings], [1, 1])
  fence.stop()
})

test('one whose fence could not be taken tries again, and opens too when a replica is heard of meanwhile', async () => {
  const leader = new FakeLeader()
  leader.isStubborn = true
  const { fence, world } = start(leader)
  await new Promise((resolve) => setTimeout(resolve, 300))
  world.nowMs += AFTER_MS + 1
  await until('it has tried twice', () => leader.closings >= 2)
  world.heardMs = world.nowMs
  await until('it is open', () => !leader.isClosed)
  assert.equal(leader.isFenced, false)
  assert.equal(leader.openings, 1)
  fence.stop()
})

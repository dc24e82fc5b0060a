/** A leader that hears no replica closes, and opens again whatever became of the closing. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { keyOf, WalcastError } from '../../src/errors.ts'
import type { RoleStepEnd } from '../../src/roles/state/roleEvents.ts'
import type { EngineOrder } from '../../src/roles/state/roleOrders.ts'
import { driveRoles, LEADING } from '../support/drivenRoles.ts'

const AFTER_MS = 1000
const STEP_MS = 50

/** `isStubborn`: a transaction keeps the fence from being taken. */
class FakeLeader {
  isFenced = false
  isStubborn = false
  closings = 0
  openings = 0

  carryOut(order: EngineOrder): RoleStepEnd | undefined {
    if (order.do === 'takeFence') {
      this.closings++
      if (this.isStubborn)
        return { type: 'failed', error: new WalcastError('FENCE_FAILED', { timeoutMs: 1000 }) }
      this.isFenced = true
    }
    if (order.do === 'admitWriters') {
      this.openings++
      this.isFenced = false
    }
    return undefined
  }
}

/** `pass` lets time go by, with everything that it brings. */
function start(t: TestContext, leader: FakeLeader) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const world = { nowMs: 10_000, heardMs: 0 }
  const { driver, facts, admission } = driveRoles({
    state: LEADING,
    facts: {
      rules: { switchoverTimeoutMs: 5000, fenceWhenAloneMs: AFTER_MS, givenLeader: undefined },
    },
    end: (order) => leader.carryOut(order),
  })
  void driver.start()
  const position = { epoch: 3, incarnation: '', txid: 9 }
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      world.nowMs += STEP_MS
      facts.nowMs = world.nowMs
      facts.led = { position, isFenced: leader.isFenced, lastHeardMs: world.heardMs }
      t.mock.timers.tick(STEP_MS)
      await turn()
    }
  }
  /** Requests are refused. */
  const isClosed = () => keyOf(admission.refuse()) === 'LEADER_ALONE'
  return { driver, world, pass, isClosed }
}

test('it closes after the time, and opens when a replica is heard of', async (t) => {
  const leader = new FakeLeader()
  const { world, pass, isClosed } = start(t, leader)
  await pass(AFTER_MS)
  assert.equal(leader.closings, 0, 'it is given the time')
  await pass(AFTER_MS)
  assert.deepEqual([leader.isFenced, leader.closings], [true, 1])
  assert.equal(isClosed(), true)
  world.heardMs = world.nowMs
  await pass(AFTER_MS)
  assert.deepEqual([isClosed(), leader.closings, leader.openings], [false, 1, 1])
})

test(
  'one whose fence could not be taken tries again, and opens too when a replica is heard of ' +
    'meanwhile',
  async (t) => {
    const leader = new FakeLeader()
    leader.isStubborn = true
    const { world, pass, isClosed } = start(t, leader)
    await pass(3 * AFTER_MS)
    assert.ok(leader.closings >= 2)
    assert.deepEqual([isClosed(), leader.isFenced], [true, false])
    world.heardMs = world.nowMs
    await pass(AFTER_MS)
    assert.deepEqual([isClosed(), leader.isFenced, leader.openings], [false, false, 1])
  },
)

test('after it was stopped nothing is closed any more', async (t) => {
  const leader = new FakeLeader()
  const { driver, pass } = start(t, leader)
  await driver.stop()
  await pass(10 * AFTER_MS)
  assert.equal(leader.closings, 0)
})

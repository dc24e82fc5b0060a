/**
 * A condition that is waited for: it is looked at when something happens, and never for too long.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Condition } from '../../src/proxy/condition.ts'

/** Against hanging only. */
const LONG_MS = 60_000

test('a condition that holds is not waited for', async () => {
  assert.equal(await new Condition().until(() => true, 0), true)
})

test('all who wait go on when it holds, and not when it does not yet', async () => {
  const condition = new Condition()
  let isReached = false
  let ended = 0
  const waits = [1, 2].map(async () => {
    assert.equal(await condition.until(() => isReached, LONG_MS), true)
    ended++
  })
  condition.notify()
  await new Promise(setImmediate)
  assert.equal(ended, 0)
  isReached = true
  condition.notify()
  await Promise.all(waits)
  assert.equal(ended, 2)
})

test('a wait that runs out of time says whether the condition holds by then', async () => {
  const condition = new Condition()
  let looks = 0
  const never = condition.until(() => {
    looks++
    return false
  }, 1)
  assert.equal(await never, false)
  const looked = looks
  condition.notify()
  assert.equal(looks, looked, 'a wait that is over is not looked at')
  let isUnheard = false
  const wait = condition.until(() => isUnheard, 1)
  isUnheard = true
  assert.equal(await wait, true)
})

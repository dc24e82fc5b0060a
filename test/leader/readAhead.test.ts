/**
 * How long capture waits for a slow replica within a transaction larger than history: not when
 * another pays for it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReadAhead } from '../../src/leader/readAhead.ts'
import { isCheckpointWaiting } from '../../src/sqlite/lockTable.ts'

function setUp() {
  const world = { nowMs: 1000, mayAdd: false, copyWaits: false, checkpointWaits: false, looks: 0 }
  const readAhead = new ReadAhead({
    clock: { nowMs: () => world.nowMs },
    mayAdd: () => world.mayAdd,
    isCopyWaiting: () => world.copyWaits,
    isCheckpointWaiting: () => {
      world.looks++
      return world.checkpointWaits
    },
    maxFramesBehind: 100,
  })
  const may = (publishedFrames: number, txid = 5) =>
    readAhead.may({ txid, bytes: 10, publishedFrames })
  return { world, may }
}

test('a slow replica is waited for while that costs others nothing', () => {
  const { world, may } = setUp()
  for (let frames = 1000; frames <= 1100; frames++) {
    assert.equal(may(frames), false)
    world.nowMs += 5000
  }
  world.mayAdd = true
  assert.equal(may(1100), true, 'it has taken something')
  world.mayAdd = false
  assert.equal(may(1100), false)
})

test('commits behind the transaction are bounded, for each transaction anew', () => {
  const { may } = setUp()
  assert.equal(may(1000), false)
  assert.equal(may(1100), false)
  assert.equal(may(1101), true)
  assert.equal(may(1101), true, 'to the end of the transaction')
  assert.equal(may(1500, 6), false)
  assert.equal(may(1601, 6), true)
})

test('a checkpoint that keeps all from writing is not kept waiting', () => {
  const { world, may } = setUp()
  for (let frames = 1000; frames < 1050; frames++) {
    assert.equal(may(frames), false)
    world.nowMs += 150
  }
  assert.equal(world.looks, 0, 'a process writes: there is none')
  for (let i = 0; i < 100; i++) {
    assert.equal(may(1049), false)
    world.nowMs += 10
  }
  assert.ok(world.looks >= 5 && world.looks <= 10, `${world.looks} looks within a second`)
  world.checkpointWaits = true
  world.nowMs += 100
  assert.equal(may(1049), true)
  world.checkpointWaits = false
  assert.equal(may(1049), true, 'to the end of the transaction')
})

test('the copy of another replica is not kept waiting', () => {
  const { world, may } = setUp()
  assert.equal(may(1000), false)
  world.copyWaits = true
  assert.equal(may(1000), true)
})

test('a waiting checkpoint is told from a writer, from a passive checkpoint and from both', () => {
  const lock = (pid: number, first: number, last = first, exclusive = true) => ({
    pid,
    first,
    last,
    exclusive,
  })
  const waiting = [
    undefined,
    [lock(7, 120), lock(7, 121)],
    [lock(7, 120, 121)],
    [lock(8, 123, 123, false), lock(7, 121), lock(7, 120)],
  ]
  for (const locks of waiting) assert.equal(isCheckpointWaiting(locks), true, JSON.stringify(locks))
  const others = [
    [],
    [lock(7, 120)],
    [lock(7, 121)],
    [lock(7, 120), lock(8, 121)],
    [lock(7, 120, 121, false)],
  ]
  for (const locks of others) assert.equal(isCheckpointWaiting(locks), false, JSON.stringify(locks))
})

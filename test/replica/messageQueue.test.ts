/** The queue of received messages: order, one at a time, holds, bounds and failures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '../../proto/codec.ts'
import { MessageQueue } from '../../src/replica/messageQueue.ts'

const MAX_BYTES = 200

function setUp() {
  const clock = { ms: 0, nowMs: () => clock.ms }
  const handled: number[] = []
  const failures: string[] = []
  const ends: (() => void)[] = []
  const world = { isSlow: false, drained: 0 }
  const queue = new MessageQueue(
    MAX_BYTES,
    {
      clock,
      onHeard() {},
      onMessage({ body }) {
        const { timeMs } = body as { readonly timeMs: number }
        handled.push(timeMs)
        if (timeMs < 0) throw new Error(`no ${timeMs}`)
        return world.isSlow ? new Promise<void>((resolve) => void ends.push(resolve)) : undefined
      },
    },
    {
      onFailed: (error) => void failures.push(String(error)),
      onDrained: () => void world.drained++,
    },
  )
  const take = (timeMs: number) => queue.take(encode('ping', { db: 'd', timeMs }), clock.ms)
  const endOne = async () => {
    ends.shift()?.()
    await queue.handled()
  }
  return { queue, handled, failures, world, take, endOne }
}

test('a message that finds the queue empty is handled at once', () => {
  const { queue, handled, world, take } = setUp()
  assert.equal(take(1), true)
  assert.equal(take(2), true)
  assert.deepEqual(handled, [1, 2])
  assert.deepEqual([queue.bytes, queue.isIdle, world.drained], [0, true, 0])
})

test('messages wait for the one before, in order, until the queue is full', async () => {
  const { queue, handled, world, take, endOne } = setUp()
  world.isSlow = true
  const bytes = encode('ping', { db: 'd', timeMs: 1 }).length
  const fits = Math.floor(MAX_BYTES / bytes)
  take(1)
  for (let i = 0; i < fits; i++) assert.equal(take(2 + i), true, `${i} wait`)
  assert.equal(take(2 + fits), false)
  assert.deepEqual([handled, queue.bytes, queue.hasRoom], [[1], (fits + 1) * bytes, false])
  for (let done = 1; done <= fits + 1; done++) {
    assert.equal(queue.isIdle, false)
    await endOne()
    assert.equal(handled.length, done + 1)
  }
  await endOne()
  assert.deepEqual(
    handled,
    handled.map((_, i) => i + 1),
  )
  assert.deepEqual([queue.bytes, queue.isIdle, queue.hasRoom], [0, true, true])
})

test('messages wait until every hold has ended, and each hold ends once', () => {
  const { queue, handled, take } = setUp()
  const [first, second] = [queue.hold(), queue.hold()]
  take(1)
  first()
  first()
  assert.deepEqual([handled, queue.isEmpty, queue.isIdle], [[], false, false])
  second()
  assert.deepEqual([handled, queue.isIdle], [[1], true])
})

test('a failure is reported, and what waits is the choice of the owner', async () => {
  const { queue, handled, failures, world, take, endOne } = setUp()
  take(-1)
  queue.take(Buffer.from('no message'), 0)
  assert.equal(failures.length, 2)
  assert.match(failures[0], /no -1/)
  world.isSlow = true
  take(1)
  take(2)
  queue.clear()
  await endOne()
  assert.deepEqual([handled, queue.bytes], [[-1, 1], 0])
})

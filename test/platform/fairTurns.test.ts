/** Turns of several askers: one that asks for much waits behind itself only. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FairTurns } from '../../src/platform/fairTurns.ts'

const LIMITS = { atOnce: 3, maxWaiting: 5, atOnceEach: 2, maxWaitingEach: 3 }

/** Asks; tells in `order` when it has its turn. */
function site() {
  const turns = new FairTurns(LIMITS)
  const order: string[] = []
  const leaves: (() => void)[] = []
  const ask = (asker: string) =>
    turns.take(asker).then((leave) => {
      order.push(leave ? asker : `${asker} refused`)
      if (leave) leaves.push(leave)
    })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { ask, order, leaves, settled }
}

test('one asker leaves turns to others, and waits in a line of its own', async () => {
  const { ask, order, leaves, settled } = site()
  for (let i = 0; i < 6; i++) void ask('greedy')
  await settled()
  assert.deepEqual(order, ['greedy', 'greedy', 'greedy refused'])
  // Three wait of greedy; one more of others has room.
  for (const asker of ['a', 'b', 'c', 'd']) void ask(asker)
  await settled()
  assert.deepEqual(order.slice(3), ['a', 'd refused'])
  leaves[0]()
  leaves[0]()
  await settled()
  assert.deepEqual(order.slice(5), ['greedy'])
  for (let i = 1; i < leaves.length; i++) {
    leaves[i]()
    await settled()
  }
  assert.deepEqual(order.slice(6), ['b', 'c', 'greedy', 'greedy'])
  for (let i = 0; i < 3; i++) void ask('d')
  await settled()
  assert.deepEqual(order.slice(10), ['d', 'd'], 'nothing is left of who has gone')
})

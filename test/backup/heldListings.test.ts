/** Lists that are given page by page: each of one moment, and few of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldListings } from '../../src/backup/heldListings.ts'
import { until } from '../support/until.ts'

const names = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `points/${i}`, bytes: 1 }))

test('a list is that of its reader and folder, until it ends', () => {
  const held = new HeldListings()
  const objects = names(3)
  const { id } = held.hold('a', 'points', objects)
  assert.equal(held.find('a', 'points', id)?.objects, objects)
  assert.equal(held.find('b', 'points', id), undefined)
  assert.equal(held.find('a', 'pins', id), undefined)
  assert.equal(held.find('a', 'points', ''), undefined)
  held.end(id)
  assert.deepEqual([held.find('a', 'points', id), held.size], [undefined, 0])
  held.end(id)
})

test('a reader has few lists, and all together are bounded', () => {
  const held = new HeldListings()
  const own = held.hold('own', 'points', names(1))
  const flood = Array.from({ length: 100 }, () => held.hold('many', 'points', names(1)))
  assert.equal(held.size, 3)
  assert.ok(held.find('own', 'points', own.id))
  assert.ok(held.find('many', 'points', flood[99].id))
  assert.equal(held.find('many', 'points', flood[97].id), undefined)
  for (let i = 0; i < 100; i++) held.hold(`reader ${i}`, 'points', names(1))
  assert.equal(held.size, 16)
  assert.equal(held.find('own', 'points', own.id), undefined, 'the oldest goes')
  const long = held.hold('long', 'points', Array(1_000_001).fill(names(1)[0]))
  assert.equal(held.size, 1, 'it takes the room of the others')
  assert.ok(held.find('long', 'points', long.id))
})

test('a list that nobody goes on with goes', async () => {
  const held = new HeldListings(1)
  held.hold('a', 'points', names(1))
  await until('it is gone', () => held.size === 0)
})

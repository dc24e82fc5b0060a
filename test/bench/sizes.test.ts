/** What the suites of many replicas and of large databases take, before they measure. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { requireDiskSpace } from '../../bench/diskSpace.ts'
import { parseOptions } from '../../bench/options.ts'
import { shapesOf } from '../../bench/suites/fanout.ts'
import { bytesFor } from '../../bench/suites/large.ts'

test('fanout runs each number of replicas, and the largest on two levels', () => {
  const shapes = (replicas: readonly number[], relays: number) =>
    shapesOf({ replicas, relays }).map((each) => [
      each.topology,
      each.replicas,
      each.relays,
      each.leavesEach,
    ])
  assert.deepEqual(shapes([1, 100], 10), [
    ['flat', 1, 0, 0],
    ['flat', 100, 0, 0],
    ['two levels', 100, 10, 9],
  ])
  assert.deepEqual(shapes([4], 10)[1], ['two levels', 4, 2, 1])
  assert.deepEqual(shapes([1], 10), [['flat', 1, 0, 0]])
})

test('parts not asked for need no disk; too small a disk is refused at once', async () => {
  const bytes = (...args: readonly string[]) => {
    const options = parseOptions(['large', ...args])
    assert.ok(options !== 'help')
    return bytesFor(options)
  }
  assert.equal(bytes(), 20e9)
  assert.equal(bytes('--parts', 'start'), 10e9)
  assert.equal(bytes('--parts', 'transaction,stopped'), 6e9)
  await assert.rejects(
    requireDiskSpace(tmpdir(), 1e18, 'take less'),
    /1000000000\.0 GB are needed .*: take less/,
  )
  await requireDiskSpace(tmpdir(), 1, '')
  assert.throws(() => parseOptions(['large', '--parts', 'start,nothing']), /nothing is not one of/)
})

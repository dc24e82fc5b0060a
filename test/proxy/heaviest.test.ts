/** Which of many owners takes most. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Heaviest } from '../../src/proxy/heaviest.ts'

test('the heaviest are those that a look at all of them finds', () => {
  const weighing = fc.array(fc.tuple(fc.nat(5), fc.nat(9)), { maxLength: 60 })
  fc.assert(
    fc.property(weighing, fc.nat(9), (steps, least) => {
      const heaviest = new Heaviest<{ weight: number }>()
      const owners = Array.from({ length: 6 }, () => ({ weight: 0 }))
      for (const [which, weight] of steps) heaviest.weigh(owners[which], weight)
      const weights = [...heaviest.from(least)].map(({ weight }) => weight)
      const all = owners
        .map(({ weight }) => weight)
        .filter((weight) => weight >= Math.max(1, least))
      assert.deepEqual(
        weights,
        all.sort((a, b) => b - a),
      )
    }),
  )
})

/** Of two processes with one node id, exactly one serves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Instance } from '../../src/cluster/instance.ts'

/** Two processes that started at these times of a common clock. */
function twins(firstMs: number, secondMs: number) {
  const clock = { ms: firstMs }
  const first = new Instance(() => clock.ms)
  clock.ms = secondMs
  const second = new Instance(() => clock.ms)
  /** Whether one yields to the other, whose answer is `callMs` old. */
  const yields = (one: Instance, other: Instance, callMs: number) => {
    const upMs = other.upMs
    clock.ms += callMs
    return one.yieldsTo({ instance: other.id, upMs })
  }
  return { first, second, yields, clock }
}

const upMs = fc.double({ min: 0, max: 1e9, noNaN: true })

test('each process has an id of its own, and knows its age', () => {
  const { first, second, clock } = twins(1000, 1250)
  assert.match(first.id, /^[0-9a-f]{16}$/)
  assert.notEqual(first.id, second.id)
  clock.ms += 50
  assert.deepEqual([first.upMs, second.upMs], [300, 50])
})

test('the process that starts over a second later yields, whoever asks, and only that one', () => {
  fc.assert(
    fc.property(
      upMs,
      fc.double({ min: 1001, max: 1e9, noNaN: true }),
      fc.nat(1e6),
      (bootMs, laterMs, runMs) => {
        const { first, second, yields, clock } = twins(bootMs, bootMs + laterMs)
        clock.ms += runMs
        assert.equal(yields(second, first, 0), true)
        assert.equal(yields(first, second, 0), false)
      },
    ),
  )
})

test('of two that start together exactly one yields, the one with the lower id', () => {
  fc.assert(
    fc.property(upMs, fc.double({ min: 0, max: 999, noNaN: true }), (bootMs, laterMs) => {
      const { first, second, yields } = twins(bootMs, bootMs + laterMs)
      const isFirst = first.id < second.id
      assert.equal(yields(first, second, 0), isFirst)
      assert.equal(yields(second, first, 0), !isFirst)
    }),
  )
})

test('a slow call never leaves both serving when they start further apart', () => {
  fc.assert(
    fc.property(
      upMs,
      fc.double({ min: 2001, max: 1e6, noNaN: true }),
      fc.nat(1000),
      (bootMs, laterMs, callMs) => {
        const { first, second, yields } = twins(bootMs, bootMs + laterMs)
        assert.equal(yields(second, first, callMs), true)
        assert.equal(yields(first, second, callMs), false)
      },
    ),
  )
})

test('at the edge of the bound exactly the later one yields once both are told', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 900, max: 1100, noNaN: true }),
      fc.double({ min: 0, max: 100, noNaN: true }),
      (laterMs, callMs) => {
        const { first, second, clock } = twins(0, laterMs)
        const seen = (other: Instance) => ({ instance: other.id, upMs: other.upMs })
        const [ofFirst, ofSecond] = [seen(first), seen(second)]
        clock.ms += callMs
        assert.equal(second.yieldsTo(ofFirst, true), true)
        assert.equal(first.yieldsTo(ofSecond, true), false)
      },
    ),
  )
})

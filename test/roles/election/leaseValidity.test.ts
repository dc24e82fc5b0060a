/** A lease ends here before it ends in the service, whatever the clocks and the network do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LeaseValidity } from '../../../src/roles/election/leaseValidity.ts'

const TTL_MS = 1000
/** Of a clock, by true time. */
const rates = fc.double({ min: 0.975, max: 1.025, noNaN: true })
const ttls = fc.integer({ min: 1000, max: 600_000 })
const delays = fc.double({ min: 0, max: 1e6, noNaN: true })
const starts = fc.double({ min: 0, max: 1e9, noNaN: true })

function leaseAt(sentMs: number, ttlMs = TTL_MS) {
  return { id: '1', ttlMs, sentMs }
}

test('it ends here before it ends in the service, for any delay and clocks 5 % apart', () => {
  fc.assert(
    fc.property(rates, rates, ttls, delays, starts, (here, there, ttlMs, delayMs, sentMs) => {
      const validity = new LeaseValidity(ttlMs)
      validity.hold(leaseAt(sentMs * here, ttlMs))
      const endsMs = sentMs + delayMs + ttlMs / there
      assert.ok(validity.untilMs / here < endsMs)
      assert.ok(validity.fenceMs < validity.untilMs, 'the write lock is taken before')
    }),
  )
})

test('an agreement ends for the leader before it ends for the member that gave it', () => {
  fc.assert(
    fc.property(rates, rates, ttls, delays, starts, (here, there, ttlMs, delayMs, sentMs) => {
      const validity = new LeaseValidity(ttlMs)
      validity.agree(sentMs * here, ttlMs)
      const agreedUntilMs = sentMs + delayMs + ttlMs / there
      assert.ok(validity.untilMs / here < agreedUntilMs)
    }),
  )
})

test('what was granted counts, not what was asked for', () => {
  const validity = new LeaseValidity(TTL_MS)
  validity.hold(leaseAt(0, 10_000))
  assert.equal(validity.untilMs, 9500)
})

test('members may agree before the lease has ended in the service, and after it', () => {
  const validity = new LeaseValidity(TTL_MS)
  validity.hold(leaseAt(0))
  validity.agree(500, TTL_MS)
  assert.equal(validity.untilMs, 1450)
  assert.equal(validity.isByAgreement(600), false)
  assert.equal(validity.isByAgreement(900), true)
  validity.endLease()
  assert.equal(validity.untilMs, 1450)
  assert.equal(validity.isByAgreement(600), true)
  validity.end()
  assert.equal(validity.untilMs, Number.NEGATIVE_INFINITY)
})

test('after a standstill nothing counts that was sent before it', () => {
  const validity = new LeaseValidity(TTL_MS)
  validity.hold(leaseAt(0))
  validity.agree(0, TTL_MS)
  validity.distrust(100)
  assert.equal(validity.untilMs, Number.NEGATIVE_INFINITY)
  assert.ok(validity.lease, 'it is renewed')
  validity.hold(leaseAt(99))
  assert.equal(validity.untilMs, Number.NEGATIVE_INFINITY)
  validity.agree(99, TTL_MS)
  assert.equal(validity.untilMs, Number.NEGATIVE_INFINITY)
  validity.hold(leaseAt(100))
  assert.equal(validity.untilMs, 1050)
})

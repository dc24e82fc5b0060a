/** The pause of role changes in the trust record. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_REASON_CHARS } from '../../src/api/rolePause.ts'
import { pauseIn, withoutPause, withPause } from '../../src/cluster/pauseSetting.ts'
import { withSetting } from '../../src/cluster/trustChanges.ts'
import { formatTrust, parseTrust } from '../../src/cluster/trustFormat.ts'
import { mergeTrust } from '../../src/cluster/trustMerge.ts'
import { emptyTrust } from '../../src/cluster/trustRecord.ts'

const NONE = emptyTrust('cluster-1')
const pause = { untilMs: 5000, by: 'anna@desk (10.0.0.9)', reason: 'a new disk' }

test('a pause holds from its word until its end', () => {
  const paused = withPause(NONE, 'node-a', pause, 1000)
  assert.deepEqual(pauseIn(paused, 1000), { ...pause, sinceMs: 1000 })
  assert.deepEqual(pauseIn(paused, 4999), { ...pause, sinceMs: 1000 })
  assert.equal(pauseIn(paused, 5000), undefined)
  assert.equal(pauseIn(NONE, 1000), undefined)
})

test('who ends a pause wins over it, however far behind its clock is', () => {
  const paused = withPause(NONE, 'node-a', pause, 1000)
  const resumed = withoutPause(paused, 'node-b', 10)
  for (const met of [mergeTrust(paused, resumed), mergeTrust(resumed, paused)])
    assert.equal(pauseIn(met, 1000), undefined)
  const again = withPause(resumed, 'node-b', { ...pause, reason: 'once more' }, 20)
  assert.equal(pauseIn(mergeTrust(paused, again), 1500)?.reason, 'once more')
})

test('a node that heard of no pause has none to end', () => {
  assert.equal(withoutPause(NONE, 'node-b', 10), NONE)
})

test('any words and times come through the file of a node, on one line each', () => {
  const times = fc.integer({ min: 0, max: 2 ** 45 })
  const words = fc.string({ unit: 'binary', maxLength: 300 })
  fc.assert(
    fc.property(times, words, words, times, (untilMs, by, reason, nowMs) => {
      const paused = withPause(NONE, 'node-a', { untilMs, by, reason }, nowMs)
      const read = parseTrust(formatTrust(paused))
      assert.deepEqual(read, paused)
      const found = pauseIn(read, 0)
      if (untilMs === 0) return void assert.equal(found, undefined)
      assert.ok(found)
      assert.ok(found.reason.length <= MAX_REASON_CHARS)
      assert.doesNotMatch(found.by + found.reason, /\p{Cc}/u)
    }),
  )
})

test('what another version or a mistake wrote there is no pause', () => {
  for (const value of ['', 'soon', '5000', '5000 anna', '-1 4 anna why', '5000 x anna']) {
    const record = withSetting(NONE, { name: 'role-changes-paused', value, by: 'node-a' }, 1)
    assert.equal(pauseIn(record, 1), undefined, value)
  }
})

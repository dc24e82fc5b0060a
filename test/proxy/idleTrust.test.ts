/** How long an idle connection may still be used: what is announced, kept, closed and lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { announcedSeconds, IdleTrust } from '../../src/proxy/idleTrust.ts'

test('until anything is known little is risked', () => {
  const trust = new IdleTrust(1000)
  assert.deepEqual([trust.keepMs, trust.sureMs(0)], [1000, 20])
})

test('half of what is announced counts', () => {
  const trust = new IdleTrust(1000)
  trust.onAnnounced(5)
  assert.deepEqual([trust.keepMs, trust.sureMs(0)], [2500, 2500])
  trust.onAnnounced(0)
  assert.deepEqual([trust.keepMs, trust.sureMs(0)], [2500, 2500], 'less than a second says nothing')
  trust.onAnnounced(999_999_999)
  assert.deepEqual([trust.keepMs, trust.sureMs(0)], [300_000, 300_000])
})

test('half of what was kept counts, until a connection closes earlier', () => {
  const trust = new IdleTrust(1000)
  trust.onKept(300)
  assert.equal(trust.sureMs(0), 150)
  trust.onKept(100)
  assert.equal(trust.sureMs(0), 150)
  trust.onClosed(200)
  assert.equal(trust.sureMs(0), 100)
  trust.onClosed(0.5)
  assert.equal(trust.sureMs(0), 0.25, 'a server that closes after each answer')
  trust.onKept(800)
  assert.equal(trust.sureMs(0), 400, 'it had only been started anew')
})

test('a server that closes earlier than it announces is not believed', () => {
  const trust = new IdleTrust(1000)
  trust.onAnnounced(5)
  trust.onClosed(200)
  trust.onAnnounced(5)
  assert.equal(trust.sureMs(0), 100)
})

test('a lost request counts for ten minutes, whatever is kept meanwhile', () => {
  const trust = new IdleTrust(1000)
  trust.onKept(1000)
  trust.onLost(100, 0)
  trust.onKept(1000)
  assert.equal(trust.sureMs(600_000), 50)
  assert.equal(trust.sureMs(600_001), 500)
  trust.onLost(5, 700_000)
  trust.onKept(1000)
  assert.equal(trust.sureMs(700_000), 500, 'a server that went away tells of no time-out')
})

test('never more than half of the shortest close since the last longer life', () => {
  const event = fc.record({
    what: fc.constantFrom('kept', 'closed', 'lost'),
    idleMs: fc.integer({ min: 0, max: 100_000 }),
  })
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const trust = new IdleTrust(1000)
      let model = 40
      for (const { what, idleMs } of events) {
        if (what === 'kept') trust.onKept(idleMs)
        else if (what === 'closed') trust.onClosed(idleMs)
        else trust.onLost(idleMs, 0)
        model = what === 'kept' ? Math.max(model, idleMs) : Math.min(model, idleMs)
        assert.ok(trust.sureMs(0) <= model / 2)
        assert.ok(trust.sureMs(0) <= trust.keepMs)
      }
    }),
  )
})

test('the seconds of a Keep-Alive header', () => {
  assert.equal(announcedSeconds('timeout=5'), 5)
  assert.equal(announcedSeconds('max=3, Timeout=72'), 72)
  for (const none of [undefined, '', 'max=3', 'xtimeout=5', 'timeout=', 'timeout=-1'])
    assert.equal(announcedSeconds(none), undefined)
})

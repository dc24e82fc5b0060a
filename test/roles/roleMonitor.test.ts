/** What a node does that has stood still while its role was being changed. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { pino } from 'pino'
import { Instance } from '../../src/cluster/instance.ts'
import { keyOf } from '../../src/errors.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { WriteGate } from '../../src/proxy/writeGate.ts'
import { RoleMonitor, type RoleMonitorHost } from '../../src/roles/roleMonitor.ts'

function setUp() {
  const node = { role: 'replica', isChanging: true, isStarting: false }
  const admission = new WriteGate(
    { maxHeld: 10, holdMs: 10_000, address: 'a:1' },
    { isLeading: () => node.role === 'leader', check() {} },
  )
  const changes: Promise<void>[] = []
  const watch = new RoleMonitor({
    setup: {
      options: { peerLookMs: 2000, peerTimeoutMs: 100, frozenMs: 2000 },
      log: pino({ level: 'silent' }),
    },
    clock: systemClock,
    members: { addresses: () => [], list: () => [] },
    admission,
    instance: new Instance(() => 0).id,
    twins: { onTwin() {}, tellApart() {}, requireOwn() {} },
    record: () => ({ cluster: 'c', node: 'n', epoch: 2, term: 2 }),
    address: () => 'a:1',
    engine: () => ({ role: node.role, replica: {} }),
    raiseAboveLost: async () => {},
    isChanging: () => node.isChanging,
    isStarting: () => node.isStarting,

    inBackground: (_what: string, change: () => Promise<void>) => changes.push(change()),
  } as unknown as RoleMonitorHost)
  return { node, admission, watch, changes }
}

test('a node that stood still in a change by which it comes to lead lets nobody write before it has asked', async (t) => {
  mock.timers.enable({ apis: ['Date'] })
  t.after(() => mock.timers.reset())
  const { node, admission, watch, changes } = setUp()
  mock.timers.setTime(60_000)
  watch.checkAlive()
  node.role = 'leader'
  admission.release('change')
  assert.equal(keyOf(admission.refuse()), 'SWITCHING')
  node.isChanging = false
  watch.onChanged()
  assert.equal(keyOf(admission.refuse()), 'SWITCHING', 'it is asking')
  await Promise.all(changes)
  assert.equal(admission.refuse(), undefined)
})

test('a node that stood still while it started asks before it lets anybody write', async (t) => {
  mock.timers.enable({ apis: ['Date', 'setInterval'] })
  t.after(() => mock.timers.reset())
  const { node, admission, watch, changes } = setUp()
  Object.assign(node, { isChanging: false, isStarting: true })
  mock.timers.setTime(60_000)
  watch.start()
  watch.checkAlive()
  assert.equal(admission.refuse(), undefined, 'what was before its start does not count')
  mock.timers.setTime(70_000)
  watch.checkAlive()
  Object.assign(node, { role: 'leader', isStarting: false })
  watch.onChanged()
  assert.equal(keyOf(admission.refuse()), 'SWITCHING', 'it is asking')
  await Promise.all(changes)
  assert.equal(admission.refuse(), undefined)
  await watch.stop()
})

test('one that follows in the end, or that changes nothing, keeps nothing held', () => {
  mock.timers.enable({ apis: ['Date'] })
  const { node, admission, watch } = setUp()
  mock.timers.setTime(60_000)
  watch.checkAlive()
  node.isChanging = false
  watch.onChanged()
  assert.equal(admission.refuse(), undefined)
  mock.timers.setTime(120_000)
  watch.checkAlive()
  assert.equal(admission.refuse(), undefined)
  mock.timers.reset()
})

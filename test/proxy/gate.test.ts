/**
 * The gate at which requests wait for the leader: it is bounded, opens at the first news, and
 * forgets no request.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { Gate } from '../../src/proxy/gate.ts'
import { until, within } from '../support/until.ts'

/** The waits here may take longer: a wait that ends sooner did not run out of time. */
const LESS_MS = 30_000

const NEVER = new AbortController().signal

function setUp(probe: () => Promise<boolean> = async () => false, maxHeld = 3) {
  const counted = { probes: 0 }
  const gate = new Gate({ maxHeld, probeMs: 5 }, () => {
    counted.probes++
    return probe()
  })
  return { gate, counted }
}

test('an open gate holds no request and probes nothing', async () => {
  const { gate, counted } = setUp(undefined, 0)
  assert.equal(await gate.wait(0, NEVER), true)
  assert.deepEqual([gate.isOpen, gate.held, counted.probes], [true, 0, 0])
})

test('a closed gate releases all when it opens, and says why it was closed', async () => {
  const { gate } = setUp()
  gate.close('it is stopping')
  assert.deepEqual([gate.isOpen, gate.reason], [false, 'it is stopping'])
  const waits = [gate.wait(60_000, NEVER), gate.wait(60_000, NEVER)]
  assert.equal(gate.held, 2)
  gate.open()
  assert.deepEqual(await Promise.all(waits), [true, true])
  assert.equal(gate.held, 0)
})

test('a gate that opens and closes at once releases those that waited', async () => {
  const { gate } = setUp()
  gate.close('away')
  const wait = gate.wait(60_000, NEVER)
  gate.open()
  gate.close('away again')
  // Otherwise the request would be given up long before its time.
  assert.equal(await within('the wait', wait, 1000), true)
  gate.stop()
})

test('no more requests wait than the bound allows', async () => {
  const { gate } = setUp(undefined, 2)
  gate.close('away')
  const waits = [gate.wait(60_000, NEVER), gate.wait(60_000, NEVER)]
  await assert.rejects(gate.wait(60_000, NEVER), { key: 'TOO_MANY_HELD' })
  gate.stop()
  assert.deepEqual(await Promise.all(waits), [false, false])
  assert.equal(gate.held, 0)
})

test('a wait ends with its time, its client or the node', async () => {
  const { gate } = setUp()
  gate.close('away')
  const gone = new AbortController()
  const timed = gate.wait(10, NEVER)
  const left = gate.wait(60_000, gone.signal)
  gone.abort()
  assert.equal(await within('the one whose client left', left, LESS_MS), false)
  assert.equal(await within('the one whose time is over', timed, LESS_MS), false)
  assert.equal(await gate.wait(60_000, gone.signal), false, 'its client left before')
  assert.equal(await gate.wait(0, NEVER), false)
  assert.equal(await gate.wait(-1, NEVER), false)
  const last = gate.wait(60_000, NEVER)
  gate.stop()
  assert.equal(await within('the stop', last, LESS_MS), false)
  assert.equal(await gate.wait(60_000, NEVER), false, 'after the stop')
  assert.equal(gate.held, 0)
})

test('the leader is probed while a request waits, by one probe at a time', async () => {
  let underWay = 0
  let most = 0
  const { gate, counted } = setUp(async () => {
    most = Math.max(most, ++underWay)
    await delay(8)
    underWay--
    return false
  })
  gate.close('away')
  await delay(40)
  assert.equal(counted.probes, 0)
  const gone = new AbortController()
  const waits = [gate.wait(60_000, gone.signal), gate.wait(60_000, gone.signal)]
  gate.close('away again')
  await until('probes', () => counted.probes >= 3)
  assert.equal(most, 1)
  gone.abort()
  await Promise.all(waits)
  await delay(20)
  const after = counted.probes
  await delay(40)
  assert.equal(counted.probes, after)
})

test('a successful probe releases also a request that came as probing ended', async () => {
  let isThere = false
  const { gate } = setUp(async () => isThere)
  for (let round = 0; round < 5; round++) {
    isThere = false
    gate.close('away')
    const wait = gate.wait(60_000, NEVER)
    await turn()
    isThere = true
    assert.equal(await within('the probe', wait, LESS_MS), true)
    gate.close('away again')
    isThere = true
    assert.equal(await within('the next probe', gate.wait(60_000, NEVER), LESS_MS), true)
  }
})

test('waiting leaves no listener behind on the signal', async () => {
  const { gate } = setUp(undefined, 100)
  const warnings: Error[] = []
  const onWarning = (warning: Error) => void warnings.push(warning)
  process.on('warning', onWarning)
  const { signal } = new AbortController()
  for (let i = 0; i < 30; i++) {
    gate.close('away')
    const wait = gate.wait(60_000, signal)
    gate.open()
    await wait
  }
  await turn()
  process.off('warning', onWarning)
  assert.deepEqual(warnings, [])
})

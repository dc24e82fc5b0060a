/**
 * What is believed of an application: the last word decides about requests, several looks in a row
 * decide what load balancers are told.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import type { Look } from '../../src/proxy/applicationProbe.ts'
import { ApplicationWatch } from '../../src/proxy/applicationWatch.ts'
import { until, within } from '../support/until.ts'

const WAITING = { gone: new AbortController().signal }
const later = () => performance.now() + 60_000

function setUp(more: { check?: string; everyMs?: number } = {}) {
  /** `complaint`: what its check answers while it accepts connections. */
  const world: { looks: (string | undefined)[]; whyNot?: string | undefined; complaint?: string } =
    {
      looks: [],
    }
  const look = async (_url: string, check: string | undefined): Promise<Look> => {
    world.looks.push(check)
    return { whyNot: world.whyNot ?? (check === undefined ? undefined : world.complaint) }
  }
  const watch = new ApplicationWatch(
    { maxHeld: 10, everyMs: more.everyMs ?? 5, fall: 3, rise: 2, check: more.check },
    { url: () => 'http://a:1', log: pino({ level: 'silent' }), look },
  )
  return { watch, world }
}

test('health changes after several looks in a row; the first look decides alone', async () => {
  const { watch, world } = setUp({ everyMs: 60_000 })
  const look = async () => {
    watch.begin()
    await until('the look is over', async () => world.looks.length > 0)
    world.looks = []
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(watch.status()?.state, 'unknown')
  assert.equal(watch.unwell(), undefined)
  await look()
  assert.equal(watch.isUp, true)
  world.whyNot = 'ECONNREFUSED'
  for (const isUp of [true, true, false]) {
    await look()
    assert.equal(watch.isUp, isUp)
  }
  assert.match(watch.unwell() ?? '', /ECONNREFUSED/)
  world.whyNot = undefined
  await look()
  assert.equal(watch.isUp, false)
  world.whyNot = 'ECONNREFUSED'
  await look()
  world.whyNot = undefined
  for (const isUp of [false, true]) {
    await look()
    assert.equal(watch.isUp, isUp)
  }
  watch.stop()
})

test('an application that comes up after its node is well at the next look', async () => {
  const { watch, world } = setUp({ everyMs: 3_600_000 })
  world.whyNot = 'ECONNREFUSED'
  watch.begin()
  await until('it is down', () => watch.unwell() !== undefined)
  world.whyNot = undefined
  await until('it is up', () => watch.isUp)
  const { length } = world.looks
  world.whyNot = 'ECONNREFUSED'
  watch.begin()
  await until('it is looked at', () => world.looks.length > length)
  assert.equal(watch.isUp, true, 'it has been up: one look that fails is not enough')
  watch.stop()
})

test('a new process is well at the first look or answer that succeeds', async () => {
  for (const comesUp of ['looked at', 'answers'] as const) {
    const { watch, world } = setUp({ check: '/health', everyMs: 3_600_000 })
    const failed = async () => {
      const { length } = world.looks
      watch.begin()
      await until('a look is over', () => world.looks.length > length)
      await new Promise((resolve) => setImmediate(resolve))
    }
    watch.onReached()
    assert.equal(watch.isUp, true, 'the first answer after the start of the node')
    world.whyNot = '/health answers 503'
    watch.started()
    for (const isUp of [true, true, false]) {
      // An answer of the process before says nothing of the new one.
      await failed()
      assert.equal(watch.isUp, isUp)
    }
    if (comesUp === 'looked at') world.whyNot = undefined
    else watch.onReached()
    await until('it is up', () => watch.isUp)
    watch.stop()
  }
})

test('an application with a check is not well because it accepts connections', async () => {
  const { watch, world } = setUp({ check: '/health', everyMs: 3_600_000 })
  world.complaint = '/health answers 503'
  watch.onUnreachable('ECONNRESET')
  await until('it takes requests', () => {
    watch.lookSoon()
    return watch.refuse(true) === undefined
  })
  watch.begin()
  await until('it is down', () => watch.unwell() !== undefined)
  assert.equal(watch.refuse(true), undefined)
  watch.stop()
})

test('no request waits after a stop', async () => {
  const { watch } = setUp({ everyMs: 60_000 })
  watch.suspend('it has ended')
  const wait = watch.wait(WAITING, later(), false)
  watch.stop()
  assert.equal(await within('the wait', wait), false)
  assert.equal(await watch.wait(WAITING, later(), true), false)
  assert.equal(watch.isStopped, true)
})

test('an application that answers requests is not looked at', async () => {
  const { watch, world } = setUp()
  let answers = 0
  const busy = setInterval(() => {
    answers++
    watch.onReached()
  }, 1)
  await until('it is up', () => watch.isUp)
  const before = world.looks.length
  const from = answers
  await until('it has answered more', () => answers >= from + 50)
  assert.ok(world.looks.length - before <= 1, 'one may have been under way')
  clearInterval(busy)
  await until('an idle one is looked at', () => world.looks.length > before + 2)
  watch.stop()
})

test('a refused request closes the gate, a look that succeeds opens it', async () => {
  const { watch, world } = setUp({ everyMs: 60_000 })
  world.whyNot = 'ECONNREFUSED'
  watch.onUnreachable('ECONNREFUSED')
  assert.equal(watch.refuse(false)?.key, 'APP_UNREACHABLE')
  const wait = watch.wait(WAITING, later(), false)
  await until('it is looked at', () => world.looks.length > 2)
  assert.deepEqual([watch.held, watch.heldTotal, watch.standing()], [1, 1, 'down'])
  world.whyNot = undefined
  assert.equal(await within('the wait', wait), true)
  assert.deepEqual([watch.refuse(true), watch.standing()], [undefined, 'up'])
  watch.stop()
})

test('writes wait for a process of the present role, reads do not', async () => {
  const { watch } = setUp({ everyMs: 60_000 })
  watch.onReached()
  watch.holdWrites('it is told of its new role')
  assert.equal(watch.refuse(false), undefined)
  assert.match(watch.refuse(true)?.message ?? '', /new role/)
  assert.equal(watch.standing(), 'down')
  const write = watch.wait(WAITING, later(), true)
  watch.started()
  assert.equal(await within('it goes on to wait for the connection', write), true)
  await until('it accepts', () => watch.refuse(true) === undefined)
  watch.stop()
})

test('only a new process ends a suspension, once its check says that it is ready', async () => {
  const { watch, world } = setUp({ check: '/health', everyMs: 60_000 })
  watch.suspend('it is being restarted')
  const wait = watch.wait(WAITING, later(), false)
  watch.onReached()
  watch.onUnreachable('ECONNREFUSED')
  assert.match(watch.refuse(false)?.message ?? '', /restarted/)
  assert.equal(world.looks.length, 0)
  world.whyNot = '/health answers 503'
  watch.started()
  await until('its check is asked', () => world.looks.length > 1)
  assert.equal(watch.refuse(false)?.key, 'APP_UNREACHABLE')
  world.whyNot = undefined
  assert.equal(await within('the wait', wait), true)
  assert.ok(world.looks.every((check) => check === '/health'))
  // From now on a check that complains does not hold up requests that can be served.
  watch.onUnreachable('ECONNRESET')
  await until('a connection is enough', () => {
    watch.lookSoon()
    return world.looks.at(-1) === undefined
  })
  watch.stop()
})

test('after a change of role waiting requests are decided anew', async () => {
  const { watch, world } = setUp({ everyMs: 60_000 })
  watch.onReached()
  assert.equal(watch.standing(), 'up')
  world.whyNot = 'ECONNREFUSED'
  watch.reconsider()
  assert.equal(watch.standing(), 'unknown')
  await until('it was looked at', () => watch.standing() === 'down')
  const wait = watch.wait(WAITING, later(), false)
  watch.reconsider()
  assert.equal(await within('the wait', wait), true)
  assert.equal(watch.refuse(false)?.key, 'APP_UNREACHABLE')
  watch.stop()
})

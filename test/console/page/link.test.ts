/** The page's connection to its node, under a clock of the test. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsoleSession, SessionAnswer } from '../../../src/api/consoleSession.ts'
import { NodeLink, type StreamHandlers } from '../../../src/console/page/link.ts'
import { Store } from '../../../src/console/page/store.ts'

const SESSION: ConsoleSession = { role: 'read', token: 'abc', expires: null }
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

function setUp() {
  const world = {
    nowMs: 0,
    session: SESSION as ConsoleSession | null,
    isUp: true,
    asked: [] as string[],
    streams: [] as (StreamHandlers & { isClosed: boolean })[],
    timers: [] as { atMs: number; then: () => void }[],
    /** Runs what is due until `toMs`. */
    async pass(ms: number) {
      const toMs = world.nowMs + ms
      for (;;) {
        const [next] = world.timers
          .filter(({ atMs }) => atMs <= toMs)
          .sort((a, b) => a.atMs - b.atMs)
        if (!next) break
        world.timers.splice(world.timers.indexOf(next), 1)
        world.nowMs = next.atMs
        next.then()
        await settled()
      }
      world.nowMs = toMs
    },
    say(event: string, data: object | null) {
      world.streams.at(-1)?.onEvent(event, JSON.stringify(data))
    },
  }
  const store = new Store()
  const link = new NodeLink({
    store,
    async ask(method, path): Promise<SessionAnswer> {
      world.asked.push(`${method} ${path}`)
      if (!world.isUp) throw new Error('away')
      return { node: 'a', isOpen: false, session: world.session }
    },
    open(_path, _events, handlers) {
      const stream = { ...handlers, isClosed: false }
      world.streams.push(stream)
      return {
        close() {
          stream.isClosed = true
        },
      }
    },
    nowMs: () => world.nowMs,
    setTimer(then, delayMs) {
      const timer = { atMs: world.nowMs + delayMs, then }
      world.timers.push(timer)
      return () => {
        world.timers = world.timers.filter((each) => each !== timer)
      }
    },
    random: () => 1,
  })
  return { world, store, link }
}

const clock = (world: { say(event: string, data: object): void }) =>
  world.say('clock', { at: '2026-01-01T00:00:00.000Z' })

test('the stream opens for whoever is logged in, and nobody else', async () => {
  const { world, store, link } = setUp()
  world.session = null
  await link.start()
  assert.equal(store.state.session, null)
  assert.equal(world.streams.length, 0)
  world.session = SESSION
  await link.login('wct_x')
  assert.equal(world.streams.length, 1)
  clock(world)
  assert.deepEqual(store.state.link, { is: 'live' })
  assert.equal(store.state.nowMs, Date.parse('2026-01-01T00:00:00.000Z'))
  await link.logout()
  assert.ok(world.streams[0].isClosed)
  assert.equal(store.state.session, null)
})

test('a node that goes away is missed since then, and what it told is kept', async () => {
  const { world, store, link } = setUp()
  await link.start()
  clock(world)
  world.say('node', { node: 'a', role: 'replica' })
  world.isUp = false
  world.nowMs = 1000
  world.streams[0].onEnd()
  const away = () => {
    const { link: now } = store.state
    assert.ok(now.is === 'away')
    return now
  }
  assert.equal(away().sinceMs, 1000)
  await world.pass(60_000)
  assert.equal(away().sinceMs, 1000)
  assert.equal(store.state.status?.role, 'replica')
  // Ever more rarely, up to a bound.
  const tries = world.asked.length
  assert.ok(tries > 6 && tries < 15, `${tries}`)
  assert.ok(away().nextTryMs - world.nowMs <= 10_000)
  world.isUp = true
  while (world.streams.length < 2) await world.pass(500)
  // Only its word counts, not that the connection stands.
  assert.equal(store.state.link.is, 'away')
  clock(world)
  assert.deepEqual(store.state.link, { is: 'live' })
})

test('silence counts as absence, and an old stream says nothing more', async () => {
  const { world, store, link } = setUp()
  await link.start()
  clock(world)
  await world.pass(5000)
  clock(world)
  await world.pass(5000)
  assert.equal(store.state.link.is, 'live')
  await world.pass(1001)
  assert.equal(store.state.link.is, 'away')
  assert.ok(world.streams[0].isClosed)
  world.streams[0].onEvent('node', JSON.stringify({ node: 'b' }))
  assert.equal(store.state.node, 'a')
})

test('a page out of sight has no stream', async () => {
  const { world, store, link } = setUp()
  await link.start()
  clock(world)
  link.pause()
  assert.ok(world.streams[0].isClosed)
  await world.pass(60_000)
  assert.deepEqual([world.streams.length, store.state.link.is], [1, 'live'])
  link.resume()
  await settled()
  assert.equal(world.streams.length, 2)
  link.resume()
  await settled()
  assert.equal(world.streams.length, 2)
})

test('a session that has ended asks for a login, and shows no data', async () => {
  const { world, store, link } = setUp()
  await link.start()
  world.say('node', { node: 'a', role: 'replica' })
  world.session = null
  world.streams[0].onEnd()
  await world.pass(1000)
  assert.equal(store.state.session, null)
  assert.equal(store.state.status, undefined)
  assert.deepEqual(store.state.link, { is: 'live' })
  assert.equal(world.streams.length, 1)
})

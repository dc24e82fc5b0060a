/**
 * Writes with a key across changes of leader. When a leader is cut off while its application
 * executes a write, the write goes to the next leader, which cannot know the outcome: the client
 * gets that answer, whatever the clocks say. A leader that leads again repeats its own answers if
 * the rows survived.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { promote, switchover } from '../support/leadership.ts'
import { PROGRAMS } from '../support/paths.ts'
import { sharedLab } from '../support/sharedLab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { App, ask, codeOf, type Got, SECRET, valuesOf } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const MINUTES_MS = 60_000
const HELD = 'walcast_requests_held'

interface Site {
  readonly app: App
  /** Port of the public side. */
  readonly port: number
  /** Before the private side; the address that other nodes know. */
  readonly link: TcpProxy
  readonly node: TestNode
}

/** The first one leads. */
async function startSite(
  lab: Lab,
  name: string,
  leader: Site | undefined,
  shiftMs = 0,
): Promise<Site> {
  const [app, port, listen] = [await App.start(lab, name), await freePort(), await freePort()]
  const link = await TcpProxy.start(listen)
  lab.atEnd(() => link.close())
  const environment = {
    WALCAST_SECRET: SECRET,
    WALCAST_HEARTBEAT: '100ms',
    WALCAST_RECONNECT_MAX: '100ms',
    WALCAST_HOLD: '60s',
    WALCAST_ACK_TIMEOUT: '100ms',
    NODE_OPTIONS: `--import ${join(PROGRAMS, 'shiftedClock.js')}`,
    TEST_CLOCK_SHIFT_MS: String(shiftMs),
  }
  const flags = ['--name', name, '--advertise', link.address]
  flags.push('--proxy', `127.0.0.1:${port}`, '--upstream', app.url)
  const db = lab.path(`${name}.db`)
  const options = { port: listen, environment, flags }
  const node = leader
    ? await lab.replica(db, leader.link.address, options)
    : await lab.leader(db, options)
  return { app, port, link, node: await node.ready() }
}

/** The request's path is its key. */
function pay(site: Site, path: string, waits = false, more: readonly string[] = []): Promise<Got> {
  const headers = ['idempotency-key', path, ...more]
  return ask(site.port, {
    method: 'POST',
    path,
    body: 'abc',
    headers,
    answer: { waits, body: 'made' },
  })
}

async function follows(site: Site, leader: Site): Promise<void> {
  await until(`one follows the other`, async () => {
    const [status, { node, epoch }] = await Promise.all([site.node.status(), leader.node.status()])
    return status.leader === node && status.state === 'streaming' && status.epoch === epoch
  })
}

async function failOver(lab: Lab, shiftMs: number): Promise<void> {
  await makeDatabase(lab, lab.path('first.db'))
  const first = await startSite(lab, 'first', undefined)
  const next = await startSite(lab, 'next', first, shiftMs)
  const held = await startSite(lab, 'held', first)
  assert.equal((await pay(held, '/before')).status, 200)

  const answer = pay(held, '/pay', true)
  await until('the first leader executes it', async () => (await first.app.state()).waiting === 1)
  first.link.tamper = () => undefined
  first.link.cutAll()
  await until('the request waits for a leader', async () => (await held.node.metric(HELD)) === 1)
  await promote(next.node, { force: true })

  const again = until('it is executed again', async () => (await next.app.state()).waiting === 1)
  const got = await Promise.race([answer, again.then(() => assert.fail('it was executed twice'))])
  again.catch(() => {})
  assert.deepEqual([got.status, codeOf(got)], [502, 'OUTCOME_UNKNOWN'], got.body.toString())
  assert.equal(await first.app.count('POST', '/pay'), 1)
  assert.equal(await next.app.count('POST', '/pay'), 0, 'it was executed twice')
  for (const site of [next, held]) assert.equal(codeOf(await pay(site, '/pay')), 'OUTCOME_UNKNOWN')
  assert.equal(
    await next.app.count('POST', '/pay'),
    0,
    'it was executed when its client sent it again',
  )
  assert.equal((await pay(held, '/after')).body.toString(), 'made', 'a new one is executed')
  assert.equal(await next.app.count('POST', '/after'), 1)
  await first.app.go()
}

for (const shiftMs of [10 * MINUTES_MS, -10 * MINUTES_MS, 10_000, -10_000])
  labTest(
    'a keyed write cut off while executing is unknown to the next leader (clock ' +
      `${shiftMs / 1000} s)`,
    (lab) => failOver(lab, shiftMs),
  )

interface Pair {
  readonly first: Site
  readonly next: Site
}

/** The first site leads, at the begin of each test and at its end. */
async function startPair(lab: Lab): Promise<Pair> {
  await makeDatabase(lab, lab.path('first.db'))
  const first = await startSite(lab, 'first', undefined)
  return { first, next: await startSite(lab, 'next', first) }
}

/**
 * The first site freezes with commits of its own, the next one is promoted, and leadership comes
 * back.
 */
async function freezeAndReturn(first: Site, next: Site): Promise<void> {
  first.node.kill('SIGSTOP')
  await promote(next.node, { force: true })
  first.node.kill('SIGCONT')
  first.link.tamper = (bytes) => bytes
  await follows(first, next)
  await switchover(next.node, { to: 'first' })
  await follows(next, first)
}

/** From here on no other node gets the leader's commits. */
async function alone(lab: Lab, first: Site): Promise<void> {
  first.link.tamper = () => undefined
  first.link.cutAll()
  await lab.exec(first.node.db, 'CREATE TABLE lost (id INTEGER)')
}

/**
 * Sends a write again until its answer says that as many as `acked` levels are reached: on a busy
 * machine a replica acknowledges later than --ack-timeout. Returns what was answered each time.
 */
async function kept(send: () => Promise<Got>, acked: number): Promise<readonly string[]> {
  const bodies: string[] = []
  await until('the write that was kept is acknowledged', async () => {
    const got = await send()
    bodies.push(got.body.toString())
    return valuesOf(got, 'walcast-acked').length === acked
  })
  return bodies
}

describe('two sites whose roles change', () => {
  const pairTest = sharedLab(startPair)

  pairTest(
    'a keyed answer survives a switchover there and back, unexecuted',
    async (_lab, { first, next }) => {
      assert.equal((await pay(next, '/there-and-back')).body.toString(), 'made')
      await switchover(first.node, { to: 'next' })
      await follows(first, next)
      await switchover(next.node, { to: 'first' })
      await follows(next, first)
      for (const site of [first, next])
        assert.equal((await pay(site, '/there-and-back')).body.toString(), 'made')
      assert.equal(await first.app.count('POST', '/there-and-back'), 1)
      assert.equal(await next.app.count('POST', '/there-and-back'), 0)
    },
  )

  pairTest(
    'a keyed write lost in a failover is neither answered nor executed again',
    async (lab, { first, next }) => {
      // It cannot ask who leads, so it goes on leading.
      for (const { link } of [first, next]) {
        link.tamper = () => undefined
        link.cutAll()
      }
      await lab.exec(first.node.db, 'CREATE TABLE lost (id INTEGER)')
      assert.equal((await pay(first, '/lost')).body.toString(), 'made')
      await promote(next.node, { force: true })
      for (const { link } of [first, next]) link.tamper = (bytes) => bytes
      await follows(first, next)
      await switchover(next.node, { to: 'first' })
      await follows(next, first)
      const got = await pay(first, '/lost')
      assert.deepEqual([got.status, codeOf(got)], [502, 'OUTCOME_UNKNOWN'], got.body.toString())
      assert.equal(await first.app.count('POST', '/lost'), 1)
    },
  )

  for (const level of [undefined, 'one', 'one-durable'])
    pairTest(
      `a leader that was frozen and deposed claims no lost write (${level ?? 'no level'})`,
      async (lab, { first, next }) => {
        const more = level === undefined ? [] : ['walcast-ack', level]
        const pays = (site: Site, path: string) => pay(site, path, false, more)
        const [payPath, keptPath] = [`/pay-${level}`, `/kept-${level}`]
        assert.equal((await pays(first, keptPath)).body.toString(), 'made')
        await follows(next, first)
        await until(
          'it is replicated',
          async () => (await next.node.status()).txid === (await first.node.status()).txid,
        )
        await alone(lab, first)
        const made = await pays(first, payPath)
        assert.equal(made.body.toString(), 'made')
        assert.deepEqual(valuesOf(made, 'walcast-acked'), [])
        await freezeAndReturn(first, next)
        for (const site of [first, next]) {
          const got = await pays(site, payPath)
          assert.deepEqual([got.status, codeOf(got)], [502, 'OUTCOME_UNKNOWN'], got.body.toString())
          assert.deepEqual(valuesOf(got, 'walcast-acked'), [])
          for (const body of await kept(() => pays(site, keptPath), level === undefined ? 0 : 1))
            assert.equal(body, 'made')
        }
        for (const path of [payPath, keptPath]) assert.equal(await first.app.count('POST', path), 1)
        assert.equal((await next.app.state()).total, 0)
      },
    )

  for (const isKeyed of [true, false])
    pairTest(
      'a write across a leader change has no position or ack ' +
        `(${isKeyed ? 'with' : 'without'} a key)`,
      async (lab, { first, next }) => {
        const path = isKeyed ? '/across' : '/across-without'
        const answer = isKeyed
          ? pay(first, path, true, ['walcast-ack', 'one'])
          : ask(first.port, {
              method: 'POST',
              path,
              headers: ['walcast-ack', 'one'],
              answer: { waits: true, body: 'made' },
            })
        await until('the leader executes it', async () => (await first.app.state()).waiting === 1)
        await alone(lab, first)
        await freezeAndReturn(first, next)
        await first.app.go()
        const got = await answer
        assert.deepEqual([got.status, got.body.toString()], [200, 'made'])
        for (const name of ['walcast-position', 'walcast-acked', 'set-cookie'])
          assert.deepEqual(valuesOf(got, name), [], name)
        assert.deepEqual(valuesOf(got, 'walcast-stale'), ['unknown'])
        assert.deepEqual(valuesOf(got, 'walcast-not-replicated'), ['one; replicas=0'])
        if (!isKeyed) return
        for (const site of [first, next])
          assert.equal(codeOf(await pay(site, path)), 'OUTCOME_UNKNOWN')
        assert.equal(await first.app.count('POST', path), 1)
      },
    )
})

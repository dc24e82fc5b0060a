/**
 * A write with a key whose leader is cut off while its application executes it. The node that holds the request sends it again
 * to the next leader, which cannot know what became of it: the client is told so, whatever the clocks of the two leaders say.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { freePort } from '../src/cli/freePorts.ts'
import { type Lab, labTest } from './support/lab.ts'
import { promote } from './support/leadership.ts'
import { PROGRAMS } from './support/paths.ts'
import { TcpProxy } from './support/tcpProxy.ts'
import type { TestNode } from './support/testNode.ts'
import { App, ask, codeOf, SECRET } from './support/trafficLab.ts'
import { until } from './support/until.ts'
import { makeDatabase } from './support/workload.ts'

const MINUTES_MS = 60_000

interface Site {
  readonly app: App
  /** Port of the public side. */
  readonly port: number
  /** Before the private side; the address that other nodes know. */
  readonly link: TcpProxy
  readonly node: TestNode
}

/** The first one leads. */
async function startSite(lab: Lab, name: string, leader: Site | undefined, shiftMs = 0): Promise<Site> {
  const [app, port, listen] = [await App.start(lab, name), await freePort(), await freePort()]
  const link = await TcpProxy.start(listen)
  lab.atEnd(() => link.close())
  const environment = {
    WALCAST_SECRET: SECRET,
    WALCAST_HEARTBEAT: '100ms',
    WALCAST_RECONNECT_MAX: '100ms',
    WALCAST_HOLD: '60s',
    NODE_OPTIONS: `--import ${join(PROGRAMS, 'shiftedClock.js')}`,
    TEST_CLOCK_SHIFT_MS: String(shiftMs),
  }
  const flags = ['--name', name, '--advertise', link.address]
  flags.push('--proxy', `127.0.0.1:${port}`, '--upstream', app.url)
  const db = lab.path(`${name}.db`)
  const options = { port: listen, environment, flags }
  const node = leader ? await lab.replica(db, leader.link.address, options) : await lab.leader(db, options)
  return { app, port, link, node: await node.ready() }
}

async function failOver(lab: Lab, shiftMs: number): Promise<void> {
  await makeDatabase(lab, lab.path('first.db'))
  const first = await startSite(lab, 'first', undefined)
  const next = await startSite(lab, 'next', first, shiftMs)
  const held = await startSite(lab, 'held', first)
  const pay = (waits: boolean, path = '/pay') =>
    ask(held.port, {
      method: 'POST',
      path,
      body: 'abc',
      headers: ['idempotency-key', path],
      answer: { waits, body: 'made' },
    })
  assert.equal((await pay(false, '/before')).status, 200)

  const answer = pay(true)
  await until('the first leader executes it', async () => (await first.app.state()).waiting === 1)
  first.link.tamper = () => undefined
  first.link.cutAll()
  await until(
    'the request waits for a leader',
    async () => (await held.node.metric('walcast_requests_held')) === 1,
  )
  await promote(next.node, { force: true })

  const got = await answer
  assert.deepEqual([got.status, codeOf(got)], [502, 'OUTCOME_UNKNOWN'], got.body.toString())
  assert.equal(await first.app.count('POST', '/pay'), 1)
  assert.equal(await next.app.count('POST', '/pay'), 0, 'it was executed twice')
  assert.equal((await pay(false, '/after')).body.toString(), 'made', 'a new one is executed')
  assert.equal(await next.app.count('POST', '/after'), 1)
  await first.app.go()
}

for (const shiftMs of [10 * MINUTES_MS, -10 * MINUTES_MS, 10_000, -10_000])
  labTest(
    `cut off while it was executed: unknown to the next leader, whose clock is ${Math.abs(shiftMs) / 1000} s ${shiftMs < 0 ? 'behind' : 'ahead'}`,
    (lab) => failOver(lab, shiftMs),
  )

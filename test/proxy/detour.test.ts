/** Requests that this node's application does not take: how long they wait, and where they go. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { WalcastError } from '../../src/errors.ts'
import { ApplicationWatch } from '../../src/proxy/applicationWatch.ts'
import { Client } from '../../src/proxy/client.ts'
import { Detour } from '../../src/proxy/detour.ts'
import { Bodies } from '../../src/proxy/replayableBody.ts'
import { until, within } from '../support/until.ts'

const HOUR_MS = 3_600_000
const UNREACHABLE = new WalcastError('APP_UNREACHABLE', {
  url: 'http://a:1',
  detail: 'ECONNREFUSED',
})

function setUp(context: TestContext) {
  const asked: string[] = []
  const watch = new ApplicationWatch(
    { maxHeld: 10, everyMs: HOUR_MS, fall: 1, rise: 1, check: undefined },
    {
      url: () => 'http://a:1',
      log: pino({ level: 'silent' }),
      look: async () => ({ whyNot: undefined }),
    },
  )
  watch.suspend('it has ended')
  context.after(() => watch.stop())
  const detour = new Detour({
    watch,
    bodies: new Bodies(1000, 10_000),
    holdMs: HOUR_MS,
    elsewhere: async ({ target }) => {
      asked.push(target)
      return 'notTaken'
    },
  })
  return { watch, detour, asked }
}

function clientAsking(method: string): Client {
  const request = { method, url: '/t', headers: {} } as IncomingMessage
  return new Client(request, new EventEmitter() as ServerResponse)
}

test('the time that a client has waited elsewhere counts here', async (context) => {
  const { watch, detour, asked } = setUp(context)
  const tired = () => {
    const client = clientAsking('GET')
    client.heldUntilMs(0)
    return client
  }
  const ends = [
    detour.take(tired(), UNREACHABLE, false),
    detour.take(tired(), UNREACHABLE, true),
  ].map((taken) =>
    assert.rejects(within('it is held no longer', taken), { key: 'APP_UNREACHABLE' }),
  )
  await Promise.all(ends)
  assert.deepEqual(asked, ['/t'], 'a read is tried elsewhere all the same')
  assert.equal(
    await within('nor here', detour.untilTaken(tired(), UNREACHABLE, HOUR_MS, true)),
    false,
  )
  const fresh = detour.take(clientAsking('POST'), UNREACHABLE, false)
  await until('one that has not waited yet waits', () => watch.held === 1)
  watch.started()
  watch.onReached()
  assert.equal(await within('it goes on', fresh), 'again')
})

test('a read with a body goes nowhere else', async (context) => {
  const { detour, asked } = setUp(context)
  const client = clientAsking('GET')
  client.request.headers['content-length'] = '3'
  client.heldUntilMs(0)
  await assert.rejects(within('it waits', detour.take(client, UNREACHABLE, true)), {
    key: 'APP_UNREACHABLE',
  })
  assert.deepEqual(asked, [])
})

test('a request that was sent, or met another error, is not tried again', async (context) => {
  const { detour, asked } = setUp(context)
  const other = new WalcastError('NO_APPLICATION')
  await assert.rejects(detour.take(clientAsking('GET'), other, true), { key: 'NO_APPLICATION' })
  const answered = clientAsking('GET')
  Object.assign(answered.response, { headersSent: true })
  await assert.rejects(detour.take(answered, UNREACHABLE, true), { key: 'APP_UNREACHABLE' })
  assert.deepEqual(asked, [])
})

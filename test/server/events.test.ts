/** Server-sent events over real connections: each change once, bounded, and nothing left behind. */
import assert from 'node:assert/strict'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { DatabaseView } from '../../src/api/databaseView.ts'
import type { StateEvent } from '../../src/health/archiveEvents.ts'
import type { EventStreamsOptions } from '../../src/server/eventStreams.ts'
import { Events } from '../../src/server/events.ts'
import { until } from '../support/until.ts'

const QUIET: EventStreamsOptions = { maxListeners: 2, keepAliveMs: 60_000 }

async function setUp(context: TestContext, options: EventStreamsOptions = QUIET) {
  const status = {
    role: 'replica',
    leader: 'a',
    epoch: 1,
    txid: 5,
    state: 'following',
    sync: undefined as unknown,
  }
  const counted = { asked: 0, refused: 0 }
  const view = {
    status() {
      counted.asked++
      return status
    },
  } as unknown as DatabaseView
  const states: StateEvent[] = []
  const events = new Events(options, view, () => states)
  const responses: ServerResponse[] = []
  const server = createServer((_request, response) => {
    responses.push(response)
    try {
      events.add(response)
    } catch {
      counted.refused++
      response.writeHead(503).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const listen = () =>
    new Promise<{ answer: IncomingMessage; text: () => string }>((resolve, reject) => {
      let all = ''
      get({ port, host: '127.0.0.1', agent: false }, (answer) => {
        answer.setEncoding('utf8')
        answer.on('error', () => {})
        answer.on('data', (chunk: string) => {
          all += chunk
        })
        resolve({ answer, text: () => all })
      }).on('error', reject)
    })
  return { events, status, states, counted, responses, listen }
}

const FIRST = [
  'event: role\ndata: {"role":"replica","leader":"a","epoch":1}\n\n',
  'event: sync\ndata: {"state":"following"}\n\n',
  'event: position\ndata: {"position":"1-5","epoch":1,"txid":5}\n\n',
].join('')

test('a listener gets the present state, and then only changes', async (context) => {
  const { events, status, listen } = await setUp(context)
  const { answer, text } = await listen()
  assert.equal(answer.headers['content-type'], 'text/event-stream')
  assert.equal(answer.headers['cache-control'], 'no-store')
  await until('the first events', () => text() === FIRST)
  events.onChange()
  status.txid = 6
  events.onChange()
  await until('the position', () => text().length > FIRST.length)
  status.state = 'copying'
  status.sync = { remaining: 1, total: 2 }
  events.onChange()
  await until('the copy', () => text().includes('remaining'))
  assert.equal(
    text().slice(FIRST.length),
    'event: position\ndata: {"position":"1-6","epoch":1,"txid":6}\n\n' +
      'event: sync\ndata: {"state":"copying","remaining":1,"total":2}\n\n',
  )
})

test('changes in one turn ask for the status once, and not without listeners', async (context) => {
  const { events, counted, listen } = await setUp(context)
  events.onChange()
  await delay(5)
  assert.equal(counted.asked, 0)
  await listen()
  const before = counted.asked
  for (let i = 0; i < 100; i++) events.onChange()
  await delay(5)
  assert.equal(counted.asked, before + 1)
})

test('listeners are bounded, and one that leaves makes room', async (context) => {
  const { events, counted, listen } = await setUp(context)
  const first = await listen()
  await listen()
  const third = await listen()
  assert.deepEqual([third.answer.statusCode, counted.refused, events.size], [503, 1, 2])
  first.answer.destroy()
  await until('room', () => events.size === 1)
  assert.equal((await listen()).answer.statusCode, 200)
})

test('a quiet stream gets keep-alives', async (context) => {
  const { listen } = await setUp(context, { ...QUIET, keepAliveMs: 10 })
  const { text } = await listen()
  await until('comments', () => text().startsWith(`${FIRST}:\n\n:\n\n`))
})

test('a listener that reads nothing is cut off', async (context) => {
  const { events, status, listen } = await setUp(context)
  const { answer } = await listen()
  answer.pause()
  answer.socket.pause()
  await until('the cut', async () => {
    for (let i = 0; i < 50; i++) {
      status.leader = `${i}`.repeat(4000)
      events.onChange()
      await delay(0)
    }
    return events.size === 0
  })
})

test('changes and keep-alives do no harm while the streams end', async (context) => {
  const { events, status, responses, listen } = await setUp(context, { ...QUIET, keepAliveMs: 1 })
  const errors: Error[] = []
  await listen()
  const { answer } = await listen()
  answer.pause()
  answer.socket.pause()
  for (const response of responses) response.on('error', (error: Error) => void errors.push(error))
  // One stream cannot end at once: its client reads nothing.
  responses[1].write(Buffer.alloc(8_000_000))
  events.close()
  await delay(10)
  for (let i = 0; i < 5; i++) {
    status.txid++
    events.onChange()
    await delay(2)
  }
  assert.deepEqual(errors, [], 'each would have ended the process')
})

test('a client that left before it was added is not kept', async (context) => {
  const { events, responses, listen } = await setUp(context)
  const { answer } = await listen()
  answer.destroy()
  await until('it is gone', () => events.size === 0)
  events.add(responses[0])
  assert.equal(events.size, 0)
})

test('the state of the archive is told at first, and when it has changed', async (context) => {
  const { states, listen } = await setUp(context)
  const tell = (place: string, isStalled: boolean): StateEvent => {
    return { event: 'archive', of: place, data: { place, isStalled } }
  }
  const event = (place: string, isStalled: boolean) =>
    `event: archive\ndata: {"place":"${place}","isStalled":${isStalled}}\n\n`
  states.push(tell('/a', false), tell('/b', false))
  const { text } = await listen()
  const first = `${FIRST}${event('/a', false)}${event('/b', false)}`
  await until('the first events', () => text() === first)
  states.splice(1, 1, tell('/b', true))
  await until('the change', () => text() === `${first}${event('/b', true)}`)
})

/** What is remembered of requests with a key: within its bounds, and never so that one is executed twice. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { pino } from 'pino'
import { keyOf } from '../src/errors.ts'
import { sendFailure } from '../src/http/answer.ts'
import { AnswerMemory, type StoredAnswer } from '../src/http/answerMemory.ts'
import { Application } from '../src/http/application.ts'
import { Bodies } from '../src/http/bodies.ts'
import { Client } from '../src/http/client.ts'
import { deliver } from '../src/http/delivery.ts'
import { fromClient } from '../src/http/headers.ts'
import { KeyedRequests } from '../src/http/keyedRequests.ts'
import { Passes } from '../src/http/passes.ts'
import { PositionCookie } from '../src/http/positionCookie.ts'
import { until, within } from './support/until.ts'

const answerOf = (bytes: number): StoredAnswer => ({
  status: 200,
  statusText: 'OK',
  headers: {},
  body: Buffer.alloc(bytes),
})

const TRANSIT_MS = 20
const LIMITS = { maxAnswers: 5, maxBytes: 100, keepMs: 1000, transitMs: TRANSIT_MS }

function setUp() {
  const clock = { now: 1_000_000, nowMs: () => clock.now }
  const led = { id: 'x', lasting: new Set<string>() }
  const memory = new AnswerMemory(LIMITS, clock, {
    incarnation: () => led.id,
    contains: ({ incarnation, txid }) => led.lasting.has(`${incarnation}@${txid}`),
  })
  return { clock, led, memory }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('send' as const), key: fc.nat(9) }) },
  fc.record({ what: fc.constant('answer' as const), key: fc.nat(9), bytes: fc.nat(150) }),
  fc.record({ what: fc.constant('lose' as const), key: fc.nat(9) }),
  fc.record({ what: fc.constant('cancel' as const), key: fc.nat(9) }),
  fc.record({ what: fc.constant('pass' as const), ms: fc.nat(700) }),
  fc.record({ what: fc.constant('lead' as const) }),
  fc.record({ what: fc.constant('elsewhere' as const), key: fc.nat(9) }),
)

/** A request on its way takes at most TRANSIT_MS; the sender's clock has nothing to do with the leader's. */
test('whatever happens, bounds hold and what was sent before is never executed again', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(step, fc.nat(TRANSIT_MS)), { maxLength: 80 }),
      fc.integer({ min: -600_000, max: 600_000 }),
      (steps, aheadMs) => {
        const { clock, led, memory } = setUp()
        const firstSent = new Map<string, { readonly incarnation: string; readonly sentMs: number }>()
        const executed = new Set<string>()
        for (const [given, onItsWayMs] of steps) {
          if (given.what === 'pass') clock.now += given.ms
          else if (given.what === 'lead') led.id += 'x'
          else {
            const key = String(given.key)
            if (given.what === 'send') {
              const sentMs = clock.now + aheadMs
              clock.now += onItsWayMs
              const first = firstSent.get(key)
              if (!first) firstSent.set(key, { incarnation: led.id, sentMs })
              const before = first && { incarnation: first.incarnation, agoMs: sentMs - first.sentMs }
              try {
                if (memory.find(key, before) === undefined) {
                  memory.begin(key)
                  assert.equal(executed.has(key), false, `${key} was executed before`)
                  executed.add(key)
                }
              } catch (error) {
                const code = keyOf(error)
                assert.ok(code === 'OUTCOME_UNKNOWN' || code === 'TOO_MANY_REQUESTS', String(error))
              }
            } else if (given.what === 'elsewhere') {
              // Another node, in an incarnation of its own.
              if (firstSent.has(key)) continue
              firstSent.set(key, { incarnation: 'other', sentMs: clock.now + aheadMs })
              executed.add(key)
            } else if (given.what === 'answer') memory.end(key, { answer: answerOf(given.bytes) })
            else if (given.what === 'lose') memory.end(key, { lost: 'cut' })
            else if (memory.find(key, undefined) && executed.has(key)) {
              const before = memory.size
              memory.cancel(key, 'not executed')
              if (memory.size < before) executed.delete(key)
            }
          }
          assert.ok(memory.size <= LIMITS.maxAnswers && memory.bytes >= 0 && memory.bytes <= LIMITS.maxBytes)
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('an answer is given until it is too old, and then what came of it is not known', async () => {
  const { clock, memory } = setUp()
  const agoMs = () => clock.now - 1_000_000
  const first = memory.begin('a')
  assert.equal(memory.find('a', { incarnation: 'x', agoMs: agoMs() }), first)
  memory.end('a', { answer: answerOf(3) })
  memory.end('a', { lost: 'late' })
  memory.cancel('a', 'late')
  assert.deepEqual(await first.ending, { answer: answerOf(3) })
  clock.now += 999
  assert.equal(memory.find('a', { incarnation: 'x', agoMs: agoMs() }), first)
  assert.equal(memory.bytes, 3)
  clock.now += 1
  assert.throws(() => memory.find('a', { incarnation: 'x', agoMs: agoMs() }), { key: 'OUTCOME_UNKNOWN' })
  assert.deepEqual([memory.size, memory.bytes], [0, 0])
  assert.equal(memory.find('a', undefined), undefined, 'a request that was never sent is a new one')
  const reachMs = agoMs() - TRANSIT_MS
  assert.throws(() => memory.find('b', { incarnation: 'x', agoMs: reachMs }), { key: 'OUTCOME_UNKNOWN' })
  assert.equal(memory.find('b', { incarnation: 'x', agoMs: reachMs - 1 }), undefined)
})

test('what was sent to another incarnation may have been executed in it', () => {
  const { led, memory } = setUp()
  const long = { incarnation: 'x', agoMs: 5_000_000 }
  assert.equal(memory.find('a', long), undefined, 'nothing was forgotten, however long ago it was sent')
  led.id = 'y'
  for (const first of [long, { incarnation: 'x', agoMs: 0 }, { incarnation: '', agoMs: 0 }])
    assert.throws(() => memory.find('a', first), { key: 'OUTCOME_UNKNOWN' })
  const known = memory.begin('a')
  assert.equal(memory.find('a', long), known)
})

test('an answer of an earlier incarnation holds only where what it wrote is part of the history', () => {
  const { led, memory } = setUp()
  const [early, late, untold] = ['early', 'late', 'untold'].map((key) => memory.begin(key))
  for (const key of ['early', 'late', 'untold']) memory.end(key, { answer: answerOf(1) })
  memory.settle('early', 7)
  memory.settle('early', 9)
  memory.settle('late', 9)
  const held = () => [early, late, untold].map((each) => memory.holds(each))
  assert.deepEqual(held(), [true, true, true])
  // Another node has led from 7 on, and this one after it.
  led.id = 'y'
  led.lasting.add('x@7')
  memory.settle('untold', 7)
  assert.deepEqual(held(), [true, false, false])
})

test('those under way are never forgotten; the oldest that is over is', async () => {
  const { clock, memory } = setUp()
  for (const key of ['a', 'b', 'c', 'd', 'e']) memory.begin(key)
  assert.throws(() => memory.begin('f'), { key: 'TOO_MANY_REQUESTS' })
  clock.now += 5000
  assert.equal(memory.find('zz', undefined), undefined)
  assert.equal(memory.size, 5)
  memory.end('c', { answer: answerOf(1) })
  memory.begin('f')
  assert.equal(memory.find('c', undefined), undefined)
  assert.ok(memory.find('a', undefined))
})

test('a cancelled key is free, and who waited for it is told', async () => {
  const { memory } = setUp()
  const execution = memory.begin('a')
  memory.cancel('a', 'not executed')
  assert.deepEqual(await execution.ending, { lost: 'not executed' })
  assert.equal(memory.find('a', { incarnation: 'x', agoMs: 1 }), undefined)
})

const INCARNATION = '0123456789abcdef'

/** A leader's proxy that executes requests with a key by an application that `listener` is. */
async function keyedServer(context: TestContext, listener: RequestListener) {
  const uncaught: unknown[] = []
  const onUncaught = (error: unknown) => void uncaught.push(error)
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)
  const executed: string[] = []
  const app = createServer((incoming, response) => {
    executed.push(incoming.url ?? '')
    listener(incoming, response)
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  const { port: appPort } = app.address() as AddressInfo
  const application = new Application({
    log: pino({ level: 'silent' }),
    passes: new Passes(),
    url: `http://127.0.0.1:${appPort}`,
    node: 'n',
    maxConnections: 10,
    answerTimeoutMs: 60_000,
  })
  const cookie = new PositionCookie('p', () => 'c')
  const clock = { nowMs: () => Date.now() }
  const led = { id: INCARNATION, isLasting: true }
  const limits = { maxAnswers: 100, maxBytes: 10_000_000, keepMs: 60_000, transitMs: 0 }
  const keyed = new KeyedRequests(
    new AnswerMemory(limits, clock, { incarnation: () => led.id, contains: () => led.isLasting }),
    cookie,
    60_000,
  )
  const bodies = new Bodies(1_000_000, 10_000_000)
  const front = createServer(async (incoming, response) => {
    const client = new Client(incoming, response)
    try {
      const key = keyed.keyOf(client) ?? ''
      const answer = await keyed.run(client, key, true, (hash) =>
        application.ask(
          client,
          fromClient(incoming),
          bodies.of(client, (chunk) => void hash.update(chunk)),
          true,
        ),
      )
      keyed.settle(key, 1)
      deliver(client, answer, { position: undefined, isWrite: true }, undefined)
    } catch (error) {
      sendFailure(response, error, () => {})
    }
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  const { port } = front.address() as AddressInfo
  context.after(async () => {
    process.off('uncaughtException', onUncaught)
    process.off('unhandledRejection', onUncaught)
    for (const server of [front, app]) {
      server.closeAllConnections()
      server.close()
    }
    await application.close()
  })
  const send = (body: Buffer | readonly Buffer[], headers: Record<string, string> = {}) =>
    within(
      'an answer',
      new Promise<{ status: number; text: string; headers: Record<string, unknown> }>((resolve, reject) => {
        const outgoing = request(
          {
            port,
            host: '127.0.0.1',
            method: 'POST',
            agent: false,
            headers: { 'idempotency-key': 'k', ...headers },
          },
          (answer) => {
            let text = ''
            answer.on('data', (chunk) => {
              text += chunk
            })
            answer.on('error', reject)
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }))
          },
        )
        outgoing.on('error', reject)
        void (async () => {
          for (const chunk of [body].flat()) {
            outgoing.write(chunk)
            await delay(5)
          }
          outgoing.end()
        })()
      }),
      10_000,
    )
  return { executed, uncaught, send, led }
}

const readAll = (then: (all: Buffer) => void): RequestListener => {
  return (incoming) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk))
    incoming.on('end', () => then(Buffer.concat(chunks)))
  }
}

test('the same request again is answered and not executed, also while the first is under way', async (context) => {
  let count = 0
  const { executed, uncaught, send } = await keyedServer(context, (incoming, response) =>
    readAll((all) => setTimeout(() => response.writeHead(201).end(`${++count} ${all}`), 30))(
      incoming,
      response,
    ),
  )
  const body = Buffer.from('abc')
  const answers = await Promise.all([send(body), send([Buffer.from('a'), Buffer.from('bc')]), send(body)])
  answers.push(await send(body, { cookie: 'p=c.1-2' }))
  assert.deepEqual(
    answers.map(({ status, text }) => `${status} ${text}`),
    Array.from(answers, () => '201 1 abc'),
  )
  assert.equal((await send(Buffer.from('other'))).status, 422)
  assert.equal(executed.length, 1)
  assert.equal((await send(body, { cookie: 'session=2' })).text, '2 abc', 'another client')
  assert.equal((await send(body, { cookie: 'p=c.1-2; session=2' })).text, '2 abc', 'the same with a position')
  assert.deepEqual(uncaught, [])
})

test('an answer before the request was whole breaks nothing, and is given again', async (context) => {
  const { executed, uncaught, send } = await keyedServer(context, (incoming, response) => {
    incoming.once('data', () => response.writeHead(200).end('early'))
    incoming.resume()
  })
  const body = Array.from({ length: 20 }, (_, at) => Buffer.alloc(1000, at))
  const early = await send(body).catch((error: Error) => error)
  await delay(100)
  assert.deepEqual(uncaught, [], 'it would have ended the process')
  if (!(early instanceof Error)) assert.equal(early.text, 'early')
  const again = await send(Buffer.concat(body)).catch((error: Error) => error)
  assert.ok(!(again instanceof Error) && again.status !== 422, String(again))
  assert.equal(again.text, 'early')
  assert.equal(executed.length, 1)
})

test('an answer that begins while the request is still coming breaks nothing', async (context) => {
  const { executed, uncaught, send } = await keyedServer(context, (incoming, response) => {
    incoming.once('data', () => response.writeHead(200).write('early '))
    incoming.on('end', () => response.end('late'))
    incoming.resume()
  })
  const body = Array.from({ length: 10 }, (_, at) => Buffer.alloc(1000, at))
  assert.equal((await send(body)).text, 'early late')
  assert.deepEqual(uncaught, [], 'it would have ended the process')
  assert.equal((await send(Buffer.concat(body))).text, 'early late')
  assert.equal((await send(Buffer.from('other'))).status, 422)
  assert.equal(executed.length, 1)
})

test('a reason that cannot be sent on does not hide an answer', async (context) => {
  const { send } = await keyedServer(context, (incoming) => {
    incoming.socket.end(Buffer.from('HTTP/1.1 201 \u6210\u529f\r\ncontent-length: 2\r\n\r\nok'))
  })
  for (let i = 0; i < 2; i++) assert.deepEqual((await send(Buffer.from('abc'))).status, 201)
})

test('an application that breaks off leaves an unknown outcome, for each who asks', async (context) => {
  const { executed, uncaught, send } = await keyedServer(
    context,
    (incoming) => void incoming.socket.destroy(),
  )
  for (let i = 0; i < 3; i++) assert.equal((await send(Buffer.from('abc'))).status, 502)
  assert.equal(executed.length, 1)
  assert.deepEqual(uncaught, [])
})

test('an answer cut in the middle is not given as a whole one', async (context) => {
  const { executed, send } = await keyedServer(context, (_incoming, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('part')
    setTimeout(() => response.destroy(), 10)
  })
  for (let i = 0; i < 2; i++) assert.equal((await send(Buffer.from('abc'))).status, 502)
  assert.equal(executed.length, 1)
})

test('an answer too large to keep is passed on whole, and not executed again', async (context) => {
  const large = Buffer.alloc(3_000_000, 'x')
  const { executed, send } = await keyedServer(context, (_incoming, response) => {
    response.writeHead(200)
    for (let at = 0; at < large.length; at += 100_000) response.write(large.subarray(at, at + 100_000))
    response.end()
  })
  const first = await send(Buffer.from('abc'))
  assert.equal(first.status, 200)
  assert.equal(first.text.length, large.length)
  assert.equal((await send(Buffer.from('abc'))).status, 502)
  assert.equal(executed.length, 1)
})

test('an answer without a body is given again as one', async (context) => {
  const { send } = await keyedServer(context, (_incoming, response) => void response.writeHead(204).end())
  for (let i = 0; i < 2; i++) {
    const { status, text, headers } = await send(Buffer.from('abc'))
    assert.deepEqual([status, text, headers['content-length']], [204, '', undefined])
  }
})

test('a client that leaves does not end what it began', async (context) => {
  let isOver = false
  const { executed, uncaught, send } = await keyedServer(context, (incoming, response) =>
    readAll(() =>
      setTimeout(() => {
        isOver = true
        response.end('done')
      }, 60),
    )(incoming, response),
  )
  const gone = send(Buffer.from('abc'))
  const again = until('it was begun', () => executed.length === 1).then(() => send(Buffer.from('abc')))
  assert.equal((await again).text, 'done')
  assert.equal((await gone).text, 'done')
  assert.ok(isOver)
  assert.equal(executed.length, 1)
  assert.deepEqual(uncaught, [])
})

test('what another node sends again is executed only by the leadership that it was sent to', async (context) => {
  const { executed, send, led } = await keyedServer(context, (_incoming, response) => void response.end('ok'))
  const again = (key: string, first: string) =>
    send(Buffer.from('abc'), { 'idempotency-key': key, 'walcast-first-attempt': first }).then(
      ({ status }) => status,
    )
  assert.equal(await again('a', `${INCARNATION}; agoMs=5000`), 200)
  assert.equal(await again('a', `${INCARNATION}; agoMs=6000`), 200)
  led.id = 'f'.repeat(16)
  assert.equal(await again('a', `${INCARNATION}; agoMs=7000`), 200, 'it is remembered, and lasts')
  assert.equal(await again('b', `${INCARNATION}; agoMs=1`), 502)
  assert.equal(executed.length, 1)
  for (const text of [
    '',
    '5',
    INCARNATION,
    `${led.id}; agoMs=`,
    `${led.id}; agoMs=-1`,
    `; agoMs=1`,
    `${led.id}; agoMs=1; agoMs=2`,
  ])
    assert.equal(await again('c', text), 502, `${JSON.stringify(text)} tells nothing of the first attempt`)
  assert.equal(executed.length, 1)
  assert.equal(await again('c', `${led.id}; agoMs=1`), 200)
  assert.equal(executed.length, 2)
})

test('an answer of an earlier leadership is given again only as long as what it wrote lasts', async (context) => {
  const { executed, send, led } = await keyedServer(context, (_incoming, response) => void response.end('ok'))
  const body = Buffer.from('abc')
  assert.equal((await send(body)).status, 200)
  led.id = 'f'.repeat(16)
  assert.equal((await send(body)).text, 'ok')
  led.isLasting = false
  assert.equal((await send(body)).status, 502)
  assert.equal(executed.length, 1, 'it is not executed again either: it may stand')
})

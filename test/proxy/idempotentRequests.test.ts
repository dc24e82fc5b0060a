/**
 * Requests with a key at a leader, over sockets: executed once, whatever clients and the
 * application do with their connections.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { WalcastError } from '../../src/errors.ts'
import { sendFailure } from '../../src/proxy/answer.ts'
import { Application } from '../../src/proxy/application.ts'
import { Client } from '../../src/proxy/client.ts'
import { deliver } from '../../src/proxy/delivery.ts'
import { fromClient } from '../../src/proxy/headers.ts'
import { IdempotencyStore } from '../../src/proxy/idempotencyStore.ts'
import { IdempotentRequests } from '../../src/proxy/idempotentRequests.ts'
import { Passes } from '../../src/proxy/passes.ts'
import { PositionCookie } from '../../src/proxy/positionCookie.ts'
import { Bodies } from '../../src/proxy/replayableBody.ts'
import { until, within } from '../support/until.ts'

const INCARNATION = '0123456789abcdef'

/**
 * A leader's proxy that executes requests with a key; `listener` is the application. `before` is
 * awaited before the application is asked.
 */
async function keyedServer(
  context: TestContext,
  listener: RequestListener,
  before: () => Promise<void> = async () => {},
) {
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
  const answers = new IdempotencyStore(limits, clock, {
    incarnation: () => led.id,
    contains: () => led.isLasting,
  })
  const keyed = new IdempotentRequests(answers, cookie, 60_000)
  const bodies = new Bodies(1_000_000, 10_000_000)
  const front = createServer(async (incoming, response) => {
    const client = new Client(incoming, response)
    try {
      const key = keyed.keyOf(client) ?? ''
      const body = bodies.of(client)
      const answer = await keyed.run(client, key, true, body, async () => {
        await before()
        return application.ask(client, fromClient(incoming, client.origin), body, true)
      })
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
      new Promise<{ status: number; text: string; headers: Record<string, unknown> }>(
        (resolve, reject) => {
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
              answer.on('end', () =>
                resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }),
              )
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
        },
      ),
      10_000,
    )
  return { executed, uncaught, send, led, port, answers }
}

const readAll = (then: (all: Buffer) => void): RequestListener => {
  return (incoming) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk))
    incoming.on('end', () => then(Buffer.concat(chunks)))
  }
}

test('the same request is not executed again, not even at the same time', async (context) => {
  let count = 0
  const { executed, uncaught, send } = await keyedServer(context, (incoming, response) =>
    readAll((all) => setTimeout(() => response.writeHead(201).end(`${++count} ${all}`), 30))(
      incoming,
      response,
    ),
  )
  const body = Buffer.from('abc')
  const answers = await Promise.all([
    send(body),
    send([Buffer.from('a'), Buffer.from('bc')]),
    send(body),
  ])
  answers.push(await send(body, { cookie: 'p=c.1-2' }))
  assert.deepEqual(
    answers.map(({ status, text }) => `${status} ${text}`),
    Array.from(answers, () => '201 1 abc'),
  )
  assert.equal((await send(Buffer.from('other'))).status, 422)
  assert.equal(executed.length, 1)
  assert.equal((await send(body, { cookie: 'session=2' })).text, '2 abc', 'another client')
  assert.equal(
    (await send(body, { cookie: 'p=c.1-2; session=2' })).text,
    '2 abc',
    'the same with a position',
  )
  assert.deepEqual(uncaught, [])
})

test('an answer that comes before the request was whole is given again', async (context) => {
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

test('an answer may begin while the request is still coming', async (context) => {
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

test('a status text that cannot be sent on does not hide an answer', async (context) => {
  const { send } = await keyedServer(context, (incoming) => {
    incoming.socket.end(Buffer.from('HTTP/1.1 201 \u6210\u529f\r\ncontent-length: 2\r\n\r\nok'))
  })
  for (let i = 0; i < 2; i++) assert.deepEqual((await send(Buffer.from('abc'))).status, 201)
})

test('an application that breaks off leaves an unknown outcome for all', async (context) => {
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
    for (let at = 0; at < large.length; at += 100_000)
      response.write(large.subarray(at, at + 100_000))
    response.end()
  })
  const first = await send(Buffer.from('abc'))
  assert.equal(first.status, 200)
  assert.equal(first.text.length, large.length)
  assert.equal((await send(Buffer.from('abc'))).status, 502)
  assert.equal(executed.length, 1)
})

test('an answer without a body is given again without one', async (context) => {
  const { send } = await keyedServer(
    context,
    (_incoming, response) => void response.writeHead(204).end(),
  )
  for (let i = 0; i < 2; i++) {
    const { status, text, headers } = await send(Buffer.from('abc'))
    assert.deepEqual([status, text, headers['content-length']], [204, '', undefined])
  }
})

test('a client that leaves does not end the execution that it began', async (context) => {
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
  const again = until('it was begun', () => executed.length === 1).then(() =>
    send(Buffer.from('abc')),
  )
  assert.equal((await again).text, 'done')
  assert.equal((await gone).text, 'done')
  assert.ok(isOver)
  assert.equal(executed.length, 1)
  assert.deepEqual(uncaught, [])
})

test("only the first attempt's leadership executes what a node sends again", async (context) => {
  const { executed, send, led } = await keyedServer(
    context,
    (_incoming, response) => void response.end('ok'),
  )
  const again = (key: string, first: string) =>
    send(Buffer.from('abc'), { 'idempotency-key': key, 'walcast-first-attempt': first }).then(
      ({ status }) => status,
    )
  assert.equal(await again('a', `${INCARNATION}; agoMs=5000`), 200)
  assert.equal(await again('a', `${INCARNATION}; agoMs=6000`), 200)
  led.id = 'f'.repeat(16)
  assert.equal(await again('a', `${INCARNATION}; agoMs=7000`), 200, 'it is remembered, and lasts')
  assert.equal(await again('b', `${INCARNATION}; agoMs=1`), 502)
  const later = await send(Buffer.from('abc'), { 'idempotency-key': 'b' })
  assert.equal(later.status, 502, 'nor when its client sends it again')
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
    assert.equal(
      await again(`bad ${text}`, text),
      502,
      `${JSON.stringify(text)} tells nothing of the first attempt`,
    )
  assert.equal(executed.length, 1)
  assert.equal(await again('c', `${led.id}; agoMs=1`), 200)
  assert.equal(executed.length, 2)
})

test('an answer of an earlier leadership is given only while its write lasts', async (context) => {
  const { executed, send, led } = await keyedServer(
    context,
    (_incoming, response) => void response.end('ok'),
  )
  const body = Buffer.from('abc')
  assert.equal((await send(body)).status, 200)
  led.id = 'f'.repeat(16)
  assert.equal((await send(body)).text, 'ok')
  led.isLasting = false
  assert.equal((await send(body)).status, 502)
  assert.equal(executed.length, 1, 'it is not executed again either: it may stand')
})

/** Sends part of a request's body, waits until `isRead`, and breaks off. */
async function breakOff(
  port: number,
  head: string,
  part: Buffer,
  isRead: () => boolean,
): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(`POST / HTTP/1.1\r\nhost: a\r\nidempotency-key: k\r\n${head}\r\n\r\n`)
  socket.write(part)
  await until('the part has come', isRead)
  socket.destroy()
  await once(socket, 'close')
}

test('a body that breaks off before the application leaves its key free', async (context) => {
  const { executed, send, port, answers, uncaught } = await keyedServer(
    context,
    (_incoming, response) => response.end('made'),
  )
  // By now the application would have seen the request.
  const isRead = () => true
  for (const head of ['content-length: 10', 'content-length: 900000', 'transfer-encoding: chunked'])
    await breakOff(port, head, Buffer.from('3\r\nabc\r\n'), isRead)
  const got = await send(Buffer.from('abc'))
  assert.deepEqual([got.status, got.text], [200, 'made'])
  assert.equal(executed.length, 1)
  assert.equal(answers.size, 1)
  assert.deepEqual(uncaught, [])
})

test('a body too large to be kept may have been executed in part', async (context) => {
  let bytes = 0
  const { executed, send, port } = await keyedServer(context, (incoming) =>
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    }),
  )
  await breakOff(port, 'content-length: 3000000', Buffer.alloc(1_500_000), () => bytes > 1_000_000)
  assert.equal((await send(Buffer.from('abc'))).status, 502)
  assert.equal(executed.length, 1)
})

for (const size of [0, 1, 65_536, 999_999, 1_000_000, 1_000_001, 1_100_000, 2_500_000])
  test(`a body of ${size} bytes arrives whole, once, and is recognised`, async (context) => {
    const { executed, send, uncaught } = await keyedServer(context, (incoming, response) =>
      readAll((all) => response.end(createHash('sha256').update(all).digest('hex')))(
        incoming,
        response,
      ),
    )
    const body = randomBytes(size)
    const hash = createHash('sha256').update(body).digest('hex')
    const other = Buffer.concat([body.subarray(0, -1), Buffer.from([(body.at(-1) ?? 0) ^ 1])])
    for (let i = 0; i < 2; i++) assert.equal((await send(body)).text, hash)
    assert.equal((await send(other)).status, 422)
    assert.equal(executed.length, 1)
    assert.deepEqual(uncaught, [])
  })

test('a leadership that began while the body came executes nothing', async (context) => {
  const { executed, send, led, answers } = await keyedServer(context, (_incoming, response) =>
    response.end('made'),
  )
  const chunks = Array.from({ length: 20 }, () => Buffer.alloc(10))
  const slow = send(chunks)
  await delay(20)
  led.id = 'f'.repeat(16)
  assert.equal((await slow).status, 503)
  assert.deepEqual([executed.length, answers.size], [0, 0])
  assert.equal((await send(chunks)).text, 'made')
})

test('the time that a body takes adds to the age of the first attempt', async (context) => {
  const { send, answers } = await keyedServer(context, (_incoming, response) =>
    response.end('made'),
  )
  const asked: number[] = []
  const find = answers.find.bind(answers)
  answers.find = (key, owner, first) => {
    asked.push(first?.agoMs ?? 0)
    return find(key, owner, first)
  }
  // At least 95 ms pass between the first chunk and the last one.
  const chunks = Array.from({ length: 20 }, () => Buffer.alloc(10))
  await send(chunks, { 'walcast-first-attempt': `${INCARNATION}; agoMs=5000` })
  assert.ok(asked.length === 1 && asked[0] > 5050, String(asked))
})

/**
 * The application refuses the first of several requests with one key once the others wait for it.
 */
async function refusedFirst(context: TestContext, bodies: readonly Buffer[]) {
  let asked = 0
  let waiting = 0
  const server = await keyedServer(
    context,
    (_incoming, response) => response.end('made'),
    async () => {
      if (++asked > 1) return
      await until('the others wait', () => waiting === bodies.length - 1)
      refused.onRefusing()
      throw new WalcastError('APP_UNREACHABLE', { url: 'http://a', detail: 'ECONNREFUSED' })
    },
  )
  const refused = { ...server, onRefusing: () => {}, answered: [] as Promise<{ status: number }>[] }
  const find = server.answers.find.bind(server.answers)
  server.answers.find = (key, owner, first) => {
    const found = find(key, owner, first)
    if (found && asked === 1) waiting++
    return found
  }
  for (const body of bodies) {
    refused.answered.push(server.send(body))
    await until('the first one is asked', () => asked > 0)
  }
  return refused
}

test('of two requests the second is executed if the first was not', async (context) => {
  const same = Buffer.from('abc')
  for (const bodies of [
    [same, same, same],
    [same, Buffer.from('other')],
  ]) {
    const { answered, executed, send } = await refusedFirst(context, bodies)
    const statuses = (await Promise.all(answered)).map(({ status }) => status)
    assert.deepEqual(statuses, [503, ...bodies.slice(1).map(() => 200)])
    assert.equal(executed.length, 1)
    assert.equal((await send(bodies[1])).status, 200)
    assert.equal(executed.length, 1)
  }
})

test('a request whose body has passed while it waited is told so', async (context) => {
  const { answered, executed } = await refusedFirst(context, [
    Buffer.from('abc'),
    Buffer.alloc(1_500_000),
  ])
  const [, second] = await Promise.all(answered)
  assert.deepEqual([second.status, executed.length], [503, 0])
})

test('only the leadership that let a request in executes it', async (context) => {
  const same = Buffer.from('abc')
  const refused = await refusedFirst(context, [same, same])
  refused.onRefusing = () => {
    refused.led.id = 'f'.repeat(16)
  }
  const [, second] = await Promise.all(refused.answered)
  assert.deepEqual([second.status, refused.executed.length], [503, 0])
})

test('whether an answer still holds is decided when it is given', async (context) => {
  const { send, led } = await keyedServer(context, (_incoming, response) => response.end('made'))
  const chunks = Array.from({ length: 20 }, () => Buffer.alloc(10))
  assert.equal((await send(Buffer.concat(chunks))).text, 'made')
  const slow = send(chunks)
  await delay(20)
  led.id = 'f'.repeat(16)
  led.isLasting = false
  assert.ok((await slow).status >= 500)
  assert.equal((await send(chunks)).status, 502)
})

/**
 * What is known of a request that got no answer, with servers that misbehave in each way; and how
 * answers arrive.
 */
import assert from 'node:assert/strict'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Outgoing } from '../../src/proxy/outgoing.ts'
import type { Answer } from '../../src/proxy/relayedAnswer.ts'
import { SendError } from '../../src/proxy/sendError.ts'
import { Upstream, type UpstreamOptions } from '../../src/proxy/upstream.ts'
import { until, within } from '../support/until.ts'

const rejections: unknown[] = []
process.on('unhandledRejection', (reason) => void rejections.push(reason))

/** A server that calls `onData` with each connection and all that came on it so far. */
async function rawServer(context: TestContext, onData: (socket: Socket, text: string) => void) {
  const seen: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const at = seen.push('') - 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      seen[at] += chunk.toString('latin1')
      onData(socket, seen[at])
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, seen, sockets }
}

async function httpServer(context: TestContext, listener: RequestListener) {
  const server = createHttpServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port }
}

function upstreamTo(
  context: TestContext,
  port: number,
  options: Partial<UpstreamOptions> = {},
): Upstream {
  const upstream = new Upstream({
    origin: `http://127.0.0.1:${port}`,
    maxConnections: 4,
    connectTimeoutMs: 30_000,
    answerTimeoutMs: 60_000,
    idleMs: 1000,
    ...options,
  })
  context.after(() => upstream.close())
  return upstream
}

const POST: Outgoing = {
  method: 'POST',
  path: '/write?x=1',
  headers: ['content-length', '0'],
  body: null,
}

async function failureOf(answer: Promise<Answer>): Promise<SendError> {
  const error = await within(
    'the failure',
    answer.then(
      () => undefined,
      (reason) => reason,
    ),
  )
  assert.ok(error instanceof SendError, String(error))
  return error
}

/** The whole body and trailers of an answer, or the error that cut it. */
function bodyOf(answer: Answer): Promise<{ text: string; trailers: object; error?: Error }> {
  return within(
    'the body',
    new Promise((resolve) => {
      let text = ''
      answer.pipeTo({
        write(chunk) {
          text += chunk.toString()
          return true
        },
        end: (trailers) => resolve({ text, trailers }),
        fail: (error) => resolve({ text, trailers: {}, error }),
      })
    }),
  )
}

test('a request to a server that is not there was not sent', async (context) => {
  const upstream = upstreamTo(context, await freePort())
  const error = await failureOf(upstream.send(POST).answer)
  assert.deepEqual(
    [error.wasSent, error.isBadRequest, error.detail],
    [false, false, 'ECONNREFUSED'],
  )
  const body = Readable.from([Buffer.from('x')], { objectMode: false })
  assert.equal(
    (await failureOf(upstream.send({ ...POST, headers: [], body }).answer)).wasSent,
    false,
  )
})

test('a body that breaks off before there is a connection leaves nothing sent', async (context) => {
  const { port, seen } = await rawServer(context, () => {})
  const upstream = upstreamTo(context, port)
  for (const cause of [new Error('the client is gone'), undefined]) {
    const body = new Readable({ read() {} })
    body.on('error', () => {})
    const { answer } = upstream.send({ ...POST, headers: [], body })
    body.destroy(cause)
    const error = await failureOf(answer)
    assert.deepEqual([error.wasSent, error.isBadRequest], [false, false])
  }
  assert.equal(seen.join(''), '')
})

test('a request that cannot be sent is a bad request, and was not sent', async (context) => {
  const { port, seen } = await rawServer(context, (socket) => socket.destroy())
  const upstream = upstreamTo(context, port)
  for (const bad of [
    { path: '*' },
    { path: 'ftp://a/b' },
    { path: '/a b' },
    { method: 'A B' },
    { headers: ['x', 'a\nb'] },
  ]) {
    const error = await failureOf(upstream.send({ ...POST, ...bad }).answer)
    assert.deepEqual([error.wasSent, error.isBadRequest], [false, true], JSON.stringify(bad))
  }
  assert.equal(seen.join(''), '')
})

test('requests that cannot be sent take no connection away from the others', async (context) => {
  const { port } = await httpServer(context, (_request, response) => void response.end('ok'))
  for (const maxConnections of [1, 3]) {
    const upstream = upstreamTo(context, port, { maxConnections })
    for (let i = 0; i < 5; i++) {
      const read = (answer: Promise<Answer>) => within('an answer', answer.then(bodyOf))
      const first = read(upstream.send(POST).answer)
      assert.equal(
        (await failureOf(upstream.send({ ...POST, path: '*' }).answer)).isBadRequest,
        true,
      )
      const last = read(upstream.send(POST).answer)
      assert.deepEqual([(await first).text, (await last).text], ['ok', 'ok'])
    }
  }
})

test('a target that cannot be sent takes no connection from those that wait', async (context) => {
  const { port, sockets } = await rawServer(context, () => {})
  const upstream = upstreamTo(context, port, { maxConnections: 1 })
  const bad: Outgoing = { ...POST, method: 'GET', path: '*', reuse: 'any' }
  assert.equal((await failureOf(upstream.send(bad).answer)).isBadRequest, true)
  assert.equal(sockets.size, 0)
  const first = upstream.send(POST)
  await until('the first has the connection', () => sockets.size === 1)
  const failures = Array.from({ length: 5000 }, () => failureOf(upstream.send(bad).answer))
  assert.ok((await Promise.all(failures)).every(({ isBadRequest }) => isBadRequest))
  first.abort(new Error('enough'))
  await failureOf(first.answer)
})

test('an idle connection that a request did not use keeps its idle time', async (context) => {
  const { port, sockets } = await rawServer(context, (socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  })
  const upstream = upstreamTo(context, port)
  const ok: Outgoing = { ...POST, reuse: 'any' }
  assert.equal((await bodyOf(await upstream.send(ok).answer)).text, 'ok')
  const error = await failureOf(upstream.send({ ...ok, headers: ['x', 'a\nb'] }).answer)
  assert.equal(error.isBadRequest, true)
  assert.equal((await bodyOf(await upstream.send(ok).answer)).text, 'ok')
  assert.equal(sockets.size, 2)
})

const CUTS: Record<string, (socket: Socket) => void> = {
  'closes at once': (socket) => void socket.end(),
  'resets at once': (socket) => void socket.resetAndDestroy(),
  'answers half a head': (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-le'),
  'answers no HTTP': (socket) => void socket.end('SSH-2.0-x\r\n'),
  'says 103 and closes': (socket) =>
    void socket.end('HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n'),
  'says 100 unasked': (socket) => void socket.end('HTTP/1.1 100 Continue\r\n\r\n'),
  'upgrades unasked': (socket) =>
    void socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
  'sends a head that is too large': (socket) =>
    void socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(80_000)}\r\n\r\n`),
}
for (const [name, cut] of Object.entries(CUTS))
  test(`a request whose server ${name} has no known outcome, and is sent once`, async (context) => {
    const { port, seen } = await rawServer(context, (socket, text) => {
      if (text.includes('\r\n\r\n')) cut(socket)
    })
    const error = await failureOf(upstreamTo(context, port).send(POST).answer)
    assert.deepEqual(
      [error.wasSent, error.isBadRequest, error.isTimeout],
      [true, false, false],
      error.message,
    )
    await delay(20)
    assert.equal(seen.length, 1, 'never a second time')
    assert.match(seen[0], /^POST \/write\?x=1 HTTP\/1\.1\r\n/)
  })

test('a request to a server that cuts connections unread counts as sent', async (context) => {
  let accepted = 0
  const server = createServer((socket) => {
    accepted++
    socket.on('error', () => {})
    socket.resetAndDestroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => void server.close())
  const upstream = upstreamTo(context, (server.address() as AddressInfo).port)
  const errors = await Promise.all(
    Array.from({ length: 20 }, () => failureOf(upstream.send(POST).answer)),
  )
  assert.ok(errors.every((error) => !error.isBadRequest))
  assert.ok(accepted >= 1)
})

test('a server that never answers is a time-out', async (context) => {
  const { port, seen } = await rawServer(context, () => {})
  const error = await failureOf(
    upstreamTo(context, port, { answerTimeoutMs: 1000 }).send(POST).answer,
  )
  assert.deepEqual([error.wasSent, error.isTimeout], [true, true])
  assert.equal(seen.length, 1)
})

test('a body that breaks off was sent in part; the server never sees its end', async (context) => {
  const { port, seen } = await rawServer(context, () => {})
  for (const [headers, cause] of [
    [[], new Error('the client is gone')],
    [['content-length', '100'], new Error('the client is gone')],
    [['content-length', '100'], undefined],
  ] as const) {
    const body = new Readable({ read() {} })
    body.push(Buffer.from('part'))
    const { answer } = upstreamTo(context, port).send({ ...POST, headers: [...headers], body })
    const at = await until(
      'the part',
      () => seen.findIndex((text) => /part(\r\n)?$/.test(text)) + 1 || false,
    )
    body.destroy(cause)
    assert.equal((await failureOf(answer)).wasSent, true)
    assert.doesNotMatch(seen[at - 1], /\r\n0\r\n\r\n$/)
    seen[at - 1] = ''
  }
  const short = Readable.from([Buffer.from('short')], { objectMode: false })
  const headers = ['content-length', '100']
  await failureOf(upstreamTo(context, port).send({ ...POST, headers, body: short }).answer)
})

test('a request given up before it had a connection was not sent', async (context) => {
  const { port, seen } = await rawServer(context, () => {})
  const upstream = upstreamTo(context, port, { maxConnections: 1 })
  const gone = upstream.send(POST)
  gone.abort(new Error('gone'))
  assert.equal((await failureOf(gone.answer)).wasSent, false)
  const first = upstream.send(POST)
  await until('the first', () => seen.some((text) => text.includes('POST')))
  const second = upstream.send({ ...POST, path: '/second' })
  second.abort(new Error('gone'))
  first.abort(new Error('gone'))
  first.abort(new Error('gone again'))
  assert.equal((await failureOf(first.answer)).wasSent, true)
  assert.equal((await failureOf(second.answer)).wasSent, false)
  await delay(20)
  assert.ok(!seen.some((text) => text.includes('/second')))
})

test('requests that wait when a connection is cut are each sent once', async (context) => {
  const { port, seen } = await rawServer(context, (socket, text) => {
    if (text.includes('/cut')) socket.resetAndDestroy()
    else if (text.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
  const upstream = upstreamTo(context, port, { maxConnections: 1 })
  const cut = upstream.send({ ...POST, path: '/cut' })
  const waiting = [1, 2, 3].map((at) => upstream.send({ ...POST, path: `/${at}` }))
  assert.equal((await failureOf(cut.answer)).wasSent, true)
  for (const { answer } of waiting) (await within('an answer', answer)).discard()
  for (const path of ['/cut', '/1', '/2', '/3'])
    assert.equal(seen.join('').split(`POST ${path} `).length - 1, 1, path)
})

test('closing tells requests that had a connection from those that had none', async (context) => {
  const { port, seen } = await rawServer(context, () => {})
  const upstream = upstreamTo(context, port, { maxConnections: 1 })
  const first = failureOf(upstream.send(POST).answer)
  const second = failureOf(upstream.send(POST).answer)
  await until('the first', () => seen.some((text) => text.includes('POST')))
  await upstream.close()
  assert.deepEqual([(await first).wasSent, (await second).wasSent], [true, false])
  assert.equal((await failureOf(upstream.send(POST).answer)).wasSent, false)
})

test('no request over a closed idle connection is lost silently', async (context) => {
  const { port, seen } = await rawServer(context, (socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  })
  const upstream = upstreamTo(context, port, { maxConnections: 1 })
  let answered = 0
  let unknown = 0
  for (let i = 0; i < 30; i++) {
    const answer = await within(
      'an outcome',
      upstream.send({ ...POST, path: `/${i}.` }).answer.catch((e) => e),
    )
    if (answer instanceof SendError) {
      assert.equal(
        answer.wasSent || !seen.join('').includes(`/${i}. `),
        true,
        'it came although it was not sent',
      )
      unknown++
    } else {
      await bodyOf(answer)
      answered++
    }
    assert.ok(seen.join('').split(`/${i}. `).length - 1 <= 1, 'it came twice')
  }
  assert.equal(answered + unknown, 30)
  assert.ok(answered > 0)
})

test('answers come with body, trailers and repeated headers', async (context) => {
  const { port } = await httpServer(context, (request, response) => {
    request.resume()
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeHead(201, 'Made', [
      ...[
        'set-cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'x-large',
        'y'.repeat(10_000),
        'trailer',
        'x-sum',
      ],
    ])
    response.write('one')
    response.addTrailers({ 'x-sum': '3' })
    setTimeout(() => response.end('two'), 5)
  })
  const body = Readable.from([Buffer.from('abc'), Buffer.from('def')], { objectMode: false })
  const answer = await upstreamTo(context, port).send({ ...POST, headers: [], body }).answer
  assert.deepEqual([answer.status, answer.statusText, answer.hasLength], [201, 'Made', false])
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
  assert.equal(answer.header('x-large')?.length, 10_000)
  assert.deepEqual(await bodyOf(answer), { text: 'onetwo', trailers: { 'x-sum': '3' } })
})

test('answers without a body end, and their connection is used again', async (context) => {
  const { port, sockets } = await rawServer(context, (socket, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    const [, status] = /\/(\d+) HTTP\/1\.1\r\n(?!.*HTTP)/s.exec(text) ?? []
    socket.write(`HTTP/1.1 ${status} x\r\n${status === '200' ? 'content-length: 0\r\n' : ''}\r\n`)
  })
  const upstream = upstreamTo(context, port, { maxConnections: 1 })
  for (const path of ['/204', '/304', '/200', '/204']) {
    const answer = await within(
      path,
      upstream.send({ ...POST, method: 'GET', headers: [], path }).answer,
    )
    assert.equal(answer.status, Number(path.slice(1)))
    assert.deepEqual(await bodyOf(answer), { text: '', trailers: {} })
  }
  assert.equal(sockets.size, 1)
  const head = await within(
    'HEAD',
    upstream.send({ ...POST, method: 'HEAD', headers: [], path: '/304' }).answer,
  )
  assert.deepEqual(await bodyOf(head), { text: '', trailers: {} })
})

test('a connection is not used again behind a bare answer that tells a length', async (context) => {
  for (const head of [
    'HTTP/1.1 204 x\r\ncontent-length: 5\r\n\r\n',
    'HTTP/1.1 304 x\r\ncontent-length: 5\r\n\r\n',
    'HTTP/1.1 304 x\r\ntransfer-encoding: chunked\r\n\r\n',
  ]) {
    const { port, sockets } = await rawServer(context, (socket, text) => {
      if (text.endsWith('\r\n\r\n')) socket.write(head)
    })
    const upstream = upstreamTo(context, port)
    for (let i = 1; i <= 3; i++) {
      const answer = await within('an answer', upstream.send({ ...POST, reuse: 'any' }).answer)
      assert.deepEqual(await bodyOf(answer), { text: '', trailers: {} })
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(sockets.size, i, head)
    }
  }
})

test('bytes behind an unread answer are not taken for the next one', async (context) => {
  const { port, sockets } = await rawServer(context, (socket, text) => {
    if (text.includes('/large'))
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 20100\r\n\r\n${'x'.repeat(20_000)}`)
    else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  })
  const upstream = upstreamTo(context, port)
  const answer = await upstream.send({ ...POST, path: '/large' }).answer
  const [socket] = sockets
  // One after the other: a parser finds what comes with the end of an answer.
  for (const part of ['y'.repeat(100), 'HTTP/1.1 200 OK\r\ncontent-le']) {
    socket.write(part)
    await delay(20)
  }
  await until('the connection is given up', () => socket.destroyed || socket.readableEnded)
  assert.equal((await bodyOf(answer)).text.length, 20_100)
  assert.equal((await bodyOf(await upstream.send({ ...POST, reuse: 'any' }).answer)).text, 'ok')
})

test('a cut answer fails after what came of it, even if it is read late', async (context) => {
  for (const isLate of [false, true]) {
    const { port } = await rawServer(context, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart')
      setTimeout(() => socket.resetAndDestroy(), 5)
    })
    const answer = await upstreamTo(context, port).send(POST).answer
    if (isLate) await delay(30)
    const { error } = await bodyOf(answer)
    assert.ok(error, 'a part is never the whole')
  }
})

test('an answer that comes before the request is whole is an answer', async (context) => {
  const { port } = await rawServer(context, (socket, text) => {
    if (text.includes('part') && !socket.writableEnded)
      socket.end('HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno')
  })
  const body = new Readable({ read() {} })
  body.on('error', () => {})
  body.push(Buffer.from('part'))
  const answer = await upstreamTo(context, port).send({ ...POST, headers: [], body }).answer
  assert.equal(answer.status, 413)
  assert.equal((await bodyOf(answer)).text, 'no')
  await until('the body is not read on', () => body.destroyed)
})

test('an unread body is not read ahead; giving it up closes the connection', async (context) => {
  let sent = 0
  const { port } = await httpServer(context, (_request, response) => {
    new Readable({
      read() {
        sent += 65_536
        this.push(Buffer.alloc(65_536))
      },
    }).pipe(response)
  })
  const { answer: answering } = upstreamTo(context, port).send(POST)
  const answer = await answering
  await delay(100)
  assert.ok(sent < 16_000_000, `${sent} bytes`)
  answer.discard()
  const before = sent
  await until('it is read no further', async () => {
    await delay(50)
    const now = sent
    await delay(50)
    return now === sent
  })
  assert.ok(sent - before < 16_000_000)
  const { error } = await bodyOf(answer)
  assert.ok(error)
})

test('nothing was rejected without being caught', async () => {
  await delay(50)
  assert.deepEqual(rejections, [])
})

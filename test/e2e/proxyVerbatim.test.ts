/**
 * Requests and answers pass the nodes unchanged, both read at the replica and forwarded to the
 * leader.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { labTest } from '../support/lab.ts'
import type { AnswerSpec } from '../support/programs/echoApp.ts'
import type { TestNode } from '../support/testNode.ts'
import {
  ask,
  codeOf,
  echoIn,
  type Got,
  type Part,
  RawHttp,
  requireQuiet,
  runParts,
  startTraffic,
  telling,
  valuesOf,
} from '../support/trafficLab.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024

/** Headers that the node itself adds to an answer. */
const OF_NODES = /^(connection|keep-alive|transfer-encoding|date|walcast-.*)$/

/** Headers of an answer as the application sent them, sorted. */
function madeBy({ rawHeaders }: Got): string[] {
  const lines: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i].toLowerCase(), rawHeaders[i + 1]]
    if (!OF_NODES.test(name) && !value.startsWith('walcast_position='))
      lines.push(`${name}: ${value}`)
  }
  return lines.sort()
}

const parts: Part[] = []
const part = (name: string, run: Part['run']) => void parts.push({ name, run })

part('answers are the application’s: status, reason, headers, body', async (traffic) => {
  const { atLeader, atReplica, leaderApp } = traffic
  const specs: [string, AnswerSpec][] = [
    [
      'several cookies',
      {
        headers: ['set-cookie', 'a=1; Path=/', 'set-cookie', 'b=2', 'x-a', '1', 'x-a', '2'],
        body: 'x',
      },
    ],
    ['a redirect', { status: 302, headers: ['location', 'http://elsewhere.test/x?y'], body: '' }],
    ['a reason', { status: 200, reason: 'Quite Fine', body: 'ok' }],
    [
      'a reason in UTF-8',
      { status: 200, reason: Buffer.from('Très bien').toString('latin1'), body: 'ok' },
    ],
    ['no reason', { status: 299, reason: '', body: 'ok' }],
    ['404', { status: 404, body: '{"code":"mine"}' }],
    ['401', { status: 401, headers: ['www-authenticate', 'Basic realm="x"'], body: 'no' }],
    ['500', { status: 500, body: 'oh' }],
    ['503', { status: 503, headers: ['retry-after', '7'], body: 'busy' }],
    ['204', { status: 204 }],
    ['304', { status: 304, headers: ['etag', '"x"'] }],
    ['a length of 0', { headers: ['content-length', '0'], body: '' }],
    [
      'latin1 and UTF-8 bytes',
      {
        headers: ['x-l', 'caf\xe9', 'x-u', Buffer.from('日本').toString('latin1')],
        body: '\u{1f600}',
      },
    ],
    ['names of prototypes', { headers: ['constructor', 'a', 'x-empty', ''], body: 'x' }],
    [
      'compressed',
      { headers: ['content-encoding', 'gzip', 'vary', 'a', 'vary', 'b'], body: 'not really' },
    ],
    ['parts', { parts: ['one'], body: 'two' }],
    ['trailers', { headers: ['trailer', 'x-sum'], parts: ['one'], trailers: { 'x-sum': '42' } }],
    ['close-delimited', { raw: 'HTTP/1.0 200 OK\r\nx-old: 1\r\n\r\nto the end' }],
    [
      'early hints',
      {
        raw:
          'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n' +
          'content-length: 2\r\n\r\nok',
      },
    ],
  ]
  for (const [what, answer] of specs) {
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
      if (method === 'HEAD' && (answer.raw || answer.trailers)) continue
      const asked = { method, path: '/x', answer }
      const direct = await ask(leaderApp.port, asked)
      for (const port of [atReplica, atLeader]) {
        for (const headers of method === 'POST' && answer.raw === undefined
          ? [[], ['idempotency-key', `${what}${port}`]]
          : [[]]) {
          const got = await ask(port, { ...asked, headers })
          const site = port === atLeader ? 'leader' : 'replica'
          const place = `${what}, ${method} at ${site} ${headers}`
          assert.deepEqual([got.status, got.reason], [direct.status, direct.reason], place)
          assert.equal(got.body.toString('latin1'), direct.body.toString('latin1'), place)
          const keyed = headers.length > 0
          if (!keyed) {
            assert.deepEqual(madeBy(got), madeBy(direct), place)
            assert.deepEqual(got.trailers, direct.trailers, place)
          } else if (direct.status === 204)
            assert.deepEqual(valuesOf(got, 'content-length'), [], place)
        }
      }
    }
  }
  await requireQuiet(traffic)
})

part('requests reach the application as they were sent', async (traffic, lab) => {
  const { atLeader, atReplica } = traffic
  const targets = [
    '/%ff',
    '/a%2Fb',
    '//a//b',
    '/a/..;/b',
    '/?a=b?c',
    '/%E6%97%A5?q=%F0%9F%98%80',
    '/a/../b',
    '/%00',
    '/a;b=c',
    '/x?y=/_walcast',
    '/!\'()*[]|^{}"<>',
  ]
  for (const port of [atReplica, atLeader]) {
    for (const path of targets)
      for (const method of ['GET', 'POST'])
        assert.equal(echoIn(await ask(port, { method, path })).url, path)
    for (const method of [
      'PUT',
      'PATCH',
      'DELETE',
      'GET',
      'OPTIONS',
      'PROPFIND',
      'M-SEARCH',
      'REPORT',
    ])
      for (const body of ['', 'hello', Buffer.alloc(200_000, 'z')]) {
        const echo = echoIn(await ask(port, { method, path: '/m', body }))
        assert.deepEqual([echo.method, echo.bytes], [method, body.length])
        assert.equal(echo.sha256, createHash('sha256').update(body).digest('hex'))
        assert.equal(
          echo.app,
          port === atReplica && ['GET', 'OPTIONS'].includes(method) ? 'replica' : 'leader',
        )
      }
    for (const method of ['GET', 'POST']) {
      const headers = [
        'X-Latin',
        'caf\xe9',
        'x-many',
        '1',
        'x-many',
        '2',
        'cookie',
        'a=b; c=d',
        'authorization',
        'Basic eA==',
        'x-empty',
        '',
      ]
      const echo = echoIn(await ask(port, { method, headers }))
      assert.deepEqual(valuesOf(echo, 'x-latin'), ['caf\xe9'])
      assert.deepEqual(valuesOf(echo, 'x-many'), ['1', '2'])
      assert.deepEqual(valuesOf(echo, 'host'), ['app.test'])
      assert.deepEqual(valuesOf(echo, 'cookie'), ['a=b; c=d'])
      assert.deepEqual(valuesOf(echo, 'authorization'), ['Basic eA=='])
      assert.deepEqual(valuesOf(echo, 'x-empty'), [''])
      assert.deepEqual(valuesOf(echo, 'x-forwarded-for'), ['127.0.0.1'])
      assert.deepEqual(valuesOf(echo, 'x-replica-auth'), [])
    }
    const raw = (text: string) => RawHttp.exchange(lab, port, text)
    const close = 'Host: app.test\r\nConnection: close\r\n\r\n'
    assert.match(
      await raw(`GET http://elsewhere.test/abs?x HTTP/1.1\r\n${close}`),
      /"url":"\/abs\?x"/,
    )
    assert.match(
      await raw(`POST HTTP://elsewhere.test HTTP/1.1\r\nContent-Length: 0\r\n${close}`),
      /"url":"\/"/,
    )
    const old = await raw('GET /old HTTP/1.0\r\n\r\n')
    assert.match(old, /^HTTP\/1.1 200 OK\r\n/)
    assert.match(old, /"url":"\/old"/)
    assert.doesNotMatch(old, /transfer-encoding/i)
    const trailed = telling({
      headers: ['trailer', 'x-sum'],
      parts: ['one'],
      trailers: { 'x-sum': '42' },
    })
    assert.match(
      await raw(`GET /old HTTP/1.0\r\nx-answer: ${trailed}\r\n\r\n`),
      /^HTTP\/1.1 200 OK[\s\S]*\r\n\r\none$/,
    )
    assert.match(
      await raw(
        `POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${close}3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n`,
      ),
      /"bytes":3/,
    )
    assert.match(
      await raw(`GET /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${close}3\r\nabc\r\n0\r\n\r\n`),
      /"bytes":3/,
    )
    const expecting = await RawHttp.open(lab, port)
    expecting.write(
      'POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n' +
        'Connection: close\r\n\r\n',
    )
    await expecting.seen('HTTP/1.1 100 Continue\r\n\r\n')
    expecting.write('hello')
    assert.match(await expecting.whole(), /HTTP\/1.1 200 OK[\s\S]*"bytes":5/)
    const star = await raw(`OPTIONS * HTTP/1.1\r\n${close}`)
    assert.match(star, /^HTTP\/1.1 (200|400) /, 'passed on or refused, never something else')
  }
  await requireQuiet(traffic)
})

part(
  'a stream is passed on as it comes; slow, leaving and cut-off ones leave nothing behind',
  async (traffic, lab) => {
    const { atLeader, atReplica, leaderApp, replicaApp, leader, replica } = traffic
    const events = ['content-type', 'text/event-stream']
    for (const [port, method, app] of [
      [atReplica, 'GET', replicaApp],
      [atReplica, 'POST', leaderApp],
      [atLeader, 'POST', leaderApp],
    ] as const) {
      const spec = telling({
        headers: events,
        parts: ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n'],
      })
      const start = async (path: string, more = '') => {
        const raw = await RawHttp.open(lab, port)
        raw.write(
          `${method} ${path} HTTP/1.1\r\nHost: a\r\nx-answer: ${spec}\r\n` +
            `${more}Content-Length: 0\r\n\r\n`,
        )
        await raw.seen('data: 1')
        return raw
      }
      const whole = await start('/events', `Idempotency-Key: e${port}\r\n`)
      assert.doesNotMatch(whole.text, /data: 2/)
      await app.go()
      await whole.seen('data: 2')
      await app.go()
      await whole.seen('data: 3')
      const path = `/left-${method}-${port}`
      const left = await start(path)
      left.socket.destroy()
      await until('the application sees it', async () => (await app.state()).aborted.includes(path))
      whole.socket.destroy()

      const slow = await RawHttp.open(lab, port)
      const head = `${method} /byByte HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n`
      for (const char of `${head}slow body`) {
        slow.write(char)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await slow.seen('"bytes":9')
      slow.socket.destroy()

      const broken = await RawHttp.open(lab, port)
      const answer = telling({ raw: 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf' })
      broken.write(
        `${method} /half HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nx-answer: ${answer}\r\n\r\n`,
      )
      assert.match(await broken.whole(), /half$/, 'cut, as it was cut')

      for (const mib of [1, 3]) {
        const target = `/upload-${mib}-${method}-${port}`
        const upload = await RawHttp.open(lab, port)
        upload.write(
          `${method} ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${8 * MIB}\r\n\r\n`,
        )
        upload.write('u'.repeat(mib * MIB))
        await until('it began', async () => (await app.count(method, target)) === 1)
        upload.socket.destroy()
        await until('the application sees it', async () =>
          (await app.state()).aborted.includes(target),
        )
      }
      const waiting = await RawHttp.open(lab, port)
      const gone = `/gone-${method}-${port}`
      waiting.write(
        `${method} ${gone} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n` +
          `x-answer: ${telling({ waits: true })}\r\n\r\nab`,
      )
      await until('it waits', async () => (await app.state()).waiting === 1)
      waiting.socket.destroy()
      await until('the application sees it', async () => (await app.state()).aborted.includes(gone))
    }
    await requireQuiet(traffic)
    for (const node of [leader, replica]) assert.equal((await node.get('/livez')).status, 200)
  },
)

labTest('100 MB pass each way in bounded memory, also to a slow reader', async (lab) => {
  const traffic = await startTraffic(lab)
  const { atReplica, leader, replica } = traffic
  const bytes = 100 * MIB
  const warm = await ask(atReplica, {
    method: 'POST',
    body: Buffer.alloc(2 * MIB),
    answer: { bytes: 2 * MIB },
  })
  assert.equal(warm.body.length, 2 * MIB)
  const nodes: readonly TestNode[] = [leader, replica]
  const before = nodes.map((node) => node.rssBytes)
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, ...nodes.map((node, i) => node.rssBytes - before[i]))
  }, 20)
  lab.atEnd(() => clearInterval(watch))
  for (const [method, framing] of [
    ['GET', ['transfer-encoding', 'chunked']],
    ['POST', ['content-length', String(bytes)]],
  ] as const) {
    const headers = ['host', 'a', ...framing, 'x-answer', telling({ bytes })]
    const sent = request({ port: atReplica, method, path: '/big', headers, agent: false })
    const chunk = Buffer.alloc(256 * 1024, 'b')
    const answered = once(sent, 'response')
    for (let left = bytes; left > 0; left -= chunk.length)
      if (!sent.write(chunk)) await once(sent, 'drain')
    sent.end()
    const [answer] = await answered
    let got = 0
    for await (const part of answer) {
      got += part.length
      if (got % (64 * 1024) === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(got, bytes)
  }
  const stalled = await RawHttp.open(lab, atReplica)
  stalled.socket.pause()
  stalled.write(
    'POST /stalled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n' +
      `x-answer: ${telling({ bytes })}\r\n\r\n`,
  )
  await until('it is under way', async () => (await leader.metric('walcast_intake_requests')) === 1)
  await ask(atReplica, { method: 'POST', answer: { bytes: 20 * MIB } })
  assert.ok(peak < 80 * MIB, `a node grew by ${Math.round(peak / MIB)} MiB`)
  stalled.socket.destroy()
  await requireQuiet(traffic)
})

part('an application that answers before it has read the body', async (traffic, lab) => {
  const { atLeader, atReplica, leaderApp, leader, replica } = traffic
  for (const [port, method] of [
    [atReplica, 'GET'],
    [atReplica, 'POST'],
    [atLeader, 'POST'],
  ] as const)
    for (const key of [[], ['Idempotency-Key: early\r\n']]) {
      const raw = await RawHttp.open(lab, port)
      const answer = telling({
        status: 413,
        body: 'too much',
        early: true,
        headers: ['connection', 'close'],
      })
      raw.write(
        `${method} /early-${port} HTTP/1.1\r\nHost: a\r\n${key.join('')}Content-Length: ` +
          `${4 * MIB}\r\nx-answer: ${answer}\r\n\r\nbegin`,
      )
      await raw.seen('too much')
      assert.match(raw.text, /^HTTP\/1.1 413 /)
      assert.match(raw.text, /connection: close/i)
      raw.write('x'.repeat(2 * MIB))
      await raw.whole()
    }
  // With a key this holds past --replay-body, up to which the node waits for the whole body.
  for (const port of [atReplica, atLeader]) {
    const raw = await RawHttp.open(lab, port)
    const answer = telling({ headers: ['content-type', 'text/event-stream'], headFirst: true })
    raw.write(
      `POST /duplex HTTP/1.1\r\nHost: a\r\nIdempotency-Key: d${port}\r\n` +
        `Content-Length: ${2 * MIB + 5}\r\nx-answer: ${answer}\r\n\r\nbegin`,
    )
    await raw.seen('200 OK')
    raw.write('x'.repeat(2 * MIB))
    await raw.seen(`"bytes":${2 * MIB + 5}`)
  }
  const { status } = await ask(atReplica, {
    method: 'POST',
    path: '/after',
    headers: ['idempotency-key', 'after'],
  })
  assert.equal(status, 200)
  assert.equal(await leaderApp.count('POST', '/after'), 1)
  for (const node of [leader, replica]) assert.equal((await node.get('/livez')).status, 200)
  await requireQuiet(traffic)
})

labTest('pipelined requests of a client that left stop counting', async (lab) => {
  const flags = ['--max-requests', '4']
  const traffic = await startTraffic(lab, { replicaFlags: flags, leaderFlags: flags })
  const { atLeader, atReplica, leaderApp, replicaApp } = traffic
  for (const [port, app] of [
    [atReplica, replicaApp],
    [atLeader, leaderApp],
  ] as const) {
    for (let round = 0; round < 3; round++) {
      const raw = await RawHttp.open(lab, port)
      const slow = `GET /first HTTP/1.1\r\nHost: a\r\nx-answer: ${telling({ waits: true })}\r\n\r\n`
      raw.write(slow + 'POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx'.repeat(3))
      await until('the first came', async () => (await app.state()).waiting === 1)
      await until('all came', async () => (await leaderApp.count('POST', '/next')) > 0)
      raw.socket.destroy()
      await until('none waits', async () => (await app.state()).waiting === 0)
    }
    const got = await until('it takes requests', async () => {
      const answer = await ask(port, { path: '/ok' })
      return codeOf(answer) === 'TOO_MANY_REQUESTS' ? undefined : answer
    })
    assert.equal(got.status, 200)
  }
  await requireQuiet(traffic)
})

labTest('requests and answers pass both proxies unchanged', async (lab, t) =>
  runParts(lab, t, await startTraffic(lab), parts),
)

/**
 * Legal but rare answers and requests, byte by byte on each way to an application: at the leader,
 * at the replica, through a replica to the leader, and with a remembered answer. RFC 9110 and 9112
 * define what is right.
 */
import assert from 'node:assert/strict'
import { type Lab, labTest } from '../support/lab.ts'
import {
  type App,
  echoIn,
  type Part,
  RawHttp,
  requireQuiet,
  runParts,
  startTraffic,
  type Traffic,
  telling,
  valuesOf,
} from '../support/trafficLab.ts'

const MIB = 1024 * 1024

interface Way {
  readonly name: string
  readonly port: number
  readonly method: 'GET' | 'POST'
  readonly app: App
  /** Header lines. */
  readonly more: string
}

let keys = 0

function waysOf({ atLeader, atReplica, leaderApp, replicaApp }: Traffic): Way[] {
  const keyed = () => `Idempotency-Key: answers${keys++}\r\n`
  return [
    { name: 'the leader reads', port: atLeader, method: 'GET', app: leaderApp, more: '' },
    { name: 'the leader writes', port: atLeader, method: 'POST', app: leaderApp, more: '' },
    { name: 'the replica reads', port: atReplica, method: 'GET', app: replicaApp, more: '' },
    { name: 'the replica forwards', port: atReplica, method: 'POST', app: leaderApp, more: '' },
    {
      name: 'the leader, with a key',
      port: atLeader,
      method: 'POST',
      app: leaderApp,
      more: keyed(),
    },
    {
      name: 'the replica, with a key',
      port: atReplica,
      method: 'POST',
      app: leaderApp,
      more: keyed(),
    },
  ]
}

const parts: Part[] = []
const part = (name: string, run: Part['run']) => void parts.push({ name, run })

function headOf({ method, more }: Way, answer: string): string {
  const body = method === 'POST' ? 'Content-Length: 3\r\n\r\nabc' : '\r\n'
  return `${method} /x HTTP/1.1\r\nHost: app.test\r\nX-Answer: ${answer}\r\n${more}${body}`
}

const NEXT = 'GET /next HTTP/1.1\r\nHost: app.test\r\n\r\n'

/**
 * Sends a request that gets `answer`, then another on the same connection. Returns everything
 * received.
 */
async function answered(lab: Lab, way: Way, answer: string): Promise<string> {
  const raw = await RawHttp.open(lab, way.port)
  raw.write(headOf(way, telling({ raw: answer })))
  raw.write(NEXT)
  await raw.seen('"url":"/next"')
  raw.socket.destroy()
  return raw.text.slice(0, raw.text.lastIndexOf('HTTP/1.1 '))
}

part(
  'answers without a body: 304 keeps its length, 204 has none, ' +
    'and neither takes the next one’s place',
  async (traffic, lab) => {
    for (const way of waysOf(traffic)) {
      const unchanged = await answered(
        lab,
        way,
        'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n',
      )
      assert.match(unchanged, /^HTTP\/1.1 304 Not Modified\r\n[\s\S]*\r\n\r\n$/, way.name)
      assert.match(unchanged, /\r\netag: "x"\r\n/i, way.name)
      assert.match(unchanged, /\r\ncontent-length: 5\r\n/i, way.name)
    }
    for (const framing of [
      'Content-Length: 5\r\n\r\nhello',
      '\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    ]) {
      for (const way of waysOf(traffic)) {
        const empty = await answered(lab, way, `HTTP/1.1 204 No Content\r\nX-A: b\r\n${framing}`)
        assert.match(empty, /^HTTP\/1.1 204 No Content\r\n[\s\S]*\r\n\r\n$/, way.name)
        assert.match(empty, /\r\nx-a: b\r\n/i, way.name)
        assert.doesNotMatch(empty, /hello|evil|content-length|transfer-encoding/i, way.name)
      }
    }
  },
)

part('an application that refuses before the body ended, and closes', async (traffic, lab) => {
  for (const [status, reason] of [
    [413, 'Too Large'],
    [401, 'Unauthorized'],
  ] as const)
    for (let round = 0; round < 6; round++)
      for (const way of waysOf(traffic)) {
        const raw = await RawHttp.open(lab, way.port)
        // Its server closes with the body unread: the system resets the connection behind the
        // answer.
        const headers = ['connection', 'close', 'content-length', '3']
        const answer = telling({ status, reason, headers, body: 'no!', early: true })
        raw.write(
          `POST /early HTTP/1.1\r\nHost: app.test\r\n${way.more}Content-Length: ${2 * MIB}\r\n` +
            `X-Answer: ${answer}\r\n\r\n`,
        )
        raw.write('x'.repeat(2 * MIB))
        await raw.seen('no!')
        assert.match(raw.text, new RegExp(`^HTTP/1.1 ${status} ${reason}\r\n`), way.name)
        // The application goes on once the whole request has arrived.
        if (/connection: close/i.test(raw.text)) await raw.whole()
        raw.socket.destroy()
      }
})

part('an answer to the head alone, while the client holds its body back', async (traffic, lab) => {
  // With a key the node reads the body first, so a broken request reaches no application.
  for (const way of waysOf(traffic).filter(({ name }) => !name.endsWith('with a key'))) {
    const raw = await RawHttp.open(lab, way.port)
    const answer = 'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!'
    raw.write(
      `POST /held HTTP/1.1\r\nHost: app.test\r\n${way.more}Content-Length: 5\r\n` +
        `X-Answer: ${telling({ raw: answer, early: true })}\r\n\r\n`,
    )
    await raw.seen('no!')
    assert.match(raw.text, /^HTTP\/1.1 401 Unauthorized\r\n/, way.name)
  }
})

part('trailers of a request', async (traffic, lab) => {
  for (const way of waysOf(traffic)) {
    const text = await RawHttp.exchange(
      lab,
      way.port,
      `${way.method} /t HTTP/1.1\r\nHost: app.test\r\n${way.more}Connection: close\r\n` +
        'Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '3\r\nabc\r\n0\r\nX-Sum: caf\xe9\r\nX-Sum: 2\r\nWalcast-Stale: 1\r\n' +
        'X-Replica-Auth: v1\r\nAuthorization: x\r\n\r\n',
    )
    const echo = echoIn({
      status: 200,
      reason: '',
      rawHeaders: [],
      trailers: {},
      body: Buffer.from(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1), 'latin1'),
    })
    assert.equal(echo.bytes, 3, way.name)
    assert.equal(echo.rawTrailers.length, 4, `${way.name}: ${echo.rawTrailers}`)
    assert.deepEqual(
      echo.rawTrailers.filter((_text, i) => i % 2 === 0),
      ['X-Sum', 'X-Sum'],
    )
    assert.equal(echo.rawTrailers[3], '2', way.name)
    assert.deepEqual(valuesOf(echo, 'trailer'), ['X-Sum'], way.name)
  }
  for (const way of waysOf(traffic)) {
    const text = await RawHttp.exchange(
      lab,
      way.port,
      `${way.method} /t HTTP/1.1\r\nHost: app.test\r\n${way.more}Connection: close\r\n` +
        'Trailer: X-Sum\r\nContent-Length: 0\r\n\r\n',
    )
    assert.match(
      text,
      /^HTTP\/1.1 200 OK\r\n/,
      `${way.name}: trailers announced where there can be none`,
    )
  }
})

part('targets in absolute form and that of the server', async (traffic, lab) => {
  const close = 'Connection: close\r\nContent-Length: 0\r\n\r\n'
  for (const { port, method, more, name } of waysOf(traffic)) {
    const raw = (line: string) =>
      RawHttp.exchange(lab, port, `${line} HTTP/1.1\r\nHost: other.test\r\n${more}${close}`)
    for (const [target, url] of [
      ['http://named.test:81/abs?x=%ff', '/abs?x=%ff'],
      ['HTTPS://named.test:81?x', '/?x'],
      ['http://named.test:81', '/'],
    ]) {
      const text = await raw(`${method} ${target}`)
      assert.ok(text.includes(`"url":"${url}"`), `${name}: ${text}`)
      assert.match(text, /"host","named.test:81"/i, `${name}: the target’s host counts`)
      assert.match(text, /"x-forwarded-host","named.test:81"/i, name)
      assert.doesNotMatch(text, /other\.test/, name)
    }
    for (const target of ['*', 'http://named.test:81'])
      assert.ok((await raw(`OPTIONS ${target}`)).includes('"url":"*"'), `${name}: ${target}`)
    for (const target of ['ftp://named.test/x', 'http:/x'])
      assert.match(await raw(`${method} ${target}`), /^HTTP\/1.1 400 /, `${name}: ${target}`)
  }
})

part('answers before the answer (1xx) come at once and in their order', async (traffic, lab) => {
  const interim =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n' +
    'X-L: caf\xe9\r\nWalcast-Stale: 1\r\n\r\n' +
    'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Of Mine\r\nX-A: 1\r\nX-A: 2\r\n\r\n'
  for (const way of waysOf(traffic)) {
    const raw = await RawHttp.open(lab, way.port)
    raw.write(headOf(way, telling({ interim, waits: true, body: 'done' })))
    await raw.seen('x-a: 2\r\n\r\n')
    assert.equal(
      raw.text,
      'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nx-l: caf\xe9\r\n\r\n' +
        'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Of Mine\r\nx-a: 1\r\nx-a: 2\r\n\r\n',
      way.name,
    )
    await way.app.go()
    await raw.seen('done')
    assert.match(raw.text, /x-a: 2\r\n\r\nHTTP\/1.1 200 OK\r\n/, way.name)
    raw.write(NEXT)
    await raw.seen('"url":"/next"')
    raw.socket.destroy()
  }
  const { atLeader, atReplica } = traffic
  for (const port of [atLeader, atReplica]) {
    const hints = telling({ interim, body: 'done' })
    const old = await RawHttp.exchange(lab, port, `GET /old HTTP/1.0\r\nX-Answer: ${hints}\r\n\r\n`)
    assert.match(old, /^HTTP\/1.1 200 OK\r\n/, 'HTTP/1.0 knows none')
  }
})

part('an upgrade that the application refuses, in latin1', async (traffic, lab) => {
  const refusal =
    'HTTP/1.1 403 Interdit \xe0 vous\r\nX-L: caf\xe9\r\nContent-Length: 4\r\n\r\nn\xf6n!'
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
  const { atLeader, atReplica } = traffic
  for (const [port, path] of [
    [atLeader, '/up'],
    [atReplica, '/up'],
    [atReplica, '/leader/up'],
  ] as const) {
    const text = await RawHttp.exchange(
      lab,
      port,
      `GET ${path} HTTP/1.1\r\nHost: app.test\r\n` +
        `${upgrade}X-Answer: ${telling({ raw: refusal })}\r\n\r\n`,
    )
    assert.match(text, /^HTTP\/1.1 403 Interdit \xe0 vous\r\n/, path)
    assert.match(text, /\r\nX-L: caf\xe9\r\n/i, path)
    assert.match(text, /\r\n\r\nn\xf6n!$/, path)
  }
})

part('one limit for a head, at the leader and at a replica', async (traffic, lab) => {
  for (const way of waysOf(traffic)) {
    const send = (bytes: number) => {
      const before =
        `${way.method} /h HTTP/1.1\r\nHost: ${'h'.repeat(3000)}.test\r\n` +
        `${way.more}Connection: close\r\nContent-Length: 0\r\nX-A: `
      return RawHttp.exchange(
        lab,
        way.port,
        `${before}${'a'.repeat(bytes - before.length - 4)}\r\n\r\n`,
      )
    }
    assert.match(await send(16_100), /^HTTP\/1.1 200 OK\r\n/, way.name)
    assert.match(await send(16_600), /^HTTP\/1.1 431 /, way.name)
    const large = await RawHttp.open(lab, way.port)
    large.write(headOf(way, telling({ headBytes: 60_000, body: 'done' })))
    await large.seen('done')
    assert.match(large.text, /^HTTP\/1.1 200 OK\r\n/, `${way.name}: an answer’s head of 60 KB`)
    assert.match(large.text, /x-large: a{60000}\r\n/, way.name)
    large.socket.destroy()
  }
})

part('a head of very many headers passes whole', async (traffic, lab) => {
  // Node drops headers past the thousandth, here the body's length among them.
  const many = 'a: b\r\n'.repeat(1500)
  for (const { port, method, more, name } of waysOf(traffic)) {
    const text = await RawHttp.exchange(
      lab,
      port,
      `${method} /many HTTP/1.1\r\nHost: app.test\r\n${more}Connection: close\r\n` +
        `${many}X-Last: 1\r\nContent-Length: 5\r\n\r\nhello`,
    )
    assert.match(text, /"X-Last","1"/, name)
    assert.match(text, /"bytes":5,/, name)
  }
})

labTest('answers are passed on unchanged, on every way', async (lab, t) => {
  const traffic = await startTraffic(lab, { replicaFlags: ['--forward', '/leader'] })
  await runParts(lab, t, traffic, parts)
  await requireQuiet(traffic)
})

labTest('--max-header-size bounds the head of a request', async (lab) => {
  const flags = ['--max-header-size', '32KiB']
  const { atLeader, atReplica } = await startTraffic(lab, {
    leaderFlags: flags,
    replicaFlags: flags,
  })
  for (const port of [atLeader, atReplica])
    for (const [bytes, status] of [
      [31_000, 200],
      [33_500, 431],
    ] as const) {
      const text = await RawHttp.exchange(
        lab,
        port,
        'POST /h HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n' +
          `X-A: ${'a'.repeat(bytes)}\r\n\r\n`,
      )
      assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text.slice(0, 200))
    }
})

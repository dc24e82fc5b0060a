/**
 * The public side of nodes under attack: smuggling, reserved paths, limits, and missing
 * applications.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import type { Echo } from '../support/programs/echoApp.ts'
import { signatureOf } from '../support/signatures.ts'
import {
  ask,
  codeOf,
  echoIn,
  type Part,
  RawHttp,
  requireQuiet,
  runParts,
  SECRET,
  startTraffic,
  telling,
  valuesOf,
} from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'

const CLOSE = 'Connection: close\r\n\r\n'

const parts: Part[] = []
const part = (name: string, run: Part['run']) => void parts.push({ name, run })

part(
  'requests that could be read in two ways are refused, and nothing is smuggled',
  async (traffic, lab) => {
    const { atLeader, atReplica, leaderApp, replicaApp } = traffic
    const total = async () => (await leaderApp.state()).total + (await replicaApp.state()).total
    const inner = 'GET /inner HTTP/1.1\r\nHost: a\r\n\r\n'
    const refused: [string, string][] = [
      [
        'length and chunked',
        'POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n' +
          `Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
      ],
      [
        'two lengths',
        'POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n' +
          `Content-Length: ${inner.length}\r\n\r\n${inner}`,
      ],
      ['a length of two', `POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n${CLOSE}`],
      ['a signed length', `POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n${CLOSE}abc`],
      [
        'chunked hidden',
        `POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n${CLOSE}0\r\n\r\n`,
      ],
      [
        'chunked not last',
        `POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n${CLOSE}0\r\n\r\n`,
      ],
      ['two hosts', `GET /s HTTP/1.1\r\nHost: a\r\nHost: b\r\n${CLOSE}`],
      ['two hosts', `POST /s HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n${CLOSE}`],
      [
        'two hosts in an upgrade',
        'GET /s HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\n' +
          'Upgrade: websocket\r\n\r\n',
      ],
      ['no host', `GET /s HTTP/1.1\r\n${CLOSE}`],
      ['a bare CR', `GET /s HTTP/1.1\r\nHost: a\r\nX-A: a\rX-Replica-Auth: b\r\n${CLOSE}`],
      ['a NUL', `GET /s HTTP/1.1\r\nHost: a\r\nX-A: a\0b\r\n${CLOSE}`],
      ['a space before the colon', `GET /s HTTP/1.1\r\nHost: a\r\nX-A : b\r\n${CLOSE}`],
      ['a method of its own', `SMUGGLE /s HTTP/1.1\r\nHost: a\r\n${CLOSE}`],
      [
        'a bad chunk',
        `POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${inner}`,
      ],
      [
        'another coding',
        `POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n${CLOSE}3\r\n` +
          'abc\r\n0\r\n\r\n',
      ],
      ['headers too large', `GET /s HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(20_000)}\r\n${CLOSE}`],
      [
        'an address too long',
        `POST /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n${CLOSE}`,
      ],
      ['a tunnel', `CONNECT a:1 HTTP/1.1\r\nHost: a\r\n${CLOSE}`],
    ]
    for (const port of [atReplica, atLeader])
      for (const [what, text] of refused) {
        const before = await total()
        const raw = await RawHttp.open(lab, port)
        raw.write(text)
        const answer = await raw.whole()
        assert.match(answer, /^(HTTP\/1.1 [45]\d\d .*|$)/, `${what}: ${answer}`)
        assert.doesNotMatch(answer, /HTTP\/1.1 [23]\d\d/, what)
        if (what === 'headers too large') assert.match(answer, /^HTTP\/1.1 431 /)
        if (what !== 'a bad chunk')
          assert.equal(await total(), before, `${what}: nothing reached an application`)
        assert.equal(
          (await replicaApp.count('GET', '/inner')) + (await leaderApp.count('GET', '/inner')),
          0,
          what,
        )
      }
    await requireQuiet(traffic)
  },
)

part(
  'headers between nodes are neither taken from clients nor from applications',
  async (traffic, lab) => {
    const { atLeader, atReplica } = traffic
    const nodeOnly = [
      'X-Replica-Auth',
      'v1 x',
      'Walcast-Not-Executed',
      'STOPPING',
      'Walcast-First-Attempt',
      '0123456789abcdef; agoMs=5',
      'Walcast-Incarnation',
      '0123456789abcdef',
      'Walcast-Replay',
      'leader',
      'Walcast-Stale',
      '1',
      'Walcast-Host',
      'b.test',
      'Walcast-Anything',
      'x',
    ]
    const hop = [
      'Connection',
      'close, X-Hop, Cookie, X-Forwarded-For, Host, Content-Length, X-Replica-Auth, ' +
        'Idempotency-Key',
      'X-Hop',
      '1',
      'Keep-Alive',
      'x',
      'Proxy-Authorization',
      'x',
      'TE',
      'trailers',
    ]
    const kept = ['cookie', 'a=b', 'X-Forwarded-For', '203.0.113.9', 'Idempotency-Key', 'kept']
    for (const port of [atReplica, atLeader])
      for (const method of ['GET', 'POST']) {
        const echo = echoIn(
          await ask(port, {
            method,
            path: '/h',
            headers: [...nodeOnly, ...hop, ...kept],
            body: method === 'POST' ? 'abc' : '',
          }),
        )
        const names = echo.rawHeaders
          .filter((_value, i) => i % 2 === 0)
          .map((name) => name.toLowerCase())
        for (const name of [
          'x-replica-auth',
          'walcast-not-executed',
          'walcast-first-attempt',
          'walcast-incarnation',
          'walcast-replay',
          'walcast-stale',
          'walcast-anything',
          'x-hop',
          'keep-alive',
          'proxy-authorization',
          'te',
        ])
          assert.ok(!names.includes(name), `${name} in ${names}`)
        assert.deepEqual(valuesOf(echo, 'cookie'), ['a=b'])
        assert.deepEqual(valuesOf(echo, 'host'), ['app.test'])
        assert.deepEqual(valuesOf(echo, 'idempotency-key'), ['kept'])
        assert.deepEqual(valuesOf(echo, 'x-forwarded-for'), ['203.0.113.9, 127.0.0.1'])
        assert.equal(valuesOf(echo, 'walcast-via').length, 1)

        const given = [
          'walcast-not-executed',
          'STOPPING',
          'walcast-position',
          '9-9',
          'walcast-stale',
          'x',
          'connection',
          'x-hop',
          'x-hop',
          '1',
          'x-mine',
          '2',
        ]
        const got = await ask(port, {
          method,
          path: '/once',
          answer: { status: 503, headers: given, body: 'mine' },
        })
        assert.deepEqual([got.status, got.body.toString()], [503, 'mine'])
        for (const name of ['walcast-not-executed', 'walcast-stale', 'x-hop'])
          assert.deepEqual(valuesOf(got, name), [], name)
        assert.deepEqual(valuesOf(got, 'x-mine'), ['2'])
        assert.deepEqual(valuesOf(got, 'walcast-position'), ['1-1'])
      }
    assert.equal(await traffic.leaderApp.count('POST', '/once'), 2, 'never sent again')
    const folded = await RawHttp.exchange(
      lab,
      atReplica,
      `GET /folded HTTP/1.1\r\nHost: a\r\nX-A: a\r\n b\r\n${CLOSE}`,
    )
    assert.match(folded, /^HTTP\/1.1 (400 |200 OK[\s\S]*"x-a","a b")/i)
  },
)

labTest('paths of walcast never reach an application, and show nothing publicly', async (lab) => {
  const traffic = await startTraffic(lab, { replicaFlags: ['--forward', '/f,/admin'] })
  const { atLeader, atReplica, leaderApp, replicaApp, replica } = traffic
  const reserved = [
    '/_walcast',
    '/_walcast/status',
    '/_walcast/x?y',
    '/x/../_walcast/status',
    '/%5fwalcast/status',
    '/_walc%61st/%ff',
    '//_walcast/status',
    '/./_walcast//status',
    '/x/%2e%2e/_walcast/lag',
    '/_walcast/../_walcast/events',
    '/\\_walcast/status',
    '/_walcast/stream',
    '/_walcast/wait?txid=1',
  ]
  const passed = [
    '/_walcastx',
    '/_WALCAST/status',
    '/%255fwalcast/status',
    '/x?/_walcast/status',
    '/_walcast/../x',
    '/metrics',
    '/leader',
    '/replica',
    '/_walcast;/status',
  ]
  const { node: to } = await traffic.leader.status()
  const signed = (method: string, path: string) => [
    'x-replica-auth',
    signatureOf(SECRET, { purpose: 'order', method, path, to }),
  ]
  for (const port of [atReplica, atLeader])
    for (const method of ['GET', 'POST', 'DELETE']) {
      for (const path of reserved) {
        const got = await ask(port, { method, path, headers: signed(method, path) })
        assert.deepEqual([got.status, codeOf(got)], [404, 'NOT_FOUND'], `${method} ${path}`)
      }
      assert.match(
        await RawHttp.exchange(
          lab,
          port,
          `${method} http://a/_walcast/status HTTP/1.1\r\nHost: a\r\n${CLOSE}`,
        ),
        / 404 /,
      )
      for (const path of passed) assert.equal(echoIn(await ask(port, { method, path })).url, path)
    }
  for (const app of [leaderApp, replicaApp])
    for (const key of Object.keys((await app.state()).seen))
      assert.ok(passed.includes(key.split(' ')[1]), key)
  for (const path of ['/f', '/f/x', '/%66/x', '//f/x', '/x/../f/x', '/f/%ff', '/%61dmin/%ff'])
    assert.equal(echoIn(await ask(atReplica, { path })).app, 'leader', path)
  assert.equal(echoIn(await ask(atReplica, { path: '/fx' })).app, 'replica')

  const stream = new WebSocket(`ws://127.0.0.1:${atReplica}/_walcast/stream`, 'walcast.1')
  const [failure] = await once(stream, 'error')
  assert.match(String(failure), /404/)
  for (const path of ['/livez', '/readyz'])
    assert.equal((await ask(atReplica, { path })).status, 200)
  await replica.stop()
})

part('upgrades: to the application here, or to the leader’s', async (traffic, lab) => {
  const { atLeader, atReplica, leaderApp, replicaApp } = traffic
  for (const [port, path, app] of [
    [atReplica, '/chat?x=%ff', 'replica'],
    [atReplica, '/ws/a', 'leader'],
    [atLeader, '/ws', 'leader'],
  ] as const) {
    const headers = { 'x-replica-auth': 'forged', 'walcast-replay': 'leader', cookie: 'a=b' }
    const webSocket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers })
    const messages: string[] = []
    webSocket.on('message', (data) => messages.push(String(data)))
    await within('a greeting', once(webSocket, 'message'))
    const echo: Echo = JSON.parse(messages[0])
    assert.deepEqual([echo.app, echo.url], [app, path])
    assert.deepEqual(valuesOf(echo, 'host'), [`127.0.0.1:${port}`])
    assert.deepEqual(valuesOf(echo, 'cookie'), ['a=b'])
    assert.deepEqual(valuesOf(echo, 'x-forwarded-for'), ['127.0.0.1'])
    for (const name of ['x-replica-auth', 'walcast-replay'])
      assert.deepEqual(valuesOf(echo, name), [])
    webSocket.send('x'.repeat(300_000))
    webSocket.send('last')
    await until('they came back', () => messages.length === 3)
    assert.deepEqual([messages[1].length, messages[2]], [300_000, 'last'])
    webSocket.close()
    await within('a close', once(webSocket, 'close'))
  }
  const upgrade =
    'Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n' +
    'Upgrade: '
  for (const port of [atReplica, atLeader]) {
    const raw = await RawHttp.open(lab, port)
    raw.write(`POST /h2c HTTP/1.1\r\n${upgrade}h2c\r\nContent-Length: 5\r\n\r\nhello`)
    await raw.seen('"bytes":5')
    assert.match(raw.text, /^HTTP\/1.1 200 OK[\s\S]*walcast-position: 1-1[\s\S]*"method":"POST"/)
    raw.write(`GET /next HTTP/1.1\r\nHost: a\r\n${CLOSE}`)
    assert.match(await raw.whole(), /"url":"\/next"/, 'the connection goes on')
    const got = await RawHttp.open(lab, port)
    got.write(`GET /h2c HTTP/1.1\r\n${upgrade}h2c\r\n\r\n`)
    await got.seen('"url":"/h2c"')
    assert.match(got.text, /walcast-position: 1-1/)
    const refused = `GET /ws HTTP/1.1\r\n${upgrade}other\r\n\r\n`
    assert.match(await RawHttp.exchange(lab, port, refused), /^HTTP\/1.1 426 /)
    const cut = telling({ raw: 'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf' })
    const half = `GET /ws HTTP/1.1\r\n${upgrade}websocket\r\nx-answer: ${cut}\r\n\r\n`
    assert.match(
      await RawHttp.exchange(lab, port, half),
      /half$/,
      'it ends where the application’s did',
    )
    const absolute = `GET http://a/ws HTTP/1.1\r\n${upgrade}other\r\n\r\n`
    const before = await leaderApp.count('GET', '/ws')
    await RawHttp.exchange(lab, port, absolute)
    assert.equal(await leaderApp.count('GET', '/ws'), before + 1, 'by its path, as any request')
  }
  assert.equal(await replicaApp.count('GET', '/ws'), 0)
  assert.equal(await leaderApp.count('POST', '/h2c'), 2)
})

/** An upgrade that is answered with another status. */
async function upgradeStatus(lab: Lab, port: number, path: string): Promise<string> {
  const head =
    'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  return (await RawHttp.exchange(lab, port, `GET ${path} HTTP/1.1\r\n${head}`)).split(' ')[1] ?? ''
}

labTest('a missing application gives 503 on every way', async (lab) => {
  const [away, loopPort] = [await freePort(), await freePort()]
  const traffic = await startTraffic(lab, {
    leaderFlags: ['--hold', '300ms', '--upstream', `http://127.0.0.1:${loopPort}`],
    replicaFlags: ['--hold', '300ms', '--forward', '/f', '--upstream', `http://127.0.0.1:${away}`],
  })
  const { atLeader, atReplica, leader, replica } = traffic
  for (const key of [[], ['idempotency-key', 'k']])
    for (const [port, method] of [
      [atReplica, 'GET'],
      [atReplica, 'POST'],
      [atLeader, 'POST'],
    ] as const) {
      const got = await ask(port, { method, body: 'abc', headers: key })
      assert.deepEqual([got.status, codeOf(got)], [503, 'APP_UNREACHABLE'], `${method} ${port}`)
      assert.deepEqual(valuesOf(got, 'retry-after'), ['1'])
    }
  assert.equal(await upgradeStatus(lab, atReplica, '/x'), '503')
  assert.equal(await upgradeStatus(lab, atReplica, '/f'), '503')

  await requireQuiet(traffic)
  for (const node of [leader, replica]) assert.equal((await node.get('/livez')).status, 200)
})

labTest('an upstream that is a node, this one or another, does not loop', async (lab) => {
  const atBoth = [await freePort(), await freePort()]
  const { leaderApp } = await startLoop(lab, atBoth)
  for (const [i, port] of atBoth.entries())
    for (const method of ['GET', 'POST']) {
      const got = await ask(port, { method, body: 'abc' })
      assert.deepEqual([got.status, codeOf(got)], [508, 'FORWARD_LOOP'], `${method} at ${i}`)
    }
  for (const port of atBoth) assert.equal(await upgradeStatus(lab, port, '/x'), '508')
  assert.equal((await leaderApp.state()).total, 0)
})

/** Each node has the other's public side as its application. */
async function startLoop(lab: Lab, [atLeader, atReplica]: readonly number[]) {
  const leaderFlags = [
    '--upstream',
    `http://127.0.0.1:${atReplica}`,
    '--proxy',
    `127.0.0.1:${atLeader}`,
  ]
  const replicaFlags = [
    '--upstream',
    `http://127.0.0.1:${atLeader}`,
    '--proxy',
    `127.0.0.1:${atReplica}`,
  ]
  return startTraffic(lab, { leaderFlags, replicaFlags })
}

part(
  'connections cut by the application: a read is asked again, a write is executed at most once',
  async (traffic) => {
    const { atLeader, atReplica, leaderApp, replicaApp } = traffic
    for (const [port, app] of [
      [atReplica, replicaApp],
      [atLeader, leaderApp],
    ] as const) {
      assert.equal((await ask(port, { path: `/cut${port}`, answer: { cuts: 1 } })).status, 200)
      assert.equal(await app.count('GET', `/cut${port}`), 2)
      const never = await ask(port, { path: `/never${port}`, answer: { cuts: 99 } })
      assert.deepEqual([never.status, codeOf(never)], [502, 'APP_FAILED'])
      for (const headers of [[], ['idempotency-key', 'x'], ['idempotency-key', '']]) {
        const path = `/write${port}${headers}`
        const got = await ask(port, {
          method: 'POST',
          path,
          body: 'abc',
          headers,
          answer: { cuts: 1 },
        })
        assert.deepEqual([got.status, codeOf(got)], [502, 'OUTCOME_UNKNOWN'])
        assert.equal(await leaderApp.count('POST', path), 1)
      }
    }
    await requireQuiet(traffic)
  },
)

labTest('running requests, held requests and keys are bounded', async (lab) => {
  const bounds = ['--max-requests', '2', '--max-held', '1', '--hold', '20s']
  const traffic = await startTraffic(lab, {
    leaderFlags: ['--max-requests', '2'],
    replicaFlags: bounds,
  })
  const { atLeader, atReplica, leaderApp, replicaApp, leader, replica } = traffic
  for (const [port, method, app] of [
    [atReplica, 'GET', replicaApp],
    [atReplica, 'POST', leaderApp],
    [atLeader, 'GET', leaderApp],
  ] as const) {
    const slow = [1, 2].map(() => ask(port, { method, path: '/slow', answer: { waits: true } }))
    await until('both are there', async () => (await app.state()).waiting === 2)
    const third = await ask(port, { method, path: '/third', body: 'abc' })
    assert.deepEqual([third.status, codeOf(third)], [503, 'TOO_MANY_REQUESTS'])
    assert.equal(await app.count(method, '/third'), 0)
    for (const _ of slow) await app.go()
    for (const answer of await Promise.all(slow)) assert.equal(answer.status, 200)
    await until(
      'it takes more',
      async () => (await ask(port, { method, path: '/more' })).status === 200,
    )
  }
  const long = await ask(atReplica, {
    method: 'POST',
    path: '/long',
    headers: ['idempotency-key', 'k'.repeat(5000)],
  })
  assert.deepEqual([long.status, codeOf(long)], [400, 'BAD_REQUEST'])
  assert.equal(await leaderApp.count('POST', '/long'), 0)

  await leader.stop('SIGKILL')
  const held = await RawHttp.open(lab, atReplica)
  held.write('POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
  await until('it is held', async () => (await replica.metric('walcast_requests_held')) === 1)
  const more = await ask(atReplica, { method: 'POST', path: '/held2' })
  assert.deepEqual([more.status, codeOf(more)], [503, 'TOO_MANY_HELD'])
  assert.equal((await ask(atReplica, { path: '/read' })).status, 200, 'reads go on')
  held.socket.destroy()
  await until('it is not held', async () => (await replica.metric('walcast_requests_held')) === 0)
  const patient = ask(atReplica, { method: 'POST', path: '/patient', body: 'abc' })
  await until('it is held', async () => (await replica.metric('walcast_requests_held')) === 1)
  const again = await lab.restart(leader)
  assert.equal(echoIn(await patient).bytes, 3)
  assert.deepEqual(
    [await leaderApp.count('POST', '/held'), await leaderApp.count('POST', '/patient')],
    [0, 1],
  )
  await requireQuiet({ ...traffic, leader: again })
})

labTest('hostile requests at both proxies', async (lab, t) =>
  runParts(lab, t, await startTraffic(lab, { replicaFlags: ['--forward', '/ws'] }), parts),
)

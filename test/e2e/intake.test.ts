/**
 * Writes that reach a leader: signed requests of nodes, requests with a key, and those that a
 * replica's application hands over.
 */
import assert from 'node:assert/strict'
import { ANYONE, STREAMED } from '../../src/security/requestSignature.ts'
import { labTest } from '../support/lab.ts'
import { type Claim, signatureOf } from '../support/signatures.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import {
  ask,
  codeOf,
  echoIn,
  RawHttp,
  requireQuiet,
  SECRET,
  startTraffic,
  telling,
  valuesOf,
} from '../support/trafficLab.ts'
import { until } from '../support/until.ts'

/** Signs writes of a node that are forwarded to the node `to`. */
function signerFor(to: string): (change?: Partial<Claim>, secret?: string) => string {
  const claim = {
    purpose: 'forward',
    method: 'POST',
    path: '/w?a=1',
    from: 'tester',
    to,
    epoch: 1,
    body: STREAMED,
  } as const
  return (change = {}, secret = SECRET) => signatureOf(secret, { ...claim, ...change })
}

labTest('the intake accepts a signed request once, and nothing else', async (lab) => {
  const beforeMs = Date.now() - 2000
  const { leader, replica, leaderApp, replicaApp } = await startTraffic(lab)
  const { port } = leader.options
  const sign = signerFor((await leader.status()).node)
  const send = (token: string | undefined, at = port, path = '/w?a=1', method = 'POST') =>
    ask(at, {
      method,
      path,
      body: 'abc',
      headers: token === undefined ? [] : ['x-replica-auth', token],
    })
  const good = sign()
  assert.equal(echoIn(await send(good)).bytes, 3)
  const bad: [string, string | undefined][] = [
    ['none', undefined],
    ['empty', ''],
    ['used twice', good],
    ['of another secret', sign({}, 'a secret of somebody else')],
    ['of no secret', sign({}, '')],
    ['for another path', sign({ path: '/w' })],
    ['for another query', sign({ path: '/w?a=2' })],
    ['for another method', sign({ method: 'PUT' })],
    ['expired', sign({ nowMs: Date.now() - 60_000 })],
    ['from the future', sign({ nowMs: Date.now() + 60_000 })],
    ['older than the node', sign({ nowMs: beforeMs })],
    ['of another node', sign().replace('from=tester', 'from=other')],
    ['for another node', sign({ to: (await replica.status()).node })],
    ['for anyone', sign({ to: ANYONE })],
    ['for another purpose', sign({ purpose: 'order' })],
    ['of a stream', sign({ purpose: 'stream' })],
    ['with a header that it covers and was not sent', sign({ headers: ['walcast-hold', '1'] })],
    ['with the digest of a body', sign().replace('body=stream', `body=${'0'.repeat(64)}`)],
    ['of another epoch', sign().replace('epoch=1', 'epoch=2')],
    [
      'with another nonce',
      sign().replace(/nonce=./, (text) => (text.endsWith('0') ? 'nonce=1' : 'nonce=0')),
    ],
    [
      'with another time',
      sign().replace(/time=(\d+)/, (_text, time) => `time=${Number(time) + 1}`),
    ],
    ['cut short', sign().slice(0, -1)],
    ['twice in one', `${sign()}, ${sign()}`],
    ['the secret itself', `Bearer ${SECRET}`],
  ]
  const before = (await leaderApp.state()).total
  for (const [what, token] of bad) {
    const got = await send(token)
    assert.equal(got.status, 401, what)
    assert.ok(!got.body.includes(SECRET))
  }
  for (const path of [
    '/_walcast/status',
    '//_walcast/status',
    '/%5fwalcast/status',
    '/x/../_walcast/lag',
    '/_walcast/x',
  ])
    for (const method of ['GET', 'POST'])
      assert.equal((await send(sign({ path, method }), port, path, method)).status, 401, path)
  for (const path of ['/livez', '/metrics']) {
    const got = await send(sign({ path, method: 'GET' }), port, path, 'GET')
    assert.equal(echoIn(got).url, path, 'with a token it is the application’s')
  }
  assert.equal((await leaderApp.state()).total, before + 2, 'nothing else reached it')

  const { incarnation } = JSON.parse((await leader.get('/leader')).text)
  assert.match(incarnation, /^[0-9a-f]{16}$/)
  for (const [meant, status] of [
    ['', 503],
    ['0'.repeat(16), 503],
    [incarnation, 200],
  ]) {
    const marked = ['walcast-incarnation', meant]
    const headers = ['x-replica-auth', sign({ headers: marked }), ...marked]
    const got = await ask(port, { method: 'POST', path: '/w?a=1', headers })
    assert.equal(got.status, status, `meant for ${meant}`)
    const refused = status === 503 ? ['OTHER_INCARNATION'] : []
    assert.deepEqual(valuesOf(got, 'walcast-not-executed'), refused)
  }
  assert.equal((await leaderApp.state()).total, before + 3, 'one of these was executed')

  const toReplica = signerFor((await replica.status()).node)
  const misdirected = await send(toReplica(), replica.options.port)
  assert.deepEqual([misdirected.status, codeOf(misdirected)], [421, 'NOT_LEADER'])
  assert.ok(
    misdirected.body.includes(leader.address) ||
      misdirected.body.includes((await leader.status()).node),
  )
  assert.deepEqual(valuesOf(misdirected, 'walcast-not-executed'), ['NOT_LEADER'])
  assert.equal((await replicaApp.state()).total, 0)
  const upgrade = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  for (const [token, status] of [
    ['', 401],
    [sign({ method: 'GET', path: '/x' }), 401],
    [sign(), 400],
  ] as const) {
    const method = status === 400 ? 'POST' : 'GET'
    const answer = await RawHttp.exchange(
      lab,
      port,
      `${method} /w?a=1 HTTP/1.1\r\n${upgrade}X-Replica-Auth: ${token}\r\n\r\n`,
    )
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
  }
  assert.equal((await leaderApp.state()).total, before + 3)
})

labTest('without a secret: any Host for the application, 403 for a rebound page', async (lab) => {
  const { atReplica, leader, leaderApp } = await startTraffic(lab, { environment: {} })
  assert.equal(leader.options.environment?.['WALCAST_SECRET'], undefined)
  const named = await ask(atReplica, { method: 'POST', path: '/named', body: 'abc' })
  assert.equal(named.status, 200, named.body.toString())
  assert.deepEqual(valuesOf(echoIn(named), 'host'), ['app.test'])
  assert.equal(await leaderApp.count('POST', '/named'), 1)
  const rebound = signerFor(ANYONE)({ path: '/r', from: 'page' }, '')
  const page = await ask(leader.options.port, {
    method: 'POST',
    path: '/r',
    headers: ['x-replica-auth', rebound],
  })
  assert.equal(page.status, 403, 'a page whose name was made to point here')
  assert.equal(await leaderApp.count('POST', '/r'), 0)

  await leader.stop()
  const flags = (leader.options.flags ?? []).filter(
    (_flag, i, all) => all[i] !== '--upstream' && all[i - 1] !== '--upstream',
  )
  const bare = await lab.restart(leader, { flags: [...flags] })
  const local = await ask(Number(flags[flags.indexOf('--proxy') + 1].split(':')[1]), {
    method: 'POST',
  })
  assert.deepEqual([local.status, codeOf(local)], [503, 'NO_APPLICATION'])
  assert.equal((await bare.get('/livez')).status, 200)
})

labTest('one Idempotency-Key of a client is executed once and answered alike', async (lab) => {
  const traffic = await startTraffic(lab)
  const { atLeader, atReplica, leaderApp } = traffic
  const post = (port: number, path: string, body: string, headers: string[] = [], spec = {}) =>
    ask(port, {
      method: 'POST',
      path,
      body,
      headers: ['idempotency-key', 'k', ...headers],
      answer: { status: 201, headers: ['set-cookie', 'a=1', 'x-n', '1'], body: 'made', ...spec },
    })
  for (const port of [atReplica, atLeader]) {
    const path = `/pay${port}`
    const first = await post(port, path, 'abc')
    const second = await post(port === atReplica ? atLeader : atReplica, path, 'abc')
    for (const got of [first, second]) {
      assert.deepEqual(
        [got.status, got.body.toString(), valuesOf(got, 'x-n')],
        [201, 'made', ['1']],
      )
      assert.ok(valuesOf(got, 'set-cookie').includes('a=1'))
    }
    const other = await post(port, path, 'other')
    assert.deepEqual([other.status, codeOf(other)], [422, 'KEY_REUSED'])
    assert.equal(await leaderApp.count('POST', path), 1)
    assert.equal((await post(port, path, 'abc', ['authorization', 'Basic eA=='])).status, 201)
    assert.equal((await post(port, path, 'abc', ['cookie', 'session=2'])).status, 201)
    assert.equal(await leaderApp.count('POST', path), 3)
    assert.equal(
      (await post(port, path, 'abc', ['walcast-first-attempt', '5', 'authorization', 'Basic eB==']))
        .status,
      201,
    )

    const at = `/together${port}`
    const several = [1, 2, 3].map(() => post(port, at, 'abc', [], { waits: true }))
    await until('one is there', async () => (await leaderApp.state()).waiting === 1)
    await leaderApp.go()
    for (const got of await Promise.all(several)) assert.equal(got.body.toString(), 'made')
    assert.equal(await leaderApp.count('POST', at), 1)

    const left = await RawHttp.open(lab, port)
    const answer = telling({
      waits: true,
      status: 201,
      headers: ['set-cookie', 'a=1', 'x-n', '1'],
      body: 'made',
    })
    left.write(
      `POST /left${port} HTTP/1.1\r\nHost: app.test\r\nIdempotency-Key: k\r\n` +
        `Content-Length: 3\r\nx-answer: ${answer}\r\n\r\nabc`,
    )
    await until('it is there', async () => (await leaderApp.state()).waiting === 1)
    left.socket.destroy()
    const later = post(port, `/left${port}`, 'abc')
    await leaderApp.go()
    assert.equal((await later).body.toString(), 'made', 'the first one went on without its client')
    assert.equal(await leaderApp.count('POST', `/left${port}`), 1)
    const large = await post(port, `/large${port}`, 'abc', [], {
      body: undefined,
      bytes: 3_000_000,
    })
    assert.equal(large.body.length, 3_000_000)
    const forgotten = await post(port, `/large${port}`, 'abc')
    assert.deepEqual([forgotten.status, codeOf(forgotten)], [502, 'OUTCOME_UNKNOWN'])
  }
  await requireQuiet(traffic)
})

labTest('after a broken connection to the leader, only keyed requests are resent', async (lab) => {
  let proxy: TcpProxy | undefined
  const traffic = await startTraffic(lab, {
    replicaFlags: ['--hold', '10s'],
    through: async (leader) => {
      proxy = await TcpProxy.start(leader.options.port)
      lab.atEnd(() => proxy?.close())
      return proxy.address
    },
  })
  const { atReplica, leaderApp } = traffic
  for (const [key, status] of [
    [[], 502],
    [['idempotency-key', ''], 502],
    [['idempotency-key', 'k'], 200],
    [['connection', 'idempotency-key', 'idempotency-key', 'c'], 200],
  ] as const) {
    const path = `/broken/${key.join('-') || 'none'}`
    const got = ask(atReplica, {
      method: 'POST',
      path,
      body: 'abc',
      headers: [...key],
      answer: { waits: true },
    })
    await until('it is there', async () => (await leaderApp.count('POST', path)) === 1)
    proxy?.cutAll()
    if (status === 200) await leaderApp.go()
    const { status: is, body } = await got
    assert.equal(is, status, `${path}: ${body}`)
    assert.equal(await leaderApp.count('POST', path), 1, path)
  }
  await requireQuiet(traffic)
})

labTest('an application can ask for the answer of the leader', async (lab) => {
  const traffic = await startTraffic(lab, {
    replicaFlags: ['--local', '/local', '--replay-body', '64KiB'],
  })
  const { atReplica, atLeader, leaderApp, replicaApp } = traffic
  const replay = { headers: ['walcast-replay', 'leader'], body: 'x'.repeat(1000) }
  // The same answer comes from the leader's application, where the header has no meaning.
  for (const [method, path, body] of [
    ['GET', '/r', ''],
    ['GET', '/rb', 'abc'],
    ['POST', '/local/r', 'y'.repeat(50_000)],
    ['HEAD', '/h', ''],
  ] as const) {
    const got = await ask(atReplica, { method, path, body, answer: replay })
    assert.equal(got.status, 200)
    assert.deepEqual(valuesOf(got, 'walcast-replay'), [])
    assert.deepEqual(
      [await replicaApp.count(method, path), await leaderApp.count(method, path)],
      [1, 1],
      path,
    )
  }
  const echoed = await ask(atReplica, {
    method: 'POST',
    path: '/local/echo',
    body: 'y'.repeat(50_000),
    answer: { headers: ['walcast-replay', 'leader'] },
  })
  assert.deepEqual([echoIn(echoed).app, echoIn(echoed).bytes], ['leader', 50_000])
  const early = await ask(atReplica, {
    method: 'POST',
    path: '/local/early',
    body: 'y'.repeat(50_000),
    answer: { ...replay, early: true },
  })
  assert.equal(early.status, 200)
  const large = await ask(atReplica, {
    method: 'POST',
    path: '/local/large',
    body: Buffer.alloc(200_000),
    answer: replay,
  })
  assert.deepEqual([large.status, codeOf(large)], [503, 'NOT_EXECUTED'])
  assert.equal(await leaderApp.count('POST', '/local/large'), 0)
  assert.equal((await ask(atLeader, { path: '/r', answer: replay })).status, 200)
  await requireQuiet(traffic)
})

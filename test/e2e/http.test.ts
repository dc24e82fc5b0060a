/**
 * The private side of a node, as load balancers, metric collectors, programs and strangers use it.
 */

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import type { LagReport } from '../../src/api/nodeStatus.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { HELLO, RawClient } from '../support/rawClient.ts'
import { type Claim, operatorFetch, signatureOf } from '../support/signatures.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase, Writer } from '../support/workload.ts'

const SECRET = 'correct horse battery staple'
const STREAM = '/_walcast/stream'

async function startPair(lab: Lab, environment: Record<string, string> = {}) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { environment, flags: ['--heartbeat', '100ms'] })
  const flags = ['--reconnect-max', '100ms', '--max-staleness', '20s']
  const replica = await lab.replica(lab.path('replica.db'), leader, { environment, flags })
  await until('ready', async () => (await replica.get('/readyz')).status === 200)
  return { db, leader, replica }
}

labTest('roles, readiness, status and metrics', async (lab) => {
  const { db, leader, replica } = await startPair(lab)
  await lab.exec(db, "INSERT INTO log (who) VALUES ('x')")
  await waitLevel(leader, replica)
  const statuses = async (path: string) => [
    (await leader.get(path)).status,
    (await replica.get(path)).status,
  ]
  assert.deepEqual(await statuses('/livez'), [200, 200])
  assert.deepEqual(await statuses('/readyz'), [200, 200])
  assert.deepEqual(await statuses('/leader'), [200, 503])
  assert.deepEqual(await statuses('/replica'), [503, 200])
  assert.deepEqual(await statuses('/nothing/here'), [404, 404])
  assert.deepEqual(await statuses('/_walcast/status?x=1'), [200, 200])

  const [a, b] = [await leader.status(), await replica.status()]
  assert.deepEqual([a.role, b.role], ['leader', 'replica'])
  for (const status of [a, b]) {
    assert.match(status.checksum, /^[0-9a-f]{16}$/)
    assert.equal(status.pageSize, 4096)
    assert.ok(Number.isInteger(status.txid) && Number.isInteger(status.epoch) && status.pages > 0)
    assert.match(status.version, /^\d+\.\d+\.\d+/)
  }
  assert.equal(b.leader, a.node)
  for (const node of [leader, replica]) await requireByDatabase(node)
  await until('the leader knows where the replica is', async () => {
    const [one] = (await leader.status()).replicas
    return (
      one?.node === b.node &&
      one.txid === a.txid &&
      one.connected &&
      !Number.isNaN(Date.parse(one.lastSeen))
    )
  })
  for (const [node, names] of [
    [
      leader,
      [
        'capture_transactions_total',
        'send_bytes_total',
        'wal_bytes',
        'checkpoint_pause_seconds_count',
        'replicas_connected',
      ],
    ],
    [
      replica,
      [
        'apply_batches_total',
        'visible_lag_seconds_count',
        'receive_bytes_total',
        'lag_seconds',
        'syncs_total',
      ],
    ],
  ] as const) {
    const { text, headers } = await node.get('/metrics')
    assert.match(headers.get('content-type') ?? '', /^text\/plain/)
    for (const name of names) assert.match(text, new RegExp(`^walcast_${name}\\b`, 'm'))
  }
  assert.equal(await replica.metric('walcast_apply_batches_total'), 1)
  await requireCommandLine(lab, leader, replica)
})

/** The fields of the only database stand under its name and at the top. */
async function requireByDatabase(node: TestNode): Promise<void> {
  const { databases, ...status } = await node.status()
  assert.deepEqual(Object.keys(databases), ['main'])
  const { main } = databases
  for (const key of [
    'db',
    'role',
    'state',
    'epoch',
    'txid',
    'checksum',
    'pages',
    'leader',
  ] as const)
    assert.equal(main[key], status[key], key)
  for (const key of ['node', 'cluster', 'members', 'audit', 'version', 'uptimeSeconds'])
    assert.ok(key in status && !(key in main), key)
  const { databases: lags, ...lag } = await node.lag()
  assert.deepEqual(Object.keys(lags), ['main'])
  assert.deepEqual(Object.keys(lags['main']), Object.keys(lag))
  assert.deepEqual([lags['main'].role, lags['main'].txid], [lag.role, lag.txid])
}

/** The output of `status` and `lag`. */
async function requireCommandLine(lab: Lab, leader: TestNode, replica: TestNode): Promise<void> {
  for (const [command, node, words] of [
    ['status', leader, ['leader', 'capturing']],
    ['status', replica, ['replica', 'streaming']],
    ['lag', replica, ['connected']],
  ] as const) {
    const text = lab.cli([command, '--node', node.address])
    assert.equal((await text.ended).code, 0)
    for (const word of words) assert.ok(text.out.join('\n').includes(word), text.tail())
    const json = lab.cli([command, '--node', node.url, '--json'])
    assert.equal((await json.ended).code, 0)
    assert.equal(json.out.length, 1)
    JSON.parse(json.out[0])
  }
  const none = lab.cli(['status', '--node', `127.0.0.1:${await freePort()}`])
  assert.equal((await none.ended).code, 1)
  assert.match(none.err[0], /^WALCAST_NODE_UNREACHABLE: /)
}

labTest('waiting for a position', async (lab) => {
  const { db, leader, replica } = await startPair(lab)
  const { epoch, txid } = await leader.status()
  const wait = async (node: TestNode, query: string) =>
    (await node.get(`/_walcast/wait?${query}`)).status
  for (const node of [leader, replica]) {
    assert.equal(await wait(node, `position=${epoch}-${txid}`), 200)
    assert.equal(await wait(node, `txid=${txid}`), 200)
    assert.equal(await wait(node, `txid=${txid + 1}&timeoutMs=50`), 504)
    assert.equal(await wait(node, `position=${epoch}-${txid + 1}&timeoutMs=0`), 504)
    for (const query of [
      '',
      'position=abc',
      'txid=-1',
      'txid=1e9',
      'position=1-2-3',
      `txid=${txid}&timeoutMs=soon`,
    ])
      assert.equal(await wait(node, query), 400, query)
  }
  assert.equal(await wait(leader, `position=${epoch + 1}-${txid}`), 409, 'an epoch that never was')
  const coming = [leader, replica].map((node) =>
    wait(node, `position=${epoch}-${txid + 2}&timeoutMs=20000`),
  )
  await lab.exec(db, "INSERT INTO log (who) VALUES ('1')", "INSERT INTO log (who) VALUES ('2')")
  assert.deepEqual(await Promise.all(coming), [200, 200])
  const answer = await replica.get(`/_walcast/wait?txid=${txid + 2}`)
  assert.deepEqual(JSON.parse(answer.text), { epoch, txid: txid + 2 })

  await leader.stop()
  await lab.exec(db, "INSERT INTO log (who) VALUES ('while away')")
  const again = await lab.restart(leader)
  await waitLevel(again, replica)
  assert.equal(await wait(replica, `position=${epoch}-${txid}`), 200, 'the new epoch contains it')
  assert.equal(await wait(again, `position=${epoch}-${txid}`), 200)
  if ((await again.status()).epoch > epoch) {
    assert.equal(
      await wait(again, `position=${epoch}-${txid + 1000}&timeoutMs=50`),
      409,
      'left behind',
    )
    assert.equal(await wait(replica, `position=${epoch}-${txid + 1000}&timeoutMs=50`), 409)
  }
})

labTest('with a secret every path but health, role and metrics answers 401', async (lab) => {
  const { leader, replica } = await startPair(lab, { WALCAST_SECRET: SECRET })
  for (const node of [leader, replica]) {
    for (const path of ['/livez', '/readyz', '/leader', '/replica', '/metrics'])
      assert.notEqual((await node.get(path, {})).status, 401, path)
    const guarded = [
      '/_walcast/status',
      '/_walcast/lag',
      '/_walcast/wait?txid=1',
      '/nothing',
      '/',
      '/livez/x',
      '//livez',
    ]
    for (const path of guarded) {
      for (const authorization of [
        undefined,
        'Bearer wrong',
        `Bearer ${SECRET}x`,
        `Basic ${SECRET}`,
        'Bearer ',
        `Bearer ${SECRET}`,
        SECRET,
      ]) {
        const answer = await node.get(path, authorization === undefined ? {} : { authorization })
        assert.equal(answer.status, 401, `${path} with ${authorization}`)
        assert.ok(!answer.text.includes(SECRET) && !answer.text.includes('checksum'))
      }
    }
    assert.equal((await operatorFetch(SECRET, node.url, '/_walcast/status')).status, 200)
    const other = await operatorFetch('a secret of somebody else', node.url, '/_walcast/status')
    assert.equal(other.status, 401)
  }
  assert.ok(
    ![...leader.child.err, ...replica.child.err].some((line) => line.includes(SECRET)),
    'it is in no log',
  )
})

labTest('replayed, late, forged and misdirected node signatures are refused', async (lab) => {
  const beforeMs = Date.now() - 5000
  const { leader, replica } = await startPair(lab, { WALCAST_SECRET: SECRET })
  const { node: to } = await leader.status()
  const { node: another } = await replica.status()
  const claim = { purpose: 'stream', path: STREAM, from: 'tester', to, epoch: 1 } as const
  const sign = (change: Partial<Claim> = {}, secret = SECRET) =>
    signatureOf(secret, { ...claim, ...change })
  const open = (token: string) => RawClient.open(leader, { 'x-replica-auth': token })
  const good = sign()
  const client = await open(good)
  client.hello({ node: 'tester' })
  await until('it is welcomed', () => client.messages.some((message) => message.type === 'welcome'))
  client.close()
  const bad: [string, string][] = [
    ['used twice', good],
    ['of another secret', sign({}, 'a secret of somebody else')],
    ['for another path', sign({ path: '/_walcast/status' })],
    ['for another method', sign({ method: 'POST' })],
    ['from the future', sign({ nowMs: Date.now() + 60_000 })],
    ['too old', sign({ nowMs: Date.now() - 60_000 })],
    ['older than the start of the node', sign({ nowMs: beforeMs })],
    ['for another node', sign({ to: another })],
    ['for another node, renamed', sign({ to: another }).replace(`to=${another}`, `to=${to}`)],
    ['for another purpose', sign({ purpose: 'order' })],
    ['of a forwarded request', sign({ purpose: 'forward' })],
    ['with a header that it covers and was not sent', sign({ headers: ['walcast-hold', '1'] })],
    ['with another body', sign().replace(/body=[0-9a-f]+/, 'body=stream')],
    ['of the first version', sign().replace('v2', 'v1')],
    ['with another node id', sign().replace('from=tester', 'from=other')],
    ['with another epoch', sign().replace('epoch=1', 'epoch=2')],
    [
      'with another nonce',
      sign().replace(/nonce=./, (text) => (text.endsWith('0') ? 'nonce=1' : 'nonce=0')),
    ],
    ['without a mac', sign().replace(/ mac=.*/, '')],
    ['empty', ''],
  ]
  for (const [what, token] of bad) await assert.rejects(open(token), /401/, what)
  const status = '/_walcast/status'
  for (const [what, purpose] of [
    ['a signature of the stream is none of an order', 'stream'],
    ['nor is that of a forwarded request', 'forward'],
    ['nor that of an answer', 'proof'],
  ] as const) {
    const headers = { 'x-replica-auth': sign({ path: status, purpose }) }
    const answer = await fetch(`${leader.url}${status}`, { headers })
    assert.equal(answer.status, 401, what)
  }
  assert.equal((await replica.get('/readyz')).status, 200)
  assert.equal(HELLO.db, 'main')
})

labTest(
  'readiness of a replica: before its leader, without it, and while it restarts',
  async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const port = await freePort()
    const flagsOf = (staleness: string) => [
      '--reconnect-max',
      '100ms',
      '--max-staleness',
      staleness,
    ]
    // A leader restarts slowly on a busy machine.
    const patient = { flags: flagsOf('120s') }
    let replica = await lab.replica(lab.path('replica.db'), `127.0.0.1:${port}`, patient)
    const early = await replica.get('/readyz')
    assert.equal(early.status, 503)
    assert.ok(JSON.parse(early.text).reasons.length > 0)
    assert.equal((await replica.get('/livez')).status, 200)
    let leader = await lab.leader(db, { port })
    await until('ready', async () => (await replica.get('/readyz')).status === 200)
    await leader.stop('SIGKILL')
    assert.equal((await replica.get('/readyz')).status, 200, 'right after the leader died')
    leader = await lab.restart(leader)
    assert.equal((await replica.get('/readyz')).status, 200, 'while the leader restarts')
    await replica.stop()
    replica = await (await lab.restart(replica, { flags: flagsOf('1s') })).ready()
    await waitLevel(leader, replica)
    await leader.stop()
    const answer = await until('stale', async () => {
      const now = await replica.get('/readyz')
      return now.status === 503 ? now : undefined
    })
    assert.match(JSON.parse(answer.text).reasons.join(), /not heard of its leader/)
    await replica.stop()
    const alone = await lab.restart(replica)
    assert.equal(
      (await alone.get('/readyz')).status,
      503,
      'a copy that never heard of its leader since the start',
    )
  },
)

labTest(
  'lag: 0 when level and idle, growing with the clock while the leader stands still',
  async (lab) => {
    const { db, leader, replica } = await startPair(lab)
    const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 71 })
    await writer.advance(50)
    await writer.stop()
    await waitLevel(leader, replica)
    const idle = await replica.lag()
    assert.deepEqual(
      [idle.role, idle.connected, idle.txidLag, idle.lagMs, idle.bytesLag],
      ['replica', true, 0, 0, 0],
    )
    assert.ok(
      idle.count > 0 &&
        idle.p50Ms > 0 &&
        idle.p50Ms <= idle.p95Ms &&
        idle.p95Ms <= idle.p99Ms &&
        idle.p99Ms <= idle.maxMs,
    )
    for (const stage of Object.values(idle.stages)) assert.ok(stage.count > 0)
    assert.equal((await leader.lag()).lagMs, 0)

    const stoppedMs = performance.now()
    leader.kill('SIGSTOP')
    const seen: { readonly lag: LagReport; readonly askedMs: number; readonly toldMs: number }[] =
      []
    await until('it grows', async () => {
      const askedMs = performance.now() - stoppedMs
      const lag = await replica.lag()
      seen.push({ lag, askedMs, toldMs: performance.now() - stoppedMs })
      return lag.lagMs > 2500
    })
    const growing = seen.filter(({ lag }) => lag.lagMs > 0)
    for (let i = 1; i < growing.length; i++)
      assert.ok(growing[i].lag.lagMs >= growing[i - 1].lag.lagMs)
    for (const { lag, askedMs, toldMs } of growing)
      assert.ok(
        lag.lagMs > askedMs - 1000 && lag.lagMs < toldMs + 1000,
        `${lag.lagMs} after ${askedMs} to ${toldMs} of silence`,
      )
    assert.equal((await replica.get('/readyz')).status, 200)
    leader.kill('SIGCONT')
    await until('level again', async () => (await replica.lag()).lagMs === 0)

    await leader.stop()
    await until('it grows while disconnected', async () => {
      const lag = await replica.lag()
      return !lag.connected && lag.lagMs > 300
    })
    await requireSame(lab, await lab.restart(leader), replica)
    await until('level again', async () => (await replica.lag()).lagMs === 0)
  },
)

labTest('SIGTERM exits 0, also with clients that wait; a second one forces', async (lab) => {
  const { leader, replica } = await startPair(lab)
  const { txid } = await leader.status()
  const waits = [leader, replica].map((node) =>
    node.get(`/_walcast/wait?txid=${txid + 5}&timeoutMs=60000`),
  )
  for (const node of [leader, replica])
    await until('it waits', async () => (await node.get('/livez')).status === 200)
  const hanging = connect(leader.options.port, '127.0.0.1')
  lab.atEnd(() => void hanging.destroy())
  hanging.on('error', () => {})
  hanging.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
  await within('an answer', new Promise((resolve) => hanging.once('data', resolve)))
  assert.equal((await replica.stop()).code, 0)
  assert.equal((await leader.stop('SIGINT')).code, 0)
  for (const result of await Promise.allSettled(waits))
    if (result.status === 'fulfilled') assert.equal(result.value.status, 503)
  const again = await lab.restart(leader)
  assert.equal((await again.get('/livez')).status, 200)
  again.child.kill('SIGTERM')
  again.child.kill('SIGTERM')
  const end = await again.child.ended
  assert.ok([0, 1].includes(end.code ?? -1), JSON.stringify(end))
})

labTest('without a secret, pages of other sites cannot read anything', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await (await lab.leader(db)).ready()
  const ask = (path: string, headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const asked = request(`http://${leader.address}${path}`, { headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      asked.on('upgrade', (_answer, socket) => {
        socket.destroy()
        resolve(101)
      })
      asked.on('error', reject).end()
    })
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': 'walcast.1',
  }
  assert.equal(await ask('/_walcast/status', {}), 200)
  assert.equal(await ask('/_walcast/status', { host: 'localhost:1' }), 200)
  assert.equal(await ask('/_walcast/status', { host: 'rebound.example:80' }), 403)
  assert.equal(await ask('/_walcast/stream', upgrade), 101)
  assert.equal(await ask('/_walcast/stream', { ...upgrade, origin: 'http://site.example' }), 403)
  assert.equal(await ask('/_walcast/stream', { ...upgrade, host: 'rebound.example' }), 403)
})

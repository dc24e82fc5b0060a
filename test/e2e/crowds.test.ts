/**
 * Crowds at a node: slow, idle or many clients. The node always answers health checks and serves an
 * ordinary client.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { STREAMED, sha256 } from '../../src/security/requestSignature.ts'
import { crowd, Stranger, UNFINISHED, UPGRADE, wanting } from '../support/crowd.ts'
import { campaignTest, type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { CLI } from '../support/paths.ts'
import { receiverAt, signatureOf } from '../support/signatures.ts'
import type { TestNode } from '../support/testNode.ts'
import { App, ask, codeOf, SECRET, valuesOf } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

/** The address of ordinary clients, which no crowd uses. */
const ORDINARY = '127.200.0.1'
const MIB = 1024 * 1024
const DRIP = 'POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n'

interface Site {
  readonly node: TestNode
  /** Port of the public side. */
  readonly port: number
  readonly app: App
}

let sites = 0

/** A leader before an application. Each loopback address counts as a client. */
async function startSite(lab: Lab, ...flags: string[]): Promise<Site> {
  const db = lab.path(`site${++sites}.db`)
  const [app, port] = await Promise.all([App.start(lab, 'app'), freePort(), makeDatabase(lab, db)])
  const all = [
    '--proxy',
    `127.0.0.1:${port}`,
    '--upstream',
    app.url,
    '--trusted-proxies',
    'none',
    ...flags,
  ]
  const node = await lab.leader(db, { environment: { WALCAST_SECRET: SECRET }, flags: all })
  return { node, port, app }
}

/** Health checks on both sides are answered at once. */
async function requireHealth({ node, port }: Site, t: TestContext, when: string): Promise<void> {
  const beganMs = performance.now()
  for (const path of ['/livez', '/readyz'])
    for (const at of [port, node.options.port]) {
      const got = await ask(at, { from: ORDINARY, path })
      assert.equal(got.status, 200, `${path} ${when}: ${got.body}`)
    }
  t.diagnostic(`${when}: four health checks took ${Math.round(performance.now() - beganMs)} ms`)
}

/** An ordinary client gets in, and stays served. */
async function requireService({ port }: Site, t: TestContext, when: string): Promise<void> {
  const beganMs = performance.now()
  let refused = 0
  const write = () => ask(port, { from: ORDINARY, method: 'POST', path: '/w', body: 'a write' })
  await until(`an ordinary write is served ${when}`, async (saw) => {
    const got = await write()
    saw(`${got.status} ${codeOf(got)}`)
    if (got.status === 200) return true
    assert.deepEqual([got.status, codeOf(got)], [503, 'TOO_MANY_REQUESTS'])
    assert.deepEqual(valuesOf(got, 'retry-after'), ['1'])
    refused++
    return false
  })
  t.diagnostic(
    `${when}: served after ${Math.round(performance.now() - beganMs)} ms, ${refused} refusals`,
  )
  for (let i = 0; i < 50; i++) assert.equal((await write()).status, 200, `${when}, write ${i}`)
}

labTest(
  '2,000 unfinished POSTs do not stop health checks or an ordinary client',
  async (lab, t) => {
    const site = await startSite(lab)
    const strangers = await crowd(lab, site.port, { count: 2100, perAddress: 10, text: UNFINISHED })
    await until(
      'all slots are taken',
      async () => (await site.node.metric('walcast_proxy_requests')) >= 2000,
    )
    await requireHealth(site, t, 'with 2,100 unfinished POSTs')
    await requireService(site, t, 'with 2,100 unfinished POSTs')
    const answered = strangers.filter(({ text }) => text.includes('REQUEST_STALLED'))
    assert.ok(answered.length > 0, 'who gives way is told why')
    assert.match(answered[0].text, /^HTTP\/1.1 408 /)
    assert.ok((await site.node.metric('walcast_connections_cut_total', 'why="gave-way"')) > 0)
  },
)

labTest('one client cannot take the places of others', async (lab, t) => {
  const site = await startSite(
    lab,
    '--max-client-requests',
    '20',
    '--max-client-connections',
    '30',
    '--max-requests',
    '200',
  )
  await crowd(lab, site.port, { count: 20, perAddress: 20, text: UNFINISHED })
  const from = '127.1.0.2'
  await until('it has all that it may have', async () => {
    const got = await ask(site.port, { from, path: '/x' })
    if (got.status === 200) return false
    assert.deepEqual([got.status, codeOf(got)], [429, 'TOO_MANY_FROM_CLIENT'])
    assert.deepEqual(valuesOf(got, 'retry-after'), ['1'])
    return true
  })
  await requireHealth(site, t, 'with one client at its bound')
  for (const path of ['/livez', '/readyz'])
    assert.equal((await ask(site.port, { from, path })).status, 200)
  assert.equal((await ask(site.port, { from: ORDINARY, path: '/x' })).status, 200)

  const more = await crowd(lab, site.port, { count: 400, perAddress: 400, text: 'GET /' })
  await until(
    'connections past its bound end',
    () => more.filter(({ isGone }) => !isGone).length <= 30,
  )
  assert.ok((await site.node.metric('walcast_connections_cut_total', 'why="no-room"')) > 0)
  const past = await ask(site.port, { from, path: '/x' })
  assert.deepEqual([past.status, codeOf(past)], [429, 'TOO_MANY_FROM_CLIENT'])
  assert.deepEqual(valuesOf(past, 'connection'), ['close'])
  assert.equal((await ask(site.port, { from, path: '/livez' })).status, 200)
  assert.equal((await ask(site.port, { from: ORDINARY, path: '/x' })).status, 200)
})

campaignTest(
  'clients that do not read give way, and are cut after --send-timeout',
  async (lab, t) => {
    const site = await startSite(lab, '--max-requests', '50', '--send-timeout', '1h')
    const text = wanting(64 * MIB)
    await crowd(lab, site.port, { count: 50, perAddress: 10, text, reads: false })
    await until(
      'all slots are taken',
      async () => (await site.node.metric('walcast_proxy_requests')) === 50,
    )
    await requireHealth(site, t, 'with 50 that do not read')
    await requireService(site, t, 'with 50 that do not read')
    await site.node.stop()

    const strict = await startSite(lab, '--send-timeout', '3s')
    const lazy = await crowd(lab, strict.port, { count: 5, perAddress: 1, text, reads: false })
    const slow = await Stranger.open(lab, strict.port, '127.3.0.1', false)
    slow.write(wanting(4 * MIB))
    let readBytes = 0
    slow.socket.on('data', (chunk: Buffer) => {
      readBytes += chunk.length
      slow.socket.pause()
      setTimeout(() => slow.socket.resume(), 10)
    })
    await until('they are cut', async () => {
      return (await strict.node.metric('walcast_connections_cut_total', 'why="send-timeout"')) === 5
    })
    assert.ok(!slow.isGone, 'one that reads slowly is not')
    await until('a slow reader has it all', (saw) => {
      saw(String(readBytes))
      return readBytes > 4 * MIB
    })
    assert.equal(await strict.app.count('GET', '/large'), 6)
    for (const { socket } of lazy) socket.resume()
    await until('the lazy see the end', () => lazy.every(({ isGone }) => isGone))
  },
)

labTest('a stalled body gets 408; a slow one gives way only when others wait', async (lab, t) => {
  const site = await startSite(lab, '--body-timeout', '1s', '--max-requests', '21')
  const [still] = await crowd(lab, site.port, { count: 1, perAddress: 1, text: UNFINISHED })
  const operator = await Stranger.open(lab, site.node.options.port, '127.0.0.1')
  const [path, whole] = ['/_walcast/demote', `{${' '.repeat(98)}}`]
  const { node: to } = await site.node.status()
  const order = { purpose: 'order', method: 'POST', path, to, body: sha256(whole) } as const
  operator.write(
    `POST ${path} HTTP/1.1\r\nHost: a\r\nX-Replica-Auth: ${signatureOf(SECRET, order)}\r\n` +
      'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
  )
  const drips = await crowd(lab, site.port, {
    count: 20,
    perAddress: 5,
    text: DRIP,
  })
  const drip = setInterval(() => {
    for (const each of drips) if (!each.isGone) each.write('x')
  }, 200)
  lab.atEnd(() => clearInterval(drip))
  await until('the one that stopped has its answer', () => still.text.includes('REQUEST_STALLED'))
  assert.match(still.text, /^HTTP\/1.1 408 Request Timeout\r\n[\s\S]*connection: close/i)
  await until('it is gone', () => still.isGone)
  await until('so is the operator, whose request nobody answers', () => operator.isGone)
  assert.equal(await site.node.metric('walcast_connections_cut_total', 'why="body-timeout"'), 2)
  assert.ok(
    drips.every(({ isGone }) => !isGone),
    'a byte now and then is a body',
  )
  drips.push(...(await crowd(lab, site.port, { count: 1, perAddress: 1, text: DRIP })))
  await until(
    'all slots are taken',
    async () => (await site.node.metric('walcast_proxy_requests')) === 21,
  )
  await requireHealth(site, t, 'with bodies that come byte by byte')
  await requireService(site, t, 'with bodies that come byte by byte')
})

labTest('WebSockets have their own connection budget', async (lab, t) => {
  const site = await startSite(
    lab,
    '--max-upgrades',
    '20',
    '--max-client-requests',
    '15',
    '--max-requests',
    '10',
  )
  const sockets = await crowd(lab, site.port, { count: 30, perAddress: 10, text: UPGRADE })
  await until('each is answered', () => sockets.every(({ text }) => text.includes('\r\n\r\n')))
  assert.equal(sockets.filter(({ text }) => text.startsWith('HTTP/1.1 101 ')).length, 20)
  const refused = sockets.filter(({ text }) => text.startsWith('HTTP/1.1 503 '))
  assert.equal(refused.length, 10)
  for (const { text } of refused)
    assert.match(text, /retry-after: 1[\s\S]*WALCAST_TOO_MANY_UPGRADES/)
  await requireHealth(site, t, 'with all WebSockets taken')
  await requireService(site, t, 'with all WebSockets taken')
  const taken = sockets.find(({ text }) => text.startsWith('HTTP/1.1 101 '))
  taken?.socket.destroy()
  await until(
    'one place is free again',
    async () => (await site.node.metric('walcast_proxy_upgrades')) === 19,
  )
  const many = await crowd(lab, site.port, { count: 5, perAddress: 5, text: UPGRADE })
  await until('each is answered', () => many.every(({ text }) => text.includes('\r\n\r\n')))
  assert.equal(many.filter(({ text }) => text.startsWith('HTTP/1.1 101 ')).length, 1)
})

for (const [what, text] of [
  ['say nothing', ''],
  ['send a head byte by byte', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: '],
] as const)
  labTest(`connections that ${what} do not keep others out`, async (lab, t) => {
    const site = await startSite(lab, '--max-connections', '100', '--head-timeout', '2s')
    const strangers: Stranger[] = []
    const drip = setInterval(() => {
      for (const each of strangers) if (text !== '' && !each.isGone) each.write('x')
    }, 100)
    lab.atEnd(() => clearInterval(drip))
    for (const at of [site.port, site.node.options.port])
      strangers.push(...(await crowd(lab, at, { count: 300, perAddress: 50, text })))
    await requireHealth(site, t, `with 300 at each side that ${what}`)
    let refused = 0
    await until('an ordinary client gets in', async () => {
      const got = await ask(site.port, { from: ORDINARY, path: '/x' })
      if (got.status === 200) return true
      assert.deepEqual([got.status, codeOf(got)], [503, 'TOO_MANY_CONNECTIONS'])
      refused++
      return false
    })
    t.diagnostic(`${refused} refusals before an ordinary client got in`)
    await until('all of them are cut', () => strangers.every(({ isGone }) => isGone))
    await requireService(site, t, 'afterwards')
  })

labTest('thousands of pipelined requests delay no other client', async (lab, t) => {
  const site = await startSite(lab)
  const text = 'GET /many HTTP/1.1\r\nHost: a\r\n\r\n'
  const [polite] = await crowd(lab, site.port, { count: 1, perAddress: 1, text: text.repeat(100) })
  await until('a hundred are answered', (saw) => {
    const answers = polite.text.match(/HTTP\/1.1 200 /g)?.length ?? 0
    saw(String(answers))
    return answers === 100
  })
  const floods: Stranger[] = []
  for (const port of [site.port, site.node.options.port])
    floods.push(...(await crowd(lab, port, { count: 5, perAddress: 1, text: text.repeat(10_000) })))
  await requireHealth(site, t, 'with ten times 10,000 pipelined requests')
  await requireService(site, t, 'with ten times 10,000 pipelined requests')
  await until('they are cut', () => floods.every(({ isGone }) => isGone))
  assert.equal(await site.node.metric('walcast_connections_cut_total', 'why="pipelined"'), 10)
  assert.ok((await site.app.count('GET', '/many')) <= 100 + 5 * 100)
})

campaignTest('a crowd leaves the node enough file descriptors', async (lab, t) => {
  const db = lab.path('few.db')
  const [app, port, listen] = await Promise.all([
    App.start(lab, 'app'),
    freePort(),
    freePort(),
    makeDatabase(lab, db),
  ])
  const flags = ['--proxy', `127.0.0.1:${port}`, '--upstream', app.url, '--trusted-proxies', 'none']
  const options = { db, port: listen, flags, environment: { WALCAST_SECRET: SECRET } }
  const command = [
    'ulimit -n 600; exec "$@"',
    'sh',
    process.execPath,
    CLI,
    ...nodeArguments('leader', options),
  ]
  const child = lab.spawn('few files', 'sh', ['-c', ...command], options.environment)
  await child.errorLine((line) => line.includes('"msg":"running"'))
  const node = lab.nodeOf('leader', options, child)
  const site = { node, port, app }
  assert.equal(node.logged('the limit of open files lowers these bounds').length, 1)
  const strangers = [
    ...(await crowd(lab, port, { count: 500, perAddress: 5, text: UNFINISHED })),
    ...(await crowd(lab, listen, { count: 500, perAddress: 5, text: '' })),
  ]
  await requireHealth(site, t, 'with 1,000 connections and 600 descriptors')
  assert.ok(readdirSync(`/proc/${node.pid}/fd`).length < 600 - 50, 'some are left')
  const replica = await lab.replica(lab.path('copy.db'), node, { environment: options.environment })
  await replica.ready()
  assert.ok(strangers.some(({ isGone }) => !isGone))
})

labTest('a stop does not wait for unused connections', async (lab) => {
  const { node, port } = await startSite(lab, '--drain', '1h')
  const [unused] = await crowd(lab, port, { count: 1, perAddress: 1, text: '' })
  await until('it is there', async () => (await node.metric('walcast_proxy_connections')) === 1)
  assert.equal((await node.stop()).code, 0)
  await until('it is closed', () => unused.isGone)
})

labTest('concurrent requests for metrics share one answer', async (lab, t) => {
  const { node } = await startSite(lab)
  let answers = 0
  let going = true
  const beganMs = performance.now()
  const asker = async () => {
    while (going) {
      const { status, text } = await node.get('/metrics')
      assert.equal(status, 200)
      assert.match(text, /walcast_txid/)
      answers++
    }
  }
  const all = Array.from({ length: 100 }, asker)
  await until('each has had several', () => answers >= 500)
  going = false
  await Promise.all(all)
  const periods = Math.ceil((performance.now() - beganMs) / 1000)
  t.diagnostic(`${answers} answers in ${periods} s`)
  // In the first period there is no crowd yet.
  assert.ok(
    answers <= (periods + 2) * 110,
    'each of them has one a second, and a few have one at once',
  )
})

/** A write that a node of this name has sent on in part. */
async function slowForward(lab: Lab, { node }: Site, name: string): Promise<Stranger> {
  const signature = await signedBy(name, node)
  const stranger = await Stranger.open(lab, node.options.port, '127.0.0.1')
  return stranger.write(
    'POST /w HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n' +
      `X-Replica-Auth: ${signature}\r\n\r\nabc`,
  )
}

async function forward({ node }: Site, name: string) {
  const headers = ['x-replica-auth', await signedBy(name, node)]
  return ask(node.options.port, { method: 'POST', path: '/w', body: 'a write', headers })
}

async function signedBy(
  from: string,
  receiver: TestNode,
  method = 'POST',
  path = '/w',
): Promise<string> {
  const { node: to } = await receiverAt(receiver.url)
  const claim = { purpose: 'forward', method, path, from, to, epoch: 1, body: STREAMED } as const
  return signatureOf(SECRET, claim)
}

/** The first line of the answer to a WebSocket that a node of this name forwards. */
async function forwardUpgrade(lab: Lab, { node }: Site, name: string): Promise<string> {
  const signature = await signedBy(name, node, 'GET', '/live')
  const stranger = await Stranger.open(lab, node.options.port, '127.0.0.1')
  stranger.write(UPGRADE.replace('\r\n\r\n', `\r\nX-Replica-Auth: ${signature}\r\n\r\n`))
  await until('it is answered', () => stranger.text.includes('\r\n\r\n'))
  return stranger.text.slice(0, 'HTTP/1.1 nnn'.length)
}

labTest('one client or node leaves room for others under low limits', async (lab) => {
  const bounds = ['--max-requests', '8', '--max-connections', '20', '--max-upgrades', '4']
  const site = await startSite(lab, ...bounds)
  const { node, port } = site
  const posts = await crowd(lab, port, { count: 8, perAddress: 8, text: UNFINISHED })
  await until('two of eight are refused', () => posts.filter(({ isGone }) => isGone).length === 2)
  assert.match(posts.find(({ isGone }) => isGone)?.text ?? '', / 429 [\s\S]*already has 6 requests/)
  assert.equal((await ask(port, { from: ORDINARY, path: '/x' })).status, 200)
  await crowd(lab, port, { count: 20, perAddress: 20, text: '' })
  assert.equal((await ask(port, { from: ORDINARY, path: '/x' })).status, 200)
  await Promise.all(Array.from({ length: 6 }, () => slowForward(lab, site, 'one')))
  await until(
    'they are under way',
    async () => (await node.metric('walcast_intake_requests')) === 6,
  )
  const refused = await forward(site, 'one')
  assert.ok(
    refused.status === 200 || codeOf(refused) === 'TOO_MANY_REQUESTS',
    'one may have given way',
  )
  assert.equal((await forward(site, 'other')).status, 200)
  const upgrades = []
  for (const name of ['one', 'one', 'one', 'one', 'other'])
    upgrades.push((await forwardUpgrade(lab, site, name)).slice(-3))
  assert.deepEqual(upgrades, ['101', '101', '101', '503', '101'])
})

labTest("waiting clients of the leader do not block another node's requests", async (lab) => {
  const site = await startSite(lab, '--max-requests', '2')
  const waiting = ['/a', '/b'].map((path) => ask(site.port, { path, answer: { waits: true } }))
  await until('both wait', async () => (await site.app.state()).waiting === 2)
  assert.equal((await forward(site, 'other')).status, 200)
  for (const _ of waiting) await site.app.go()
  for (const answer of waiting) assert.equal((await answer).status, 200)
})

labTest('one node cannot fill the intake for the others', async (lab) => {
  const site = await startSite(lab, '--max-node-requests', '3', '--body-timeout', '1h')
  const { node, app } = site
  const crowded = await Promise.all(
    ['one', 'one', 'one'].map((name) => slowForward(lab, site, name)),
  )
  await until(
    'they are under way',
    async () => (await node.metric('walcast_intake_requests')) === 3,
  )
  const other = await slowForward(lab, site, 'other')
  const refused = await forward(site, 'one')
  if (refused.status !== 200) {
    assert.deepEqual([refused.status, codeOf(refused)], [503, 'TOO_MANY_REQUESTS'])
    assert.deepEqual(valuesOf(refused, 'walcast-not-executed'), ['TOO_MANY_REQUESTS'])
  }
  assert.equal((await forward(site, 'other')).status, 200, 'another node is not held up')
  await until(
    'one that keeps still gives way to its own node',
    async () => (await forward(site, 'one')).status === 200,
  )
  assert.ok(crowded.some(({ text }) => text.includes('REQUEST_STALLED')))
  assert.ok(!other.isGone && other.text === '', 'that of the other node goes on')
  other.write(' later')
  await until('and is answered', () => other.text.startsWith('HTTP/1.1 200 '))
  assert.ok((await app.count('POST', '/w')) >= 3)
})

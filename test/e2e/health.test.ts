/** The listener of --health: five questions in plain HTTP, for anyone, and nothing else. */
import assert from 'node:assert/strict'
import { freePort } from '../../src/cli/freePorts.ts'
import { crowd } from '../support/crowd.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { signatureOf } from '../support/signatures.ts'
import type { TestNode } from '../support/testNode.ts'
import { ask, codeOf } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = 'correct horse battery staple'
const WITH_SECRET = { environment: { WALCAST_SECRET: SECRET } }

interface Site {
  readonly node: TestNode
  readonly port: number
}

async function startSite(lab: Lab): Promise<Site> {
  const db = lab.path('health.db')
  await makeDatabase(lab, db)
  const port = await freePort()
  const node = await lab.leader(db, { ...WITH_SECRET, flags: ['--health', `127.0.0.1:${port}`] })
  return { node, port }
}

labTest('the five questions are answered, and tell no address and no id', async (lab) => {
  const { node, port } = await startSite(lab)
  const replicaPort = await freePort()
  const replica = await lab.replica(lab.path('copy.db'), node, {
    ...WITH_SECRET,
    flags: ['--health', `127.0.0.1:${replicaPort}`],
  })
  await replica.ready()
  const answers = (path: string) =>
    Promise.all(
      [port, replicaPort].map(async (each) => {
        const { status, body } = await ask(each, { path })
        return [status, JSON.parse(body.toString())]
      }),
    )
  await until('the replica is ready to be followed', async () => {
    const [, [, { ready }]] = await answers('/leader')
    return ready === true
  })
  const [leads, follows] = [
    { role: 'leader', ready: true },
    { role: 'replica', ready: true },
  ]
  assert.deepEqual(await answers('/leader'), [
    [200, leads],
    [503, follows],
  ])
  assert.deepEqual(await answers('/replica?x=1'), [
    [503, leads],
    [200, follows],
  ])
  const isLive = { live: true }
  assert.deepEqual(await answers('/livez'), [
    [200, isLive],
    [200, isLive],
  ])
  const isReady = { ready: true, reasons: [] }
  assert.deepEqual(await answers('/readyz'), [
    [200, isReady],
    [200, isReady],
  ])
  const metrics = await ask(port, { path: '/metrics' })
  assert.match(metrics.body.toString(), /^walcast_txid \d+$/m)
  const head = await ask(port, { method: 'HEAD', path: '/leader' })
  assert.deepEqual([head.status, head.body.length], [200, 0])

  await node.stop()
  await assert.rejects(ask(port, { path: '/livez' }))
})

labTest('everything else is not found, whoever asks', async (lab) => {
  const { node, port } = await startSite(lab)
  const paths = [
    ...['/', '/livez/', '//livez', '/LIVEZ', '/%6civez', '/livez/../leader', '/metrics/x', '/x'],
    ...['/_walcast/status', '/_walcast/lag', '/_walcast/events', '/_walcast/wait?txid=0'],
    ...['/_walcast/audit', '/_walcast/fitness', '/_walcast/positions', '/_walcast/stream'],
    `http://127.0.0.1:${port}/livez`,
  ]
  const { node: to } = await node.status()
  const headersOf = (path: string) => [
    [],
    ['authorization', `Bearer ${SECRET}`],
    ['x-replica-auth', signatureOf(SECRET, { purpose: 'order', path, to })],
    ['connection', 'upgrade', 'upgrade', 'websocket', 'sec-websocket-version', '13'],
  ]
  for (const path of paths)
    for (const given of headersOf(path)) {
      const got = await ask(port, { path, headers: given })
      assert.deepEqual([got.status, codeOf(got)], [404, 'NOT_FOUND'], `${path} ${given}`)
    }
  const body = 'x'.repeat(200_000)
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'])
    for (const path of ['/livez', '/metrics', '/_walcast/promote', '/_walcast/replicas?node=a']) {
      const sent = method === 'POST' || method === 'PUT' ? { body } : {}
      const got = await ask(port, { method, path, ...sent })
      assert.deepEqual([got.status, codeOf(got)], [404, 'NOT_FOUND'], `${method} ${path}`)
    }
  assert.equal((await node.status()).role, 'leader')
})

labTest('a crowd of idle connections hides the health of no node', async (lab) => {
  const { node, port } = await startSite(lab)
  const strangers = await crowd(lab, port, { count: 1000, perAddress: 10, text: '' })
  const half = 'GET /livez HTTP/1.1\r\nHost: a\r\n'
  const slow = await crowd(lab, port, { count: 200, perAddress: 10, text: half })
  for (const path of ['/livez', '/leader', '/metrics'])
    assert.equal((await ask(port, { path })).status, 200, path)
  const isHere = ({ isGone }: { readonly isGone: boolean }) => !isGone
  await until('most are cut', () => strangers.filter(isHere).length <= 128)
  await until('unfinished heads are cut', () => slow.filter(isHere).length === 0)
  assert.ok((await node.metric('walcast_connections_cut_total', 'side="health"')) >= 800)
  assert.equal((await node.get('/readyz')).status, 200)
  assert.equal((await node.stop()).code, 0)
})

labTest('an address that is taken, or none, ends the start', async (lab) => {
  const { node, port } = await startSite(lab)
  const db = lab.path('second.db')
  await makeDatabase(lab, db)
  const start = async (address: string) => {
    const listen = `127.0.0.1:${await freePort()}`
    const child = lab.cli(['leader', '--db', db, '--listen', listen, '--health', address])
    child.expectEnd()
    const { code } = await child.ended
    return `${code} ${child.err.findLast((line) => line.startsWith('WALCAST_'))}`
  }
  assert.match(
    await start(`127.0.0.1:${port}`),
    /^1 WALCAST_PORT_TAKEN: .*give --health another port/,
  )
  assert.match(await start('nowhere'), /^2 WALCAST_USAGE: .*--health wants HOST:PORT/)
  assert.equal((await node.get('/livez')).status, 200)
})

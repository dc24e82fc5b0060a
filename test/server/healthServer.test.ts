/** The health listener by itself: who counts as having asked for the role, and what a stop does. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { DatabaseView } from '../../src/api/databaseView.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { Metrics } from '../../src/health/metrics.ts'
import type { HealthParts } from '../../src/server/healthRoutes.ts'
import { HealthServer } from '../../src/server/healthServer.ts'

const VIEW: Partial<DatabaseView> = {
  role: () => 'leader',
  status: () => ({ role: 'leader', leader: 'node-a' }) as ReturnType<DatabaseView['status']>,
  refuseReplicas: () => undefined,
  notReady: () => [],
  incarnation: () => 'incarnation',
  history: () => 'history',
  leaderAddress: () => '10.0.0.1:8470',
}

/** A leader without an application. */
const PARTS = {
  metrics: new Metrics(false),
  databases: new Map([['main', { view: VIEW }]]),
  traffic: {
    intake: { isStopping: false },
    admission: { refuse: () => undefined },
    watch: { standing: () => 'none' },
    application: { unwellForLeading: undefined },
    publicUrl: 'http://10.0.0.1/',
  },
  instance: { id: 'instance', upMs: 1 },
  trust: { digest: '', fingerprint: '', takesPlainText: true },
  record: () => ({ node: 'node-a', cluster: 'cluster-a', lineage: [] }),
  nowMs: () => 1,
} as unknown as HealthParts

const LIMITS = {
  maxConnections: 10,
  maxClientConnections: 10,
  maxPipelined: 10,
  bodyTimeoutMs: 10_000,
  sendTimeoutMs: 10_000,
}

async function startServer(t: TestContext) {
  const [asked, state, port] = [[] as string[], { isStopping: false }, await freePort()]
  const server = new HealthServer({
    ...PARTS,
    ...{ host: '127.0.0.1', port, limits: LIMITS, log: pino({ enabled: false }) },
    isStopping: () => state.isStopping,
    onRoleAsked: (address) => void asked.push(address),
    onCut: () => {},
  })
  await server.listen()
  t.after(() => server.close())
  const get = (path: string, agent = 'a balancer') =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'user-agent': agent } })
  return { asked, state, get }
}

test('who asks for the role is told it alone, and counts as having asked', async (t) => {
  const { asked, get } = await startServer(t)
  const answer = await get('/leader?x')
  assert.deepEqual([answer.status, await answer.json()], [200, { role: 'leader', ready: true }])
  assert.equal((await get('/replica')).status, 503)
  assert.deepEqual(asked, ['127.0.0.1', '127.0.0.1'])
  for (const path of ['/livez', '/readyz', '/metrics', '/_walcast/status']) await get(path)
  await get('/leader', 'walcast')
  assert.equal(asked.length, 2, 'other questions do not count, and other nodes do not')
})

test('a node that stops says so, and keeps no connection', async (t) => {
  const { state, get } = await startServer(t)
  assert.equal((await get('/readyz')).headers.get('connection'), 'keep-alive')
  state.isStopping = true
  for (const path of ['/readyz', '/leader']) {
    const { status, headers } = await get(path)
    assert.deepEqual([status, headers.get('connection')], [503, 'close'], path)
  }
  assert.equal((await get('/livez')).status, 200)
})

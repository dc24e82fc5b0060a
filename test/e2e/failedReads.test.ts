/** Reads that fail at a replica because they write: the leader's application answers them. */
import assert from 'node:assert/strict'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { cookieOf, SECRET } from '../support/notesCluster.ts'
import type { TestNode } from '../support/testNode.ts'
import { ask, codeOf, echoIn, requireQuiet, startTraffic, valuesOf } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const ENVIRONMENT = { WALCAST_SECRET: SECRET }

/** A node before a site that begins a session with the first GET of each visitor. */
async function startSite(lab: Lab, name: string, leader?: TestNode, flags: readonly string[] = []) {
  const db = lab.path(`${name}.db`)
  if (!leader) {
    await makeDatabase(lab, db)
    await lab.exec(db, 'CREATE TABLE session (id INTEGER PRIMARY KEY, began INTEGER)')
  }
  const [proxy, port] = [await freePort(), await freePort()]
  const all = ['--proxy', `127.0.0.1:${proxy}`, '--upstream', `http://127.0.0.1:${port}`, ...flags]
  const options = { flags: all, environment: ENVIRONMENT }
  const node = leader ? await lab.replica(db, leader, options) : await lab.leader(db, options)
  await node.ready()
  await lab.python('sessions', { path: db, name, port }).line((line) => line === 'listening')
  const url = `http://127.0.0.1:${proxy}`
  // The application starts after its node. Until the node has seen it, reads go to the other node.
  await until('the application is seen', async () => (await fetch(`${url}/readyz`)).status === 200)
  return { node, url }
}

async function visit(url: string, cookie = '') {
  const answer = await fetch(url, { headers: { cookie } })
  const { app, session } = Object(await answer.json())
  const set = answer.headers.getSetCookie().find((each) => each.startsWith('session='))
  return {
    status: answer.status,
    app,
    session,
    cookies: `${set?.split(';')[0]}; ${cookieOf(answer)}`,
  }
}

labTest('a session begun by a GET at a replica is there for the next request', async (lab) => {
  const leader = await startSite(lab, 'leader')
  const replica = await startSite(lab, 'replica', leader.node)
  for (let visitor = 1; visitor <= 3; visitor++) {
    const first = await visit(`${replica.url}/wiki?page=${visitor}`)
    assert.deepEqual([first.status, first.app, first.session], [200, 'leader', visitor])
    const next = await visit(`${replica.url}/wiki`, first.cookies)
    assert.deepEqual(
      [next.status, next.app, next.session],
      [200, 'replica', visitor],
      'it is read here',
    )
  }
  const head = await fetch(`${replica.url}/login`, { method: 'HEAD' })
  assert.equal(head.status, 200)
  const { failedReads } = await replica.node.status()
  assert.deepEqual(failedReads, {
    ...{ answered: 4, failed: 0, away: 0, limited: 0, large: 0 },
    paths: [
      { path: '/wiki', count: 3 },
      { path: '/login', count: 1 },
    ],
  })
  assert.equal(await replica.node.metric('walcast_failed_reads_total', 'outcome="answered"'), 4)
  assert.equal(replica.node.logged('answered a read that failed here').length, 1)
  assert.equal((await leader.node.status()).failedReads, undefined)
  const told = lab.cli(['status', '--node', replica.node.address], ENVIRONMENT)
  assert.equal((await told.ended).code, 0)
  assert.match(
    told.out.join('\n'),
    /^failed reads +4 of 4 answered by the leader, most at \/wiki \(3\), \/login \(1\)/m,
  )
})

labTest(
  'with --replay-on none, and past --replay-rate, clients get the local answer',
  async (lab) => {
    const leader = await startSite(lab, 'leader')
    const never = await startSite(lab, 'never', leader.node, ['--replay-on', 'none'])
    const limited = await startSite(lab, 'limited', leader.node, ['--replay-rate', '0'])
    for (const { url } of [never, limited]) assert.equal((await visit(`${url}/`)).status, 500)
    assert.equal((await never.node.status()).failedReads, undefined)
    assert.equal((await limited.node.status()).failedReads?.limited, 1)
    assert.equal(limited.node.logged('more reads fail here').length, 1)
  },
)

labTest('headers that are replayed, and reads that stay local', async (lab) => {
  const flags = ['--local', '/local', '--replay-body', '64KiB', '--replay-on', '500,400']
  const traffic = await startTraffic(lab, { replicaFlags: flags })
  const { atReplica, atLeader, leaderApp, replicaApp, replica } = traffic
  const fails = { at: 'replica', status: 500, body: 'it is read only' }
  const counts = async (method: string, path: string) => [
    await replicaApp.count(method, path),
    await leaderApp.count(method, path),
  ]

  for (const [path, answer, body] of [
    ['/a?b=c', fails, undefined],
    ['/bad', { ...fails, status: 400 }, undefined],
    ['/body', fails, 'y'.repeat(50_000)],
    ['/early', { ...fails, early: true }, 'y'.repeat(50_000)],
    ['/long', { at: 'replica', status: 500, bytes: 1_000_000 }, undefined],
    ['/cut', { at: 'replica', status: 500, parts: ['it never', 'ends'] }, undefined],
  ] as const) {
    const headers = ['range', 'bytes=0-9', 'if-none-match', '"x"', 'accept', 'text/html']
    const got = await ask(atReplica, { path, answer, headers, ...(body ? { body } : {}) })
    assert.equal(got.status, 200, path)
    const { app, bytes, rawHeaders } = echoIn(got)
    assert.deepEqual([app, bytes], ['leader', body?.length ?? 0], path)
    for (const [name, value] of [
      ['range', 'bytes=0-9'],
      ['if-none-match', '"x"'],
      ['accept', 'text/html'],
    ])
      assert.deepEqual(valuesOf({ rawHeaders }, name), [value], path)
    assert.deepEqual(await counts('GET', path), [1, 1], path)
  }
  const head = await ask(atReplica, { method: 'HEAD', path: '/h', answer: fails })
  assert.deepEqual([head.status, head.body.length], [200, 0])

  for (const [method, path, answer, headers, body] of [
    ['OPTIONS', '/o', fails, [], undefined],
    ['GET', '/local/health', fails, [], undefined],
    ['POST', '/local/post', fails, [], 'x'],
    ['GET', '/via', fails, ['walcast-via', 'node-x'], undefined],
    ['GET', '/teapot', { ...fails, status: 418 }, [], undefined],
    ['GET', '/events', { ...fails, headers: ['content-type', 'text/event-stream'] }, [], undefined],
    ['GET', '/large', fails, [], 'y'.repeat(200_000)],
  ] as const) {
    const got = await ask(atReplica, { method, path, answer, headers, ...(body ? { body } : {}) })
    assert.deepEqual([got.status, got.body.toString()], [answer.status, fails.body], path)
    assert.deepEqual(await counts(method, path), [1, 0], path)
  }

  const both = await ask(atReplica, { path: '/both', answer: { status: 500, body: 'both fail' } })
  assert.deepEqual([both.status, both.body.toString()], [500, 'both fail'])
  const asked = { ...fails, headers: ['walcast-replay', 'leader'] }
  assert.equal(echoIn(await ask(atReplica, { path: '/asked', answer: asked })).app, 'leader')
  const at = { ...fails, at: 'leader' }
  assert.equal((await ask(atLeader, { path: '/at-leader', answer: at })).status, 500)
  assert.deepEqual(await counts('GET', '/at-leader'), [0, 1])
  const { paths, ...outcomes } = { paths: [], ...(await replica.status()).failedReads }
  assert.deepEqual(outcomes, { answered: 8, failed: 1, away: 0, limited: 0, large: 1 })
  assert.ok(paths.length === 5 && !JSON.stringify(paths).includes('b=c'), JSON.stringify(paths))
  await requireQuiet(traffic)
})

labTest('while the leader is away a failed read gets the local answer', async (lab) => {
  const traffic = await startTraffic(lab, { replicaFlags: ['--hold', '300ms'] })
  const { atReplica, leader, leaderApp, replica, replicaApp } = traffic
  await leader.stop()
  const fails = { at: 'replica', status: 500, body: 'it is read only' }
  const asks = ['walcast-replay', 'leader']
  for (const [path, headers] of [
    ['/fails', []],
    ['/asks', asks],
  ] as const) {
    const got = await ask(atReplica, { path, answer: { ...fails, headers } })
    assert.deepEqual([got.status, got.body.toString()], [500, fails.body])
    assert.deepEqual(valuesOf(got, 'walcast-replay'), [])
    assert.deepEqual(
      [await replicaApp.count('GET', path), await leaderApp.count('GET', path)],
      [1, 0],
    )
  }
  const refused = await ask(atReplica, {
    path: '/only-asks',
    answer: { ...fails, status: 200, headers: asks },
  })
  assert.deepEqual([refused.status, codeOf(refused)], [503, 'LEADER_AWAY'])
  assert.equal((await replica.status()).failedReads?.away, 2)
})

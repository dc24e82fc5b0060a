/**
 * What clients say of themselves is not believed, and what they are told names neither nodes nor
 * machines.
 */
import assert from 'node:assert/strict'
import { labTest } from '../support/lab.ts'
import { ask, codeOf, echoIn, type Got, startTraffic, valuesOf } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'

const CLAIMS = [
  ...[
    'X-Forwarded-For',
    '198.51.100.1',
    'X-Forwarded-Proto',
    'https',
    'X-Forwarded-Host',
    'admin.test',
  ],
  ...[
    'Forwarded',
    'for=198.51.100.1;proto=https',
    'X-Real-IP',
    '198.51.100.1',
    'Walcast-Client',
    '198.51.100.1',
  ],
]
const STRANGER = '127.7.7.7'

function cookieOf(got: Got): string {
  return valuesOf(got, 'set-cookie').join()
}

labTest(
  'headers of proxies are believed of trusted proxies only, here and through another node',
  async (lab) => {
    const flags = ['--trusted-proxies', 'none']
    const traffic = await startTraffic(lab, { leaderFlags: flags, replicaFlags: flags })
    for (const port of [traffic.atLeader, traffic.atReplica])
      for (const method of ['GET', 'POST']) {
        const got = await ask(port, { from: STRANGER, method, path: '/h', headers: CLAIMS })
        const echo = echoIn(got)
        assert.deepEqual(valuesOf(echo, 'x-forwarded-for'), [STRANGER])
        assert.deepEqual(valuesOf(echo, 'x-forwarded-proto'), ['http'])
        assert.deepEqual(valuesOf(echo, 'x-forwarded-host'), ['app.test'])
        assert.deepEqual(valuesOf(echo, 'forwarded'), [`for=${STRANGER};host=app.test;proto=http`])
        assert.deepEqual(valuesOf(echo, 'x-real-ip'), [])
        assert.deepEqual(valuesOf(echo, 'walcast-client'), [])
        assert.doesNotMatch(cookieOf(got), /secure/i)
      }
    const crowded = Array(600).fill('10.0.0.1').join(', ')
    for (const text of [crowded, 'junk', ', ,', '::ffff:1.2.3.4', '[::1]:99'])
      assert.deepEqual(
        valuesOf(
          echoIn(
            await ask(traffic.atReplica, { from: STRANGER, headers: ['X-Forwarded-For', text] }),
          ),
          'x-forwarded-for',
        ),
        [STRANGER],
      )
    const endless = ['X-Forwarded-For', Array(10_000).fill('10.0.0.1').join(',')]
    // The answer comes while the head is still being sent, and may be lost on the way.
    await until('it is told that its head is too large', async () => {
      const got = await ask(traffic.atReplica, { from: STRANGER, headers: endless }).catch(
        () => undefined,
      )
      return got?.status === 431
    })
  },
)

labTest(
  'behind a trusted proxy the client is the one that it names, and its cookie is for TLS',
  async (lab) => {
    const flags = ['--trusted-proxies', '127.7.0.0/16', '--max-client-requests', '1']
    const traffic = await startTraffic(lab, { leaderFlags: flags, replicaFlags: flags })
    for (const port of [traffic.atLeader, traffic.atReplica])
      for (const method of ['GET', 'POST']) {
        const got = await ask(port, { from: STRANGER, method, path: '/h', headers: CLAIMS })
        const echo = echoIn(got)
        assert.deepEqual(valuesOf(echo, 'x-forwarded-for'), [`198.51.100.1, ${STRANGER}`])
        assert.deepEqual(valuesOf(echo, 'x-forwarded-proto'), ['https'])
        assert.deepEqual(valuesOf(echo, 'x-forwarded-host'), ['admin.test'])
        assert.match(cookieOf(got), /; Secure$/)
      }
    // One request of each client: the proxy itself has no such bound.
    const waits = ['x-answer', Buffer.from(JSON.stringify({ waits: true })).toString('base64url')]
    const asked = (client: string) =>
      ask(traffic.atLeader, {
        from: STRANGER,
        path: '/wait',
        headers: [...waits, 'X-Forwarded-For', client],
      })
    const first = asked('203.0.113.1')
    await until('the first waits', async () => (await traffic.leaderApp.state()).waiting === 1)
    const second = asked('203.0.113.2')
    await until(
      'so does that of another client',
      async () => (await traffic.leaderApp.state()).waiting === 2,
    )
    const refused = await asked('9.9.9.9, 203.0.113.1')
    assert.deepEqual([refused.status, codeOf(refused)], [429, 'TOO_MANY_FROM_CLIENT'])
    await traffic.leaderApp.go()
    await traffic.leaderApp.go()
    assert.deepEqual([(await first).status, (await second).status], [200, 200])
  },
)

labTest('errors name no node and no machine, unless the operator wants it', async (lab) => {
  const nowhere = ['--upstream', 'http://127.0.0.1:1']
  const hold = ['--hold', '300ms']
  const traffic = await startTraffic(lab, {
    leaderFlags: [...nowhere, ...hold, '--name', 'node-of-leader'],
    replicaFlags: [...nowhere, ...hold, '--name', 'node-of-replica'],
  })
  const { leader, replica, atLeader, atReplica } = traffic
  const tells = /127\.0\.0\.1|node-of|:\d{2,5}\b|ECONN/
  const asks = [
    [atLeader, 'GET'],
    [atLeader, 'POST'],
    [atReplica, 'GET'],
    [atReplica, 'POST'],
  ] as const
  for (const [port, method] of asks) {
    const got = await ask(port, {
      method,
      path: '/x',
      headers: method === 'POST' ? ['content-length', '0'] : [],
    })
    assert.deepEqual([got.status, codeOf(got)], [503, 'APP_UNREACHABLE'])
    assert.doesNotMatch(got.body.toString(), tells)
    assert.match(got.body.toString(), /nothing was executed/, 'what to do stays')
  }
  for (const node of [leader, replica])
    await until('the log has the rest', () =>
      node
        .logged('a request was answered with an error')
        .some((line) => line.includes('127.0.0.1:1')),
    )
  await leader.stop()
  const away = await ask(atReplica, { method: 'POST', path: '/x', body: 'x' })
  assert.deepEqual([away.status, codeOf(away)], [503, 'LEADER_AWAY'])
  assert.doesNotMatch(away.body.toString(), tells)
  await until('and where it was is in the log', () =>
    replica
      .logged('a request was answered with an error')
      .some((line) => line.includes(leader.address)),
  )

  await replica.stop()
  const flags = [...(replica.options.flags ?? []), '--verbose-errors']
  const verbose = await lab.restart(replica, { flags })
  const told = await ask(atReplica, { method: 'POST', path: '/x', body: 'x' })
  assert.equal(told.status, 503)
  assert.match(told.body.toString(), tells)
  await verbose.stop()
})

/**
 * An application that accepts no connections: which requests wait, which go elsewhere, and where
 * the node reports it.
 */
import assert from 'node:assert/strict'
import WebSocket from 'ws'
import { STREAMED } from '../../src/security/requestSignature.ts'
import { ApplicationSite, toldIn } from '../support/applicationSites.ts'
import { type Lab, labTest, waitLevel } from '../support/lab.ts'
import { switchover } from '../support/leadership.ts'
import { signatureOf } from '../support/signatures.ts'
import { SECRET } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'

const QUICK = ['--upstream-every', '40ms', '--upstream-fall', '2', '--upstream-rise', '2']
const environment = { WALCAST_SECRET: SECRET }

async function pair(lab: Lab, flags: readonly string[] = []) {
  const leader = await ApplicationSite.start(lab, 'leader', undefined, { flags, environment })
  const replica = await ApplicationSite.start(lab, 'replica', leader.node, { flags, environment })
  return { leader, replica }
}

labTest('a dead application shows in public readiness, status, cause and metric', async (lab) => {
  const { leader } = await pair(lab, [...QUICK, '--upstream-counts', 'leader'])
  const publicReady = async () => (await fetch(`${leader.url}/readyz`)).status
  const isUp = async () => (await leader.node.metric('walcast_application_up')) === 1
  await until('it is up', isUp)
  assert.equal(await publicReady(), 200)
  await leader.killApp()
  await until('it is down', async () => !(await isUp()))
  assert.equal(await publicReady(), 503)
  assert.match(
    await (await fetch(`${leader.url}/readyz`)).text(),
    /the application is down: ECONNREFUSED/,
  )
  assert.equal((await leader.node.get('/leader')).status, 503)
  assert.equal((await leader.node.get('/readyz')).status, 200, 'of the node alone')
  const { application, causes } = await leader.node.status()
  assert.deepEqual(application, {
    url: `http://127.0.0.1:${leader.appPort}`,
    state: 'down',
    accepts: false,
    detail: 'ECONNREFUSED',
    held: 0,
  })
  assert.deepEqual(
    causes.map(({ code }) => code),
    ['application-down'],
  )
  assert.equal(await leader.node.metric('walcast_cause', 'application-down'), 1)
  const shown = lab.cli(['status', '--node', leader.node.address], environment)
  assert.equal((await shown.ended).code, 0)
  assert.match(shown.out.join('\n'), /application\s+http:\S+, down \(ECONNREFUSED\)/)
  await leader.startApp('leader')
  await until('it is up again', isUp)
  assert.equal(await publicReady(), 200)
  assert.equal((await leader.node.get('/leader')).status, 200)
})

labTest('--upstream-counts says where a dead application counts', async (lab) => {
  const first = await ApplicationSite.start(lab, 'first', undefined, { flags: QUICK })
  const second = await ApplicationSite.start(lab, 'second', undefined, {
    flags: [...QUICK, '--upstream-counts', 'nowhere'],
  })
  for (const site of [first, second]) {
    await site.killApp()
    await until('it is down', async () => (await site.node.status()).application?.state === 'down')
    assert.equal((await site.node.get('/leader')).status, 200)
  }
  assert.equal((await fetch(`${first.url}/readyz`)).status, 503)
  assert.equal((await fetch(`${second.url}/readyz`)).status, 200)
})

labTest('reads go to an application that is up, and wait when none is', async (lab) => {
  const { leader, replica } = await pair(lab, ['--local', '/own'])
  await toldIn(leader.post('a'))
  await waitLevel(leader.node, replica.node)
  await replica.killApp()
  assert.equal((await toldIn(replica.get())).name, 'leader')
  const own = fetch(`${replica.url}/own`)
  await replica.holds(1)
  await replica.startApp('replica')
  await replica.listens()
  assert.equal(
    (await toldIn(within('an answer', own))).name,
    'replica',
    'a path under --local stays here',
  )
  await until('it is back', async () => (await toldIn(replica.get())).name === 'replica')
  await leader.killApp()
  const lent = await leader.get()
  assert.match(lent.headers.get('walcast-position') ?? '', /^\d+-\d+$/)
  assert.match(lent.headers.get('set-cookie') ?? '', /^walcast_position=/)
  assert.deepEqual(Object(await lent.json()).name, 'replica')
  await replica.killApp()
  const waiting = [leader.get(), replica.get()]
  await leader.holds(1)
  await replica.holds(1)
  await replica.startApp('replica')
  for (const answer of waiting)
    assert.equal((await toldIn(within('an answer', answer))).name, 'replica')
})

labTest('a read lent by the leader needs its token and is not sent on', async (lab) => {
  const { leader, replica } = await pair(lab)
  const { epoch, txid } = await leader.node.status()
  const { incarnation } = JSON.parse((await leader.node.get('/leader')).text)
  const { node: to } = await replica.node.status()
  const ask = (method: string, more: Record<string, string> = {}) => {
    const lent = { 'walcast-lent': `${epoch}-${txid}`, 'walcast-incarnation': incarnation, ...more }
    const claim = { purpose: 'forward', method, path: '/t', from: 'leader', to, epoch } as const
    const covered = Object.entries(lent).flat()
    const token = signatureOf(SECRET, { ...claim, body: STREAMED, headers: covered })
    return fetch(`${replica.node.url}/t`, { method, headers: { 'x-replica-auth': token, ...lent } })
  }
  await until('it is lent', async () => (await toldIn(ask('GET'))).name === 'replica')
  const refused = async (answer: Promise<Response>) => {
    const got = await answer
    return [got.status, got.headers.get('walcast-not-executed')]
  }
  assert.deepEqual(await refused(ask('POST')), [400, 'BAD_REQUEST'])
  assert.deepEqual(await refused(ask('GET', { 'x-replica-auth': 'none' })), [
    401,
    'FORWARD_REFUSED',
  ])
  assert.deepEqual(await refused(ask('GET', { 'walcast-incarnation': '0'.repeat(16) })), [
    503,
    'OTHER_INCARNATION',
  ])
  await replica.killApp()
  assert.deepEqual(await refused(ask('GET')), [503, 'APP_UNREACHABLE'])
  assert.equal((await leader.get()).status, 200)
})

labTest(
  'writes, forwarded writes and upgrades wait for the application and run once',
  async (lab) => {
    const { leader, replica } = await pair(lab, ['--forward', '/ws'])
    await leader.killApp()
    const sockets = [leader, replica].map(
      ({ url }) => new WebSocket(`${url.replace('http', 'ws')}/ws`),
    )
    const names = sockets.map(
      (socket) =>
        new Promise<string>((resolve, reject) => {
          socket.once('message', (data) => resolve(String(data)))
          socket.once('error', reject)
        }),
    )
    const writes = [leader.post('a'), replica.post('b'), leader.post('c'), replica.post('d')]
    await leader.holds(6)
    await leader.startApp('leader')
    for (const answer of writes)
      assert.equal((await toldIn(within('an answer', answer))).name, 'leader')
    for (const name of names) assert.equal(await within('a greeting', name), 'leader')
    for (const socket of sockets) socket.close()
    assert.equal((await toldIn(leader.get())).n, 4)
  },
)

labTest('requests that wait for the application follow the leader when it changes', async (lab) => {
  const { leader, replica } = await pair(lab)
  await replica.startApp('leader')
  await replica.listens()
  await waitLevel(leader.node, replica.node)
  await leader.killApp()
  const writes = [leader.post('a'), replica.post('b')]
  await leader.holds(2)
  await switchover(leader.node, { to: replica.node.address })
  for (const answer of writes)
    assert.equal((await toldIn(within('an answer', answer))).name, 'replica')
})

labTest('requests wait at most --hold, and at most --max-held of them', async (lab) => {
  const { leader, replica } = await pair(lab, ['--hold', '500ms', '--max-held', '1'])
  await leader.killApp()
  for (const site of [leader, replica]) {
    const [first, ...others] = await Promise.all([site.post('a'), site.post('b'), site.post('c')])
    const codes = await Promise.all(
      [first, ...others].map(async (got) => Object(await got.json()).code),
    )
    assert.deepEqual(codes.sort(), [
      'WALCAST_APP_UNREACHABLE',
      'WALCAST_TOO_MANY_HELD',
      'WALCAST_TOO_MANY_HELD',
    ])
  }
  await leader.startApp('leader')
  await leader.listens()
  assert.equal((await toldIn(replica.post('d'))).n, 1, 'none of them was executed')
})

labTest('clients get an address that they can reach', async (lab) => {
  const leader = await ApplicationSite.start(lab, 'leader', undefined, { host: '0.0.0.0' })
  const { publicUrl } = JSON.parse((await leader.node.get('/leader')).text)
  assert.equal(publicUrl, `http://127.0.0.1:${leader.proxyPort}`)
  const standby = await ApplicationSite.start(lab, 'standby', leader.node, { flags: ['--standby'] })
  await until('it has heard', async () => {
    const body = Object(await (await standby.get()).json())
    return body.primary_url === `http://127.0.0.1:${leader.proxyPort}`
  })
})

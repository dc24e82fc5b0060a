/**
 * Clients that leave: their requests keep their places until they are done, and none runs for ever.
 */
import assert from 'node:assert/strict'
import { labTest } from '../support/lab.ts'
import { switchover } from '../support/leadership.ts'
import { ask, codeOf, RawHttp, requireQuiet, startTraffic, telling } from '../support/trafficLab.ts'
import { until } from '../support/until.ts'

labTest('a keyed write keeps its place after its client left, until it is done', async (lab) => {
  const bounds = ['--max-requests', '2']
  const traffic = await startTraffic(lab, { leaderFlags: bounds })
  const { atLeader, leaderApp, leader } = traffic
  const answer = telling({ waits: true })
  for (const key of ['a', 'b']) {
    const raw = await RawHttp.open(lab, atLeader)
    raw.write(
      `POST /slow HTTP/1.1\r\nHost: a\r\nIdempotency-Key: ${key}\r\nX-Answer: ${answer}\r\n` +
        'Content-Length: 0\r\n\r\n',
    )
    await until('it is there', async () => (await leaderApp.count('POST', '/slow')) > 0)
    raw.socket.destroy()
  }
  await until('both are there', async () => (await leaderApp.state()).waiting === 2)
  await until(
    'the node has seen them leave',
    async () => (await leader.metric('walcast_proxy_requests')) === 0,
  )
  const third = await ask(atLeader, { path: '/third' })
  assert.deepEqual([third.status, codeOf(third)], [503, 'TOO_MANY_REQUESTS'])
  for (const _ of ['a', 'b']) await leaderApp.go()
  await until('it takes more', async () => (await ask(atLeader, { path: '/more' })).status === 200)
  await requireQuiet(traffic)
})

labTest('a client that leaves does not count as an application failure', async (lab) => {
  const { atLeader, atReplica, leader, replica, leaderApp, replicaApp } = await startTraffic(lab)
  const answer = telling({ waits: true })
  for (const [port, app, node] of [
    [atLeader, leaderApp, leader],
    [atReplica, replicaApp, replica],
  ] as const) {
    for (const method of ['GET', 'PUT']) {
      const raw = await RawHttp.open(lab, port)
      raw.write(
        `${method} /left HTTP/1.1\r\nHost: a\r\nX-Answer: ${answer}\r\nContent-Length: 0\r\n\r\n`,
      )
      const to = method === 'GET' ? app : leaderApp
      await until('it is there', async () => (await to.state()).waiting === 1)
      raw.socket.destroy()
      await until('it is given up', async () => (await to.state()).waiting === 0)
    }
    await until(
      'nothing is under way',
      async () => (await node.metric('walcast_proxy_requests')) === 0,
    )
    await until(
      'nor from there',
      async () => (await leader.metric('walcast_intake_requests')) === 0,
    )
    assert.equal(await node.metric('walcast_proxy_refused_total'), 0)
    for (const each of [node, leader])
      assert.deepEqual(each.logged('a request was answered with an error'), [])
  }
})

labTest('a client that sends byte by byte does not block a switchover', async (lab) => {
  const { atLeader, leader, replica, leaderApp } = await startTraffic(lab)
  const raw = await RawHttp.open(lab, atLeader)
  raw.write('POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
  const drip = setInterval(() => raw.write('x'), 20)
  lab.atEnd(() => clearInterval(drip))
  await until('it is inside', async () => (await leader.metric('walcast_writes_inside')) === 1)
  assert.equal((await switchover(leader)).to.address, replica.address)
  assert.equal((await ask(atLeader, { method: 'POST', path: '/next', body: 'x' })).status, 200)
  assert.equal(await leaderApp.count('POST', '/next'), 0, 'the new leader executed it')
})

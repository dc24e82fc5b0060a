/** Requests that come to a node while it starts: a load balancer without checks sends them as soon as its public side listens. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { freePort } from '../src/cli/freePorts.ts'
import { type Lab, labTest, nodeArguments } from './support/lab.ts'
import { silentPeer } from './support/silentPeer.ts'
import { App, ask, codeOf } from './support/trafficLab.ts'
import { makeDatabase } from './support/workload.ts'

/** A leader that waits for the answer of another node before it leads. Its public side listens by then. */
async function startSlowly(lab: Lab, flags: readonly string[] = []) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const app = await App.start(lab, 'leader')
  const proxyPort = await freePort()
  const { server, address } = await silentPeer(lab)
  const asked = once(server, 'connection')
  const proxy = ['--proxy', `127.0.0.1:${proxyPort}`, '--upstream', app.url]
  const peers = ['--peers', address, '--peer-timeout', '4s']
  const child = lab.cli(
    nodeArguments('leader', { db, port: await freePort(), flags: [...proxy, ...peers, ...flags] }),
  )
  await asked
  return { child, app, proxyPort }
}

labTest('they wait until it can serve; its health is told meanwhile', async (lab) => {
  const { child, app, proxyPort } = await startSlowly(lab)
  const answers = [
    ask(proxyPort, { path: '/read' }),
    ask(proxyPort, { method: 'POST', path: '/write', body: 'x' }),
  ]
  const health = await Promise.all(['/livez', '/readyz'].map((path) => ask(proxyPort, { path })))
  assert.deepEqual(
    health.map(({ status }) => status),
    [200, 503],
  )
  assert.deepEqual(
    (await Promise.all(answers)).map(({ status }) => status),
    [200, 200],
  )
  assert.deepEqual([await app.count('GET', '/read'), await app.count('POST', '/write')], [1, 1])
  assert.equal((await child.stop()).code, 0)
})

labTest('they wait no longer than --hold', async (lab) => {
  const { proxyPort } = await startSlowly(lab, ['--hold', '100ms'])
  const late = await ask(proxyPort, { path: '/' })
  assert.deepEqual([late.status, codeOf(late)], [503, 'STARTING'])
})

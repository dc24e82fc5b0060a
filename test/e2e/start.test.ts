/** Requests that arrive while a node starts, as from a load balancer without health checks. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { silentPeer } from '../support/silentPeer.ts'
import { ask, codeOf, echoIn, valuesOf } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

/**
 * A leader that is still starting: it asks a silent peer whether it leads. Its public side listens.
 */
async function startUntilLetGo(lab: Lab, flags: readonly string[] = []) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const [port, proxyPort, appPort] = [await freePort(), await freePort(), await freePort()]
  await lab.program('echoApp', { port: appPort, name: 'app' }).line((line) => line.includes('port'))
  const { address, asked, letGo } = await silentPeer(lab)
  const all = [
    ['--proxy', `127.0.0.1:${proxyPort}`],
    ['--upstream', `http://127.0.0.1:${appPort}`],
    ['--peers', address],
    ['--peer-timeout', '60s'],
  ].flat()
  const options = { db, port, flags: [...all, ...flags] }
  const child = lab.cli(nodeArguments('leader', options))
  await within('the peer is asked', asked)
  const started = async () => {
    letGo()
    await child.errorLine((line) => line.includes('"msg":"running"'))
    return lab.nodeOf('leader', options, child)
  }
  return { proxyPort, child, started }
}

labTest('reads, writes and upgrades wait until the node has started', async (lab) => {
  const { proxyPort, started } = await startUntilLetGo(lab)
  const read = ask(proxyPort, { path: '/read' })
  const write = ask(proxyPort, { method: 'POST', path: '/write', body: 'x' })
  const socket = new WebSocket(`ws://127.0.0.1:${proxyPort}/live`)
  lab.atEnd(() => socket.terminate())
  const upgraded = once(socket, 'open')
  // A readiness check is answered at once: not ready.
  assert.equal((await ask(proxyPort, { path: '/readyz' })).status, 503)
  await started()
  assert.deepEqual([(await read).status, (await write).status], [200, 200])
  assert.equal(echoIn(await write).bytes, 1)
  await within('the upgrade is taken', upgraded)
})

labTest('past --hold requests are refused unexecuted', async (lab) => {
  const { proxyPort, started } = await startUntilLetGo(lab, ['--hold', '50ms'])
  const refused = await ask(proxyPort, { method: 'POST', path: '/write', body: 'x' })
  assert.deepEqual([refused.status, codeOf(refused)], [503, 'STARTING'])
  assert.deepEqual(valuesOf(refused, 'retry-after'), ['1'])
  await started()
  assert.equal((await ask(proxyPort, { path: '/read' })).status, 200)
})

labTest('at most --max-held requests wait for the start', async (lab) => {
  const { proxyPort, started } = await startUntilLetGo(lab, ['--max-held', '1'])
  const codes: string[] = []
  const answers = [1, 2, 3].map(async (n) => {
    const got = await ask(proxyPort, { path: `/${n}` })
    codes.push(codeOf(got))
    return got.status
  })
  await until('two are refused', () => codes.length === 2)
  assert.deepEqual(codes, ['TOO_MANY_HELD', 'TOO_MANY_HELD'])
  await started()
  assert.deepEqual((await Promise.all(answers)).sort(), [200, 503, 503])
})

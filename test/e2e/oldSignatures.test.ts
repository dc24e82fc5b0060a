/** What a real node takes that is signed as by a node of the version before keys. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { signOldRequest } from '../../src/security/oldSignature.ts'
import { labTest } from '../support/lab.ts'
import { ask, codeOf, echoIn, SECRET, startTraffic } from '../support/trafficLab.ts'

const STREAM = '/_walcast/stream'

/** The headers of a request that such a node sends now. */
function oldHeaders(method: string, path: string): Record<string, string> {
  const nowMs = Date.now()
  return {
    'x-replica-auth': signOldRequest(SECRET, { method, path, node: 'node-old', epoch: 1, nowMs }),
  }
}

/** Whether a stream with an old signature is opened at the node. */
async function streams(port: number): Promise<boolean> {
  const url = `ws://127.0.0.1:${port}${STREAM}`
  const socket = new WebSocket(url, 'walcast.1', { headers: oldHeaders('GET', STREAM) })
  socket.on('error', () => {})
  const isOpen = await Promise.race([
    once(socket, 'open').then(() => true),
    once(socket, 'unexpected-response').then(() => false),
  ])
  socket.terminate()
  return isOpen
}

labTest('old signatures count with the option only, once, and for no body', async (lab) => {
  const environment = { WALCAST_SECRET: SECRET, WALCAST_OLD_SIGNATURES: 'true' }
  const { leader, leaderApp, atReplica } = await startTraffic(lab, { environment })
  const { port } = leader.options
  assert.equal(leader.logged('--old-signatures').length, 1)
  const write = { method: 'POST', path: '/w', body: 'abc' }
  const headers = Object.entries(oldHeaders('POST', '/w')).flat()
  assert.equal(echoIn(await ask(port, { ...write, headers })).bytes, 3)
  assert.equal(codeOf(await ask(port, { ...write, headers })), 'FORWARD_REFUSED')
  assert.equal(await streams(port), true)

  const path = '/_walcast/demote'
  const json = ['content-type', 'application/json']
  const order = [...json, ...Object.entries(oldHeaders('POST', path)).flat()]
  const refused = await ask(port, { method: 'POST', path, headers: order, body: '{"by":"x"}' })
  assert.equal(codeOf(refused), 'WRONG_SECRET')

  // Nodes of this version prove themselves to each other all the same.
  await ask(atReplica, { method: 'POST', path: '/w2', body: 'abc' })
  assert.equal(await leaderApp.count('POST', '/w2'), 1)

  await leader.stop()
  const without = { WALCAST_SECRET: SECRET }
  const again = await lab.restart(leader, { environment: without })
  assert.equal(again.logged('--old-signatures').length, 0)
  const late = Object.entries(oldHeaders('POST', '/w')).flat()
  assert.equal(codeOf(await ask(port, { ...write, headers: late })), 'FORWARD_REFUSED')
  assert.equal(await streams(port), false)
})

/**
 * A public side that stops answers the request that is on its way on an idle connection, and closes
 * the connection then.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { TrustedProxies } from '../../src/proxy/clientAddress.ts'
import { Crowd } from '../../src/proxy/crowd.ts'
import { ProxyServer, type ProxyServerOptions } from '../../src/proxy/proxyServer.ts'
import { Routes } from '../../src/proxy/routes.ts'
import { until, within } from '../support/until.ts'

const LIMITS = {
  ...{
    maxConnections: 10,
    maxClientConnections: 10,
    maxPipelined: 10,
    maxRequests: 10,
    maxUpgrades: 10,
  },
  ...{ maxClientRequests: 10, bodyTimeoutMs: 60_000, sendTimeoutMs: 60_000 },
}
const HEALTH = 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'
/** If the machine stands still for too long, the stop cuts such a request off. */
const MAX_TRIES = 20

async function start(): Promise<{ side: ProxyServer; port: number }> {
  const port = await freePort()
  const crowd = new Crowd(LIMITS, new TrustedProxies([]), {
    onCut() {},
    bodyOf: ({ code, message, cure }) => ({ code, message, cure }),
  })
  const options: Partial<ProxyServerOptions> = {
    ...{ host: '127.0.0.1', port, crowd, routes: new Routes({ forward: [], local: [] }) },
    limits: {
      maxHeaderBytes: 16_384,
      requestTimeoutMs: 60_000,
      headTimeoutMs: 60_000,
      holdMs: 1000,
      maxHeld: 10,
    },
    onRequest() {},
  }
  const side = new ProxyServer(options as ProxyServerOptions)
  await side.listen()
  return { side, port }
}

/** The answer to a request that was sent at the moment of the stop. */
async function sentAtStop(): Promise<string> {
  const { side, port } = await start()
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.write(HEALTH)
  await until('the first answer', () => text.includes('"live":true'))
  text = ''
  const closed = side.close(60_000)
  socket.write(HEALTH)
  if (!socket.closed) await once(socket, 'close')
  await within('the stop', closed)
  return text
}

test('at a stop, a request on its way on an idle connection is answered', async () => {
  let text = ''
  for (let tries = 0; text === '' && tries < MAX_TRIES; tries++) text = await sentAtStop()
  assert.match(text, /^HTTP\/1.1 200 OK\r\n[\s\S]*\r\nconnection: close\r\n/i)
})

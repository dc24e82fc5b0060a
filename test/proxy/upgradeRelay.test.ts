/**
 * Upgrades over sockets: whatever becomes of the application or the client, each is answered once,
 * and the process goes on.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer as createRawServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { ApplicationWatch } from '../../src/proxy/applicationWatch.ts'
import { takeUpgrade } from '../../src/proxy/upgradeIntake.ts'
import { relayUpgrade, type UpgradeTarget } from '../../src/proxy/upgradeRelay.ts'
import { until } from '../support/until.ts'

const HOUR_MS = 3_600_000

type OnUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** Asks for an upgrade at a server that runs `onUpgrade`. */
async function ask(context: TestContext, onUpgrade: OnUpgrade) {
  const server = createServer().on('upgrade', (request, socket: Socket, head) => {
    socket.on('error', () => {})
    onUpgrade(request, socket, head)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  const got = { text: '', isClosed: false, socket }
  socket.on('data', (chunk) => {
    got.text += chunk.toString('latin1')
  })
  socket.on('close', () => {
    got.isClosed = true
  })
  socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  context.after(() => {
    socket.destroy()
    server.close()
    server.closeAllConnections()
  })
  return got
}

async function application(
  context: TestContext,
  onRequest: (socket: Socket) => void,
): Promise<string> {
  const server = createRawServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => onRequest(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** One wait at a time. */
function watchOf(context: TestContext, whyNot: string | undefined): ApplicationWatch {
  const watch = new ApplicationWatch(
    { maxHeld: 1, everyMs: HOUR_MS, fall: 1, rise: 1, check: undefined },
    {
      url: () => 'http://127.0.0.1:1',
      log: pino({ level: 'silent' }),
      look: async () => ({ whyNot }),
    },
  )
  context.after(() => watch.stop())
  return watch
}

const targetAt = (origin: string): UpgradeTarget => ({
  origin,
  path: '/ws',
  headers: ['host', 'a'],
})

for (const length of ['', 'content-length: 100\r\n'])
  test(`half an answer stays half (${length.trim() || 'no length'})`, async (context) => {
    let app: Socket | undefined
    const origin = await application(context, (socket) => {
      app = socket
      socket.write(`HTTP/1.1 200 OK\r\n${length}\r\nhalf`)
    })
    const got = await ask(context, (request, socket, head) => {
      void relayUpgrade(request, socket, head, targetAt(origin))
    })
    await until('its half has come', () => got.text.endsWith('half'))
    app?.resetAndDestroy()
    await until('it is cut', () => got.isClosed)
    assert.match(got.text, /^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\nhalf$/)
  })

test('an upgrade that may not wait is refused, and nothing else ends', async (context) => {
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', onUnhandled)
  context.after(() => process.off('unhandledRejection', onUnhandled))
  const watch = watchOf(context, 'ECONNREFUSED')
  watch.onUnreachable('ECONNREFUSED')
  const take: OnUpgrade = (request, socket, head) =>
    void takeUpgrade(request, socket, head, {
      watch,
      holdMs: HOUR_MS,
      target: () => targetAt('http://127.0.0.1:1'),
      refuseNow: () => undefined,
    })
  const first = await ask(context, take)
  await until('the first one waits', () => watch.held === 1)
  const second = await ask(context, take)
  await until('the second one is refused', () => second.isClosed)
  assert.match(second.text, /^HTTP\/1.1 503 [\s\S]*WALCAST_TOO_MANY_HELD/)
  assert.equal(first.text, '')
  first.socket.destroy()
  await until('nobody waits', () => watch.held === 0)
  assert.deepEqual(unhandled, [])
})

test('what a client sends while its upgrade waits reaches the application', async (context) => {
  let received = ''
  const origin = await application(context, (socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (received.endsWith('later')) socket.end('all')
    })
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
  })
  const watch = watchOf(context, undefined)
  watch.suspend('it is being started')
  let server: Socket | undefined
  const got = await ask(context, (request, socket, head) => {
    server = socket
    void takeUpgrade(request, socket, head, {
      watch,
      holdMs: HOUR_MS,
      target: () => targetAt(origin),
      refuseNow: () => undefined,
    })
  })
  await until('it waits', () => watch.held === 1)
  got.socket.write('early ')
  await until('that has come', () => (server?.readableLength ?? 0) > 0)
  watch.started()
  await until('it is taken', () => got.text.includes(' 101 '))
  got.socket.write('and later')
  await until('both came, in their order', () => got.text.endsWith('all'))
  assert.equal(received, 'early and later')
})

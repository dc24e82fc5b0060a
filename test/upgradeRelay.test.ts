/** Upgrades over sockets: whatever becomes of the application or the client, each is answered once, and the process goes on. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer as createRawServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { ApplicationWatch } from '../src/http/applicationWatch.ts'
import { takeUpgrade } from '../src/http/upgradeIntake.ts'
import { relayUpgrade, type UpgradeTarget } from '../src/http/upgradeRelay.ts'
import { until } from './support/until.ts'

type OnUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** Asks a server that does `onUpgrade` for an upgrade. */
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

async function application(context: TestContext, onRequest: (socket: Socket) => void): Promise<string> {
  const server = createRawServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => onRequest(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const targetAt = (origin: string): UpgradeTarget => ({ origin, path: '/ws', headers: ['host', 'a'] })

for (const length of ['', 'content-length: 100\r\n'])
  test(`half an answer in place of an upgrade stays half (${length.trim() || 'no length'})`, async (context) => {
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

test('an upgrade that may not wait is answered so, and ends nothing else', async (context) => {
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', onUnhandled)
  context.after(() => process.off('unhandledRejection', onUnhandled))
  const watch = new ApplicationWatch(
    { maxHeld: 1, everyMs: 3_600_000, fall: 1, rise: 1, check: undefined },
    {
      url: () => 'http://127.0.0.1:1',
      log: pino({ level: 'silent' }),
      look: async () => ({ whyNot: 'ECONNREFUSED' }),
    },
  )
  watch.onUnreachable('ECONNREFUSED')
  context.after(() => watch.stop())
  const take: OnUpgrade = (request, socket, head) =>
    void takeUpgrade(request, socket, head, {
      watch,
      holdMs: 3_600_000,
      target: () => targetAt('http://127.0.0.1:1'),
      refuseNow: () => undefined,
    })
  const first = await ask(context, take)
  await until('the first one waits', () => watch.held === 1)
  const second = await ask(context, take)
  await until('the second one is refused', () => second.isClosed)
  assert.match(second.text, /^HTTP\/1.1 503 [\s\S]*WALCAST_TOO_MANY_HELD/)
  assert.equal(first.text, '')
  first.socket.resetAndDestroy()
  await until('nobody waits', () => watch.held === 0)
  assert.deepEqual(unhandled, [])
})

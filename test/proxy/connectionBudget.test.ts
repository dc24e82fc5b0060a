/**
 * Which clients keep a server waiting: only those that owe something. The one that is still for
 * longest gives way.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { WalcastError } from '../../src/errors.ts'
import {
  ConnectionBudget,
  type ConnectionLimits,
  type Cut,
} from '../../src/proxy/connectionBudget.ts'
import { until } from '../support/until.ts'

const HOUR_MS = 3_600_000
const LIMITS: ConnectionLimits = {
  maxConnections: 100,
  maxClientConnections: 100,
  maxPipelined: 100,
  bodyTimeoutMs: 30_000,
  sendTimeoutMs: 30_000,
}
const UNFINISHED = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc'

/** A server whose time the test sets: it never looks by itself. */
async function setUp(
  context: TestContext,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  change: Partial<ConnectionLimits> = {},
  client?: string,
) {
  const cuts: Cut[] = []
  const refused: WalcastError[] = []
  const arrived: Socket[] = []
  const connections = new ConnectionBudget(
    { ...LIMITS, ...change },
    {
      clientAt: () => client,
      onCut: (why) => cuts.push(why),
      refuse(response, error) {
        refused.push(error)
        response.writeHead(error.status, { connection: 'close' }).end()
      },
    },
  )
  const server = createServer((request, response) => {
    connections.arrive(response)
    response.once('close', () => connections.leave(response))
    arrived.push(request.socket)
    handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  connections.attach(server)
  const open = async (text: string): Promise<Socket> => {
    const before = arrived.length
    const size = connections.size
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(text)
    if (text === '') await until('it is accepted', () => connections.size > size)
    else await until('its request has come', () => arrived.length > before)
    return socket
  }
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { connections, cuts, refused, arrived, open }
}

const nowMs = () => performance.now()

test('a client that waits for the application is never slow', async (t) => {
  const { connections, cuts, open } = await setUp(t, () => {})
  await open('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  connections.look(nowMs())
  connections.look(nowMs() + HOUR_MS)
  assert.equal(connections.giveWay(), false)
  assert.deepEqual(cuts, [])
})

test('a client is slow if its body stops, not if the application does not read it', async (t) => {
  let unread: IncomingMessage | undefined
  const { connections, cuts, refused, open } = await setUp(t, (request) => {
    unread = request
  })
  const length = 4 * 1024 * 1024
  const socket = await open(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length - 1)}`,
  )
  await until(
    'no more of it is taken',
    () => (unread?.readableLength ?? 0) >= (unread?.readableHighWaterMark ?? 0),
  )
  connections.look(nowMs())
  connections.look(nowMs() + HOUR_MS)
  assert.deepEqual(cuts, [])
  assert.equal(connections.giveWay(), false)
  let read = 0
  unread?.on('data', (chunk: Buffer) => {
    read += chunk.length
  })
  await until('all but one byte is read', () => read === length - 1)
  connections.look(nowMs())
  connections.look(nowMs() + LIMITS.bodyTimeoutMs)
  assert.deepEqual([cuts, refused.map(({ key }) => key)], [['body-timeout'], ['REQUEST_STALLED']])
  await until('it is told and cut', () => socket.destroyed)
  assert.ok(unread?.destroyed, 'who reads the body hears of it')
})

test('the client that is still for longest gives way, one that moves does not', async (t) => {
  const { connections, cuts, arrived, open } = await setUp(t, (request) => request.resume())
  const first = await open(UNFINISHED)
  connections.look(nowMs())
  const second = await open(UNFINISHED)
  connections.look(nowMs() + 1000)
  connections.look(nowMs() + 2500)
  assert.equal(connections.giveWay(), true)
  await until('the first is ended', () => first.destroyed)
  assert.equal(connections.giveWay(), false, 'the other has kept still for 1.5 s only')
  const send = async (bytes: number) => {
    const wantedBytes = arrived[1].bytesRead + bytes
    second.write('x'.repeat(bytes))
    await until('it has come', () => arrived[1].bytesRead === wantedBytes)
  }
  connections.look(nowMs() + 4000)
  await send(1000)
  assert.equal(connections.giveWay(), false, 'it has gone on since the last look')
  connections.look(nowMs() + 7000)
  connections.look(nowMs() + 9500)
  await send(1)
  assert.equal(connections.giveWay(), true, 'a byte is no progress while others wait')
  assert.deepEqual(cuts, ['gave-way', 'gave-way'])
})

test('a connection that is busy between two looks does not count as idle', async (t) => {
  const { connections, cuts, arrived, open } = await setUp(
    t,
    (_request, response) => response.end('x'),
    {
      maxConnections: 2,
    },
  )
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  const busy = await open(get)
  const idle = await open(get)
  const base = nowMs()
  for (let i = 0; i < 10; i++) {
    connections.look(base + i * 1000)
    const before = arrived.length
    busy.write(get)
    await until('it is answered', () => arrived.length > before)
  }
  connections.look(base + 10_000)
  const third = await open(get)
  await until('the idle one is ended', () => idle.destroyed)
  assert.deepEqual(cuts, ['gave-way'])
  assert.ok(!busy.destroyed && !third.destroyed)
})

test('a node keeps its idle connections, and gets in past the bound', async (t) => {
  const { connections, cuts, arrived, open } = await setUp(
    t,
    (_request, response) => response.end('x'),
    {
      maxConnections: 1,
    },
  )
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  const node = await open(get)
  connections.prove(arrived[0], 'node-b')
  connections.look(nowMs())
  connections.look(nowMs() + HOUR_MS)
  const stranger = await open(get)
  await until('it is answered, and closed', () => stranger.destroyed)
  const silent = await open('')
  const another = await open(get)
  connections.prove(arrived.at(-1) ?? arrived[0], 'node-b')
  connections.look(nowMs() + 2 * HOUR_MS)
  await until('what says nothing past the bound is cut', () => silent.destroyed)
  assert.deepEqual(cuts, ['no-room'])
  assert.ok(!node.destroyed)
  assert.ok(another)
})

test('one client gets only its share of the room for health', async (t) => {
  const { connections, cuts, open } = await setUp(t, () => {}, { maxConnections: 4 }, 'a')
  const sockets: Socket[] = []
  // Three of four, and eight in the room for health.
  for (let i = 0; i < 11; i++) sockets.push(await open(''))
  assert.deepEqual([connections.size, cuts], [11, []])
  const more = connect({ port: sockets[0].remotePort ?? 0, host: '127.0.0.1' })
  more.on('error', () => {})
  await until('one makes place', () => cuts.length === 1)
  assert.deepEqual([connections.size, cuts], [11, ['no-room']])
  assert.equal(sockets.filter(({ destroyed }) => destroyed).length <= 1, true)
  more.destroy()
  for (const socket of sockets) socket.destroy()
})

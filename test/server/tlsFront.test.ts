/**
 * Both TLS and plain text come to one port; what is neither, or takes its time, holds up no other
 * connection.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { exchangeOver } from '../../src/cluster/socketExchange.ts'
import { ConnectionBudget, type ConnectionLimits } from '../../src/proxy/connectionBudget.ts'
import { type ConnectionKeys, connectionKeys } from '../../src/security/connectionKeys.ts'
import { makeKeys } from '../../src/security/nodeKeys.ts'
import { ServedKeys } from '../../src/security/servedKeys.ts'
import { type HandshakeFailure, TlsFront, type TlsFrontOptions } from '../../src/server/tlsFront.ts'
import { until } from '../support/until.ts'

const LIMITS: ConnectionLimits = {
  maxConnections: 100,
  maxClientConnections: 100,
  maxPipelined: 100,
  bodyTimeoutMs: 30_000,
  sendTimeoutMs: 30_000,
}
const HOUR_MS = 3_600_000

async function setUp(
  t: TestContext,
  options: Partial<TlsFrontOptions> = {},
  limits: Partial<ConnectionLimits> = {},
) {
  const failures: HandshakeFailure[] = []
  const seen: (ConnectionKeys | undefined)[] = []
  const keys = new ServedKeys(makeKeys())
  const front = new TlsFront({
    keys,
    takesPlainText: true,
    handshakeTimeoutMs: HOUR_MS,
    headTimeoutMs: HOUR_MS,
    maxHandshakes: 50,
    onFailed: (why) => failures.push(why),
    ...options,
  })
  const connections = new ConnectionBudget(
    { ...LIMITS, ...limits },
    { clientAt: () => undefined, onCut() {}, refuse: (response) => void response.end() },
  )
  const server = createServer((request, response) => {
    connections.arrive(response)
    response.once('close', () => connections.leave(response))
    seen.push(connectionKeys(request.socket))
    response.end(`${request.url} ${'encrypted' in request.socket}`)
  })
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  front.attach(server, connections)
  connections.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    front.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  const openTls = async (change: ConnectionOptions = {}): Promise<TLSSocket> => {
    const own = makeKeys()
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      key: own.key,
      cert: own.certificate,
      ...change,
    })
    t.after(() => socket.destroy())
    await once(socket, 'secureConnect')
    return socket
  }
  return { keys, front, connections, failures, seen, port, open, openTls }
}

/** The answer to one request over a connection. */
async function ask(socket: Socket, path: string): Promise<string> {
  const request = { method: 'GET', path, headers: { host: 'a' }, maxBytes: 1000 }
  const { status, body } = await exchangeOver(socket, request)
  return `${status} ${body}`
}

test('one port answers in plain text and over TLS, and counts each connection once', async (t) => {
  const { keys, connections, seen, open, openTls } = await setUp(t)
  const own = makeKeys()
  const plain = await open()
  assert.equal(await ask(plain, '/a'), '200 /a false')
  const encrypted = await openTls({ key: own.key, cert: own.certificate })
  assert.equal(connections.size, 2)
  assert.equal(await ask(encrypted, '/b'), '200 /b true')
  assert.equal(encrypted.getProtocol(), 'TLSv1.3')
  assert.deepEqual(seen, [
    undefined,
    { own: keys.current.fingerprint, client: own.fingerprint, isVerified: false },
  ])
  for (const socket of [plain, encrypted]) socket.destroy()
  await until('none is left', () => connections.size === 0)
})

test('a connection that lasts is one of the budget, over TLS too', async (t) => {
  const { connections, openTls } = await setUp(t)
  const sockets = [await openTls(), await openTls()]
  assert.equal(connections.size, 2)
  for (const socket of sockets) {
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await once(socket, 'data')
  }
  assert.equal(connections.size, 2)
  for (const socket of sockets) socket.destroy()
  await until('they are gone', () => connections.size === 0)
})

test('an upgrade over TLS carries bytes both ways', async (t) => {
  const { openTls } = await setUp(t, { takesPlainText: false })
  const socket = await openTls()
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n')
  const [head] = await once(socket, 'data')
  assert.match(String(head), /^HTTP\/1.1 101 /)
  const large = Buffer.alloc(1_000_000, 'x')
  socket.write(large)
  let bytes = 0
  for await (const part of socket) {
    bytes += part.length
    if (bytes === large.length) break
  }
})

test('where only TLS is taken, plain text is told so, and the connection ends', async (t) => {
  const { failures, seen, open, connections } = await setUp(t, { takesPlainText: false })
  const socket = await open()
  socket.write('GET /secret HTTP/1.1\r\nhost: a\r\n\r\n')
  let text = ''
  for await (const part of socket) text += part
  assert.match(text, /^HTTP\/1\.1 426 .*upgrade: TLS\/1\.3.*WALCAST_TLS_WANTED/s)
  assert.deepEqual([failures, seen], [['plaintext'], []])
  await until('it is gone', () => connections.size === 0)
})

test('TLS 1.2 is refused', async (t) => {
  const { failures, openTls } = await setUp(t)
  await assert.rejects(openTls({ maxVersion: 'TLSv1.2' }), /protocol version/)
  await until('the failure is counted', () => failures.length > 0)
  assert.deepEqual(failures, ['version'])
})

test('a session is not resumed: each connection proves its keys', async (t) => {
  const { openTls } = await setUp(t)
  const first = await openTls()
  const session = once(first, 'session').then(([ticket]) => ticket as Buffer | undefined)
  first.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(first, 'data')
  const ticket = await Promise.race([
    session,
    new Promise<undefined>((done) => setImmediate(() => done(undefined))),
  ])
  const second = await openTls({ session: ticket ?? first.getSession() })
  assert.equal(second.isSessionReused(), false)
})

test('a handshake that is never finished ends after its time', async (t) => {
  const { front, failures, connections, open } = await setUp(t, {
    takesPlainText: false,
    handshakeTimeoutMs: 50,
  })
  const silent = await open()
  const begun = await open()
  // A record of a handshake of 512 bytes, of which one comes.
  begun.write(Buffer.from([22, 3, 1, 2, 0, 1]))
  await Promise.all([once(silent, 'close'), once(begun, 'close')])
  assert.deepEqual(failures, ['timeout', 'timeout'])
  await until('nothing is left of them', () => front.handshakes + connections.size === 0)
})

test('the oldest handshake gives way to one that is new', async (t) => {
  const { front, failures, open, openTls } = await setUp(t, {
    takesPlainText: false,
    maxHandshakes: 3,
  })
  const crowd = [await open(), await open(), await open()]
  await until('all are open', () => front.handshakes === 3)
  const ended = once(crowd[0], 'close')
  const socket = await openTls()
  assert.match(await ask(socket, '/'), /^200/)
  await ended
  assert.deepEqual(failures, ['gave-way'])
  assert.equal(crowd[1].destroyed, false)
})

test('who sends no byte of plain text is answered as a late head is', async (t) => {
  const { open, failures } = await setUp(t, { headTimeoutMs: 50 })
  const socket = await open()
  let text = ''
  for await (const part of socket) text += part
  assert.match(text, /^HTTP\/1\.1 408 /)
  assert.deepEqual(failures, [])
})

test('garbage in place of a handshake is counted, and ends the connection', async (t) => {
  const { failures, open } = await setUp(t)
  const socket = await open()
  socket.write(Buffer.from([22, 3, 3, 0, 4, 1, 2, 3, 4]))
  socket.resume()
  await once(socket, 'close')
  assert.equal(failures.length, 1)
})

test('a full budget lets connections whose handshake is still give way', async (t) => {
  const { connections, open, openTls } = await setUp(
    t,
    { takesPlainText: false },
    { maxConnections: 2 },
  )
  const crowd = [await open(), await open()]
  await until('they are counted', () => connections.size === 2)
  connections.look(performance.now())
  connections.look(performance.now() + 5000)
  const gone = Promise.race(crowd.map((socket) => once(socket, 'close')))
  const socket = await openTls()
  assert.match(await ask(socket, '/'), /^200/)
  await gone
})

test('new keys are used by new connections', async (t) => {
  const { keys, openTls } = await setUp(t)
  const before = await openTls()
  const old = keys.current.fingerprint
  keys.replace(makeKeys())
  const after = await openTls()
  const shown = [before, after].map((socket) => socket.getPeerX509Certificate()?.fingerprint256)
  assert.notEqual(shown[0], shown[1])
  assert.notEqual(keys.current.fingerprint, old)
  assert.match(await ask(before, '/'), /^200/)
})

/**
 * Requests and upgrades for another node: whoever is at its address proves itself on the very
 * connection, before a byte of a client leaves.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { SendError } from '../../src/proxy/sendError.ts'
import { relayUpgrade } from '../../src/proxy/upgradeRelay.ts'
import { Upstream } from '../../src/proxy/upstream.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { fakeProof } from '../support/fakeProof.ts'
import { dialerWith } from '../support/peers.ts'
import { answerText, type RawServer, rawServer } from '../support/rawServer.ts'
import { Rogue } from '../support/rogue.ts'

const SECRET = 'correct horse battery staple'
const LIMIT_MS = 10_000
const [COOKIE, WORDS] = ['session=of-a-client', 'words-of-a-client']

const dialTo = (address: string) => () =>
  dialerWith(new ClusterSecrets([SECRET])).dial(address, LIMIT_MS)

function upstreamTo(context: TestContext, address: string): Upstream {
  const upstream = new Upstream({
    origin: `http://${address}`,
    dial: dialTo(address),
    maxConnections: 4,
    connectTimeoutMs: LIMIT_MS,
    answerTimeoutMs: LIMIT_MS,
    idleMs: LIMIT_MS,
  })
  context.after(() => upstream.close())
  return upstream
}

const outgoing = () => ({
  method: 'POST',
  path: '/w',
  headers: ['cookie', COOKIE, 'content-length', String(WORDS.length)],
  body: Readable.from([WORDS]),
})

/** A node that proves itself, and then answers `answer` to what it gets. */
function provingNode(context: TestContext, answer: string): Promise<RawServer> {
  return rawServer(context, (text, socket) => {
    const challenge = /^walcast-challenge: (.*)\r$/im.exec(text)?.[1] ?? ''
    if (!text.endsWith('\r\n\r\n') && !text.endsWith(WORDS)) return
    if (text.split('HTTP/1.1\r\n').length > 2) return void socket.write(answer)
    const asked = { secret: SECRET, node: 'node-b', challenge, method: 'GET', status: 200 }
    const proof = fakeProof({ ...asked, path: '/_walcast/proof', body: '{}' })
    socket.write(answerText(200, '{}', [`walcast-proof: ${proof}`]))
  })
}

test('a request follows the proof on the same connection', async (context) => {
  const node = await provingNode(context, answerText(200, 'done'))
  const { answer } = upstreamTo(context, node.address).send(outgoing())
  assert.equal((await answer).status, 200)
  assert.equal(node.received.length, 1)
  assert.match(
    node.received[0],
    /^GET \/_walcast\/proof [\s\S]*\r\n\r\nPOST \/w [\s\S]*of-a-client$/,
  )
})

test('a stranger gets nothing of a request, and it counts as not sent', async (context) => {
  for (const status of [200, 404, 307, 101]) {
    const headers = { location: 'http://127.0.0.1:1/' }
    const rogue = await Rogue.start(context, () => ({ status, headers, body: {} }))
    const { answer } = upstreamTo(context, rogue.address).send(outgoing())
    const error = await answer.then(
      () => assert.fail('it was answered'),
      (failure: unknown) => failure,
    )
    assert.ok(error instanceof SendError, String(error))
    assert.equal(error.wasSent, false)
    assert.deepEqual([rogue.taken, rogue.questions], [[], ['GET /_walcast/proof']])
    for (const text of [COOKIE, WORDS]) assert.ok(!rogue.bytes.includes(text))
  }
})

/** Relays an upgrade of a client to `address`; what becomes of it, and what the client gets. */
async function upgraded(context: TestContext, address: string) {
  const got = { notTaken: undefined as string | undefined, text: '' }
  let tellDone: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    tellDone = resolve
  })
  const server = createServer().on('upgrade', async (request: IncomingMessage, socket, head) => {
    socket.on('error', () => {})
    const target = { origin: `http://${address}`, path: '/live', headers: ['cookie', COOKIE] }
    const dial = dialTo(address)
    got.notTaken = await relayUpgrade(request, socket, head, { ...target, isNode: true, dial })
    tellDone()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client
    .on('error', () => {})
    .on('data', (bytes: Buffer) => {
      got.text += bytes.toString('latin1')
    })
  context.after(() => {
    client.destroy()
    server.close()
    server.closeAllConnections()
  })
  client.write('GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await done
  return got
}

test('an upgrade follows the proof on the same connection', async (context) => {
  const node = await provingNode(context, 'HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n')
  assert.equal((await upgraded(context, node.address)).notTaken, undefined)
  assert.equal(node.received.length, 1)
  assert.match(node.received[0], /^GET \/_walcast\/proof [\s\S]*\r\n\r\nGET \/live [\s\S]*cookie/)
})

test('a stranger gets nothing of an upgrade, which can go elsewhere', async (context) => {
  const rogue = await Rogue.start(context, () => ({ body: {} }))
  const { notTaken, text } = await upgraded(context, rogue.address)
  assert.match(notTaken ?? '', /does not prove to be a node of this cluster/)
  assert.equal(text, '')
  assert.deepEqual([rogue.taken, rogue.questions], [[], ['GET /_walcast/proof']])
  assert.ok(!rogue.bytes.includes(COOKIE))
})

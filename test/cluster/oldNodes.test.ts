/** Who is taken for a node of the version before keys, and what is sent there. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { OldNodes } from '../../src/cluster/oldNodes.ts'
import { PeerCalls } from '../../src/cluster/peerCalls.ts'
import { PeerDialer } from '../../src/cluster/peerDialer.ts'
import { requestOver } from '../../src/cluster/peerRequest.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { isOldSignatureOf, parseOldSignature } from '../../src/security/oldSignature.ts'
import { parseSignature } from '../../src/security/requestSignature.ts'
import { fakeNodeAt } from '../support/fakeNode.ts'
import { NO_KEYS } from '../support/peers.ts'

const SECRET = 'correct horse battery staple'
const LIMIT_MS = 10_000
const ORDER = '/_walcast/demote'
/** What a node of commit d08f215 answers to the question for a proof. */
const REFUSAL = {
  code: 'WALCAST_UNAUTHORIZED',
  message: 'this request needs the cluster secret',
  cure: 'send the header "Authorization: Bearer SECRET"; the command line reads WALCAST_SECRET',
}
const ROLE = {
  node: 'node-b',
  instance: 'i',
  upMs: 1,
  cluster: 'c',
  role: 'leader',
  ready: true,
  epoch: 3,
  term: 0,
  txid: 7,
  positionEpoch: 3,
  history: '',
  lastLeader: 'node-b',
  address: '127.0.0.1:1',
}

const answerOf = (status: number, value: object, headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: Buffer.from(JSON.stringify(value)),
})
const OLD_ANSWER = answerOf(401, REFUSAL)

/** Answers as a node of the version before keys does; gives the requests that it took. */
async function oldNode(t: TestContext, port = 0) {
  const taken: IncomingMessage[] = []
  const server = createServer((request, response) => {
    taken.push(request)
    const isOrder = request.url?.startsWith(ORDER)
    const isRole = request.url === '/leader'
    const value = isOrder ? { done: true } : isRole ? { ...ROLE, timeMs: Date.now() } : REFUSAL
    response.writeHead(isOrder || isRole ? 200 : 401, { 'content-type': 'application/json' })
    response.end(JSON.stringify(value))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  t.after(close)
  const at = (server.address() as AddressInfo).port
  return { address: `127.0.0.1:${at}`, port: at, taken, close }
}

function setUp(isOn = true) {
  const secrets = new ClusterSecrets([SECRET])
  const old = isOn ? new OldNodes(() => SECRET) : undefined
  const dialer = new PeerDialer({
    transport: 'plain',
    secrets,
    keys: undefined,
    known: NO_KEYS,
    old,
  })
  const own = { node: () => 'node-a', epoch: () => 3, nowMs: () => Date.now() }
  const calls = new PeerCalls({ secrets, dialer, request: requestOver(dialer), old, ...own })
  return { old, dialer, calls }
}

test('only the answer of an old node is taken for one', () => {
  const old = new OldNodes(() => SECRET)
  assert.equal(old.isOldAt('a:1'), undefined)
  for (const other of [
    answerOf(404, REFUSAL),
    answerOf(200, {}),
    answerOf(401, { code: 'UNAUTHORIZED' }),
    answerOf(401, REFUSAL, { 'walcast-proof': 'v1 of another secret' }),
    { status: 401, headers: {}, body: Buffer.from('<html>') },
  ])
    assert.equal(old.takes('a:1', other), false)
  assert.equal(old.isOldAt('a:1'), undefined)
  assert.equal(old.takes('a:1', OLD_ANSWER), true)
  assert.equal(old.isOldAt('a:1'), true)
})

test('where a node has proven itself, nobody is taken for an old one again', () => {
  const old = new OldNodes(() => SECRET)
  assert.equal(old.takes('a:1', OLD_ANSWER), true)
  old.onProven('a:1')
  assert.equal(old.isOldAt('a:1'), false)
  assert.equal(old.takes('a:1', OLD_ANSWER), false)
  assert.equal(old.isOldAt('a:1'), false)
  assert.equal(old.takes('b:1', OLD_ANSWER), true)
})

test('more addresses than a cluster has are not remembered, and make nobody old', () => {
  const old = new OldNodes(() => SECRET)
  for (let i = 0; i < 1025; i++) assert.equal(old.takes(`old:${i}`, OLD_ANSWER), true)
  assert.equal(old.isOldAt('old:0'), undefined)
  assert.equal(old.isOldAt('old:1024'), true)
  for (let i = 0; i < 1025; i++) old.onProven(`new:${i}`)
  assert.equal(old.takes('another:1', OLD_ANSWER), false)
})

test('an old node is asked for a proof first, and then told with its own signature', async (t) => {
  const there = await oldNode(t)
  const { calls, old } = setUp()
  assert.deepEqual(await calls.tell(there.address, ORDER, { by: 'test' }, LIMIT_MS), { done: true })
  assert.equal(old?.isOldAt(there.address), true)
  const seen = there.taken.map(({ method, url }) => `${method} ${url}`)
  const proof = 'GET /_walcast/proof'
  assert.deepEqual(seen, [proof, 'GET /leader', proof, `POST ${ORDER}?by=test`])
  const signature = parseOldSignature(String(there.taken[3].headers['x-replica-auth']))
  assert.ok(signature)
  assert.deepEqual([signature.node, signature.epoch], ['node-a', 3])
  const request = { method: 'POST', path: `${ORDER}?by=test` }
  assert.equal(isOldSignatureOf(SECRET, signature, request), true)
  for (const { headers } of there.taken.slice(0, 3))
    assert.equal(headers['x-replica-auth'], undefined)
})

test('its connection is left open for a stream', async (t) => {
  const there = await oldNode(t)
  const { dialer } = setUp()
  const { socket, ready } = dialer.dial(there.address, LIMIT_MS)
  t.after(() => socket.destroy())
  assert.deepEqual(await ready, { node: '', fingerprint: '', isOld: true })
  assert.equal(socket.destroyed, false)
})

test('it is sent no body, which its signature would not cover', async (t) => {
  const there = await oldNode(t)
  const { calls } = setUp()
  const told = calls.tell(there.address, ORDER, {}, LIMIT_MS, undefined, { body: '{}' })
  await assert.rejects(told, { key: 'NODE_UNREACHABLE' })
  assert.ok(there.taken.every(({ method }) => method === 'GET'))
})

test('without the option it is nobody', async (t) => {
  const there = await oldNode(t)
  const { calls } = setUp(false)
  assert.equal(await calls.askRole(there.address, LIMIT_MS), undefined)
  await assert.rejects(calls.tell(there.address, ORDER, {}, LIMIT_MS), { key: 'NODE_UNREACHABLE' })
  assert.ok(there.taken.every(({ headers }) => headers['x-replica-auth'] === undefined))
})

test('a node that is changed in its place is never signed to the old way again', async (t) => {
  const before = await oldNode(t)
  const { calls, old, dialer } = setUp()
  await calls.tell(before.address, ORDER, {}, LIMIT_MS)
  await before.close()
  const ends: (() => void)[] = []
  const ending = { after: (end: () => void) => void ends.push(end) }
  const place = { port: before.port, host: '127.0.0.1' }
  const answer = () => ({ body: { ...ROLE, timeMs: Date.now() } })
  const identity = { secret: SECRET, node: 'node-b' }
  const requests = await fakeNodeAt(ending, place, answer, () => {}, identity)
  await calls.tell(before.address, ORDER, {}, LIMIT_MS)
  assert.equal(parseSignature(requests.at(-1)?.signature)?.to, 'node-b')
  assert.equal(old?.isOldAt(before.address), false)
  for (const end of ends) await end()
  const stranger = await oldNode(t, before.port)
  const { ready } = dialer.dial(before.address, LIMIT_MS)
  await assert.rejects(ready, { key: 'PEER_UNPROVEN' })
  await assert.rejects(calls.tell(before.address, ORDER, {}, LIMIT_MS))
  assert.ok(stranger.taken.every(({ headers }) => headers['x-replica-auth'] === undefined))
})

/** Calls to other nodes: whose answers count, and what the caller knows after a failed one. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { PeerCalls } from '../../src/cluster/peerCalls.ts'
import { PeerDialer } from '../../src/cluster/peerDialer.ts'
import { wasNotSent } from '../../src/cluster/peerFailures.ts'
import { requestOver } from '../../src/cluster/peerRequest.ts'
import { misplaced } from '../../src/cluster/place.ts'
import { WalcastError } from '../../src/errors.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { parseSignature } from '../../src/security/requestSignature.ts'
import { endingWithParent } from '../support/endsWithParent.ts'
import { type FakeRequest, fakeNode } from '../support/fakeNode.ts'
import { FAKE_PROVER } from '../support/fakeProof.ts'
import { callsOf, NO_KEYS } from '../support/peers.ts'
import { answerText, rawServer } from '../support/rawServer.ts'
import { Rogue } from '../support/rogue.ts'

const SECRET = 'correct horse battery staple'
const ORDER = '/_walcast/demote'
/** A whole answer to `GET /leader`. */
const ROLE = {
  node: 'node-b',
  cluster: 'c',
  role: 'leader',
  ready: true,
  epoch: 3,
  term: 3,
  txid: 9,
  address: '10.0.0.9:8470',
} as const

async function failureAt(port: number, timeoutMs = 2000): Promise<unknown> {
  const address = `127.0.0.1:${port}`
  const told = callsOf('node-a').tell(address, '/_walcast/take-over', { epoch: 1 }, timeoutMs)
  return told.then(
    () => assert.fail('it answered'),
    (error: unknown) => error,
  )
}

test('without a connection the call never arrived; after a broken one it may have', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  const brokeOff = await failureAt(address.port)
  assert.ok(brokeOff instanceof WalcastError && brokeOff.key === 'NODE_UNREACHABLE')
  assert.equal(wasNotSent(brokeOff), false)
  await new Promise((resolve) => server.close(resolve))
  const refused = await failureAt(address.port)
  assert.ok(refused instanceof WalcastError && refused.key === 'NODE_UNREACHABLE')
  assert.equal(wasNotSent(refused), true)
  assert.equal(wasNotSent(new WalcastError('NOT_FIT', { detail: '' })), false)
})

/** Accepts no connection: its queue holds one, and later ones get no answer. */
const FULL_LISTENER = `
import socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
`

test('a call to a machine that does not answer never arrived', async (t) => {
  const [file, bound] = endingWithParent('python3', ['-c', FULL_LISTENER])
  const child = spawn(file, bound, { stdio: ['pipe', 'pipe', 'inherit'] })
  const port = Number(await once(child.stdout, 'data'))
  const waiting = connect(port, '127.0.0.1')
  await once(waiting, 'connect')
  t.after(() => {
    waiting.destroy()
    child.stdin.end()
  })
  assert.equal(wasNotSent(await failureAt(port, 400)), true)
})

test('the text of an error that a node answers steers no terminal', async (t) => {
  for (const [code, key] of [
    ['WALCAST_NOT_FIT', 'NOT_FIT'],
    ['WALCAST_UNHEARD_OF', 'NODE_ANSWER'],
  ]) {
    const message = `\u001b[2Jno\u202e\u009b\r\n${'x'.repeat(5000)}`
    const node = await fakeNode(t, () => ({ status: 409, body: { code, message } }))
    const error = await failureAt(Number(node.address.split(':')[1]))
    assert.ok(error instanceof WalcastError && error.key === key)
    assert.match(error.message, /\[2Jno x+/)
    assert.doesNotMatch(error.message, /[\p{Cc}\p{Cf}]/u)
    assert.ok(error.message.length <= 1100)
  }
})

test('what is no answer of a node to the question who leads counts as none', async (t) => {
  const whole = {
    ...{ node: 'node-b', cluster: 'c', role: 'leader', ready: true, epoch: 1, term: 1, txid: 1 },
    ...{ address: '10.0.0.2:1', timeMs: 1 },
  }
  let said: object = {}
  const node = await fakeNode(t, () => ({ body: { ...whole, ...said } }))
  const isHeard = async (change: object) => {
    said = change
    return (await callsOf('node-a').askAll([node.address], 2000)).length === 1
  }
  assert.equal(await isHeard({}), true)
  for (const wrong of [
    ...[{ node: '' }, { node: 1 }, { role: 'king' }, { ready: 1 }, { epoch: '1' }, { term: null }],
    ...[{ txid: {} }, { positionEpoch: '1' }, { history: 'a@b' }, { cluster: 'c\u001b' }],
    ...[{ instance: 'i\u202e' }, { lastLeader: 'a b' }, { address: 5 }, { upMs: -1 }],
    ...[{ timeMs: '1' }, { timeMs: 1e17 }, { timeMs: null }],
  ])
    assert.equal(await isHeard(wrong), false, JSON.stringify(wrong))
})

const role = () => ({ body: { ...ROLE, timeMs: Date.now() } })

test('only an answer that a node of the cluster proves is one', async (t) => {
  const calls = callsOf('node-a', SECRET)
  const node = await fakeNode(t, role, { secret: SECRET, node: 'node-b' })
  assert.equal((await calls.askRole(node.address, 2000))?.node, 'node-b')
  const [answer] = await calls.askAll([node.address, node.address], 2000)
  assert.deepEqual([answer.node, answer.asked], ['node-b', node.address])
  assert.equal(node.requests.length, 2, 'each address is asked once')
  for (const { path, signature } of node.requests)
    assert.deepEqual([path, signature], ['/leader', undefined])

  const rogue = await Rogue.start(t, role)
  assert.equal(await calls.askRole(rogue.address, 2000), undefined)
  assert.deepEqual(await calls.askAll([rogue.address], 2000), [])
  assert.equal(await calls.clock(rogue.address, 2000), undefined)
  assert.deepEqual(rogue.taken, [])
  const other = await fakeNode(t, role, { secret: 'somebody else', node: 'node-b' })
  assert.equal(await calls.askRole(other.address, 2000), undefined)
  const open = callsOf('node-a')
  assert.equal((await open.askRole(rogue.address, 2000))?.value['epoch'], 3, 'without a secret')
})

test('a node does not answer for another one', async (t) => {
  const node = await fakeNode(t, role, { secret: SECRET, node: 'node-z' })
  assert.deepEqual(await callsOf('node-a', SECRET).askAll([node.address], 2000), [])
})

test('answers that are none: silent, endless, half, no JSON, redirects, old proofs', async (t) => {
  const calls = callsOf('node-a', SECRET)
  const silent = await rawServer(t, () => {})
  assert.equal(await calls.askRole(silent.address, 200), undefined)
  const long = await rawServer(
    t,
    (_text, socket) => void socket.write(answerText(200, ' '.repeat(70_000))),
  )
  assert.equal(await calls.askRole(long.address, 2000), undefined)
  const half = await rawServer(
    t,
    (_text, socket) => void socket.end(answerText(200, JSON.stringify(ROLE)).slice(0, -3)),
  )
  assert.equal(await calls.askRole(half.address, 2000), undefined)
  const third = await rawServer(t, () => {})
  const location = { location: `http://${third.address}/leader` }
  const redirect = await Rogue.start(t, () => ({ status: 307, headers: location }))
  assert.equal(await calls.askRole(redirect.address, 2000), undefined)
  assert.deepEqual(third.received, [])
  const strange = await Rogue.start(t, () => ({ body: 'hello' }))
  assert.equal(await calls.askRole(strange.address, 2000), undefined)

  // What a node proved to one asker, once.
  const node = await fakeNode(t, role, { secret: SECRET, node: 'node-b' })
  const heard = await fetch(`http://${node.address}/leader`, {
    headers: { 'walcast-challenge': `${'0'.repeat(64)} aaaa` },
  })
  const proof = heard.headers.get('walcast-proof') ?? ''
  assert.match(proof, /^v1 key=/)
  const body = await heard.text()
  const replay = await Rogue.start(t, () => ({ headers: { 'walcast-proof': proof }, body }))
  assert.equal(await calls.askRole(replay.address, 2000), undefined)
})

test('an order is signed for the node that has proven itself, and for its clock', async (t) => {
  const ahead = 3_600_000
  const told = () => ({ body: { ...ROLE, timeMs: Date.now() + ahead } })
  const isOrder = ({ path }: FakeRequest) => path.startsWith(ORDER)
  const node = await fakeNode(t, (asked) => (isOrder(asked) ? { body: { did: 1 } } : told()), {
    secret: SECRET,
    node: 'node-b',
  })
  const calls = callsOf('node-a', SECRET)
  assert.deepEqual(await calls.tell(node.address, ORDER, { epoch: 4 }, 2000), { did: 1 })
  const order = node.requests.find(isOrder)
  assert.equal(order?.path, `${ORDER}?epoch=4`)
  const signature = parseSignature(order?.signature)
  assert.ok(signature)
  assert.deepEqual([signature.from, signature.to], ['node-a', 'node-b'])
  assert.ok(Math.abs(signature.timeMs - Date.now() - ahead) < 60_000)
})

test('no order reaches a stranger, and it certainly never arrived', async (t) => {
  const rogue = await Rogue.start(t, role)
  const calls = callsOf('node-a', SECRET)
  const clock = { node: 'node-b', aheadMs: 0 }
  for (const known of [undefined, clock]) {
    const told = calls.tell(rogue.address, ORDER, { epoch: 4 }, 2000, known)
    await assert.rejects(told, { key: 'NODE_UNREACHABLE' })
  }
  assert.deepEqual(rogue.taken, [])
  const refused = await calls
    .tell(rogue.address, ORDER, {}, 2000, clock)
    .catch((error: unknown) => error)
  assert.equal(wasNotSent(refused), true)
})

test('an order for one node is not sent to another one at its address', async (t) => {
  const node = await fakeNode(t, role, { secret: SECRET, node: 'node-b' })
  const clock = { node: 'node-c', aheadMs: 0 }
  const told = callsOf('node-a', SECRET).tell(node.address, ORDER, {}, 2000, clock)
  const error = await told.catch((error: unknown) => error)
  assert.equal(wasNotSent(error), true)
  assert.deepEqual(node.requests, [])
})

test('what another node answers through a stranger, or the asker, is no answer', async (t) => {
  const node = await fakeNode(t, role, { secret: SECRET, node: 'node-b' })
  // It passes on each challenge, and the answer.
  const relay = await Rogue.start(t, async ({ method, path, headers }) => {
    const challenge = String(headers['walcast-challenge'])
    const asked = { method, headers: { 'walcast-challenge': challenge } }
    const answer = await fetch(`http://${node.address}${path}`, asked)
    const proof = answer.headers.get('walcast-proof') ?? ''
    return { headers: { 'walcast-proof': proof }, body: await answer.text() }
  })
  const callsAs = (process: string, members: readonly { node: string; address: string }[]) => {
    const secrets = new ClusterSecrets([SECRET])
    const dialer = new PeerDialer({
      transport: 'plain',
      secrets,
      keys: undefined,
      known: NO_KEYS,
      misplaced: (address, prover) => misplaced(address, prover, process, members),
    })
    const request = requestOver(dialer)
    const own = { node: () => 'node-a', epoch: () => 1, nowMs: () => Date.now() }
    return new PeerCalls({ secrets, dialer, request, ...own })
  }
  const of = (address: string) => [{ node: 'node-c', address }]
  for (const calls of [
    callsAs('ffffffffffffffff', of(relay.address)),
    callsAs(FAKE_PROVER.instance, []),
  ]) {
    assert.equal(await calls.askRole(relay.address, 2000), undefined)
    const told = calls.tell(relay.address, ORDER, {}, 2000, { node: 'node-b', aheadMs: 0 })
    await assert.rejects(told, { key: 'NODE_UNREACHABLE' })
  }
  assert.deepEqual(relay.taken, [])
})

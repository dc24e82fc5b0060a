/** Connections to other nodes: who answers there proves itself before anything is sent. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PeerDialer, type PeerDialerParts } from '../../src/cluster/peerDialer.ts'
import { misplaced } from '../../src/cluster/place.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { FAKE_PROVER } from '../support/fakeProof.ts'
import { NO_KEYS } from '../support/peers.ts'
import { answerText, rawServer } from '../support/rawServer.ts'
import { Rogue } from '../support/rogue.ts'

const SECRET = 'correct horse battery staple'
const LIMIT_MS = 10_000
/** For peers from which nothing is to come. */
const SHORT_MS = 200
const NODE = { secret: SECRET, node: 'node-b' }
const UNPROVEN = { key: 'PEER_UNPROVEN' } as const

interface Setup {
  readonly dialer: PeerDialer
  /** What proved nothing. */
  readonly unproven: string[]
}

function setUp(change: Partial<PeerDialerParts> = {}): Setup {
  const unproven: string[] = []
  const dialer = new PeerDialer({
    transport: 'plain',
    secrets: new ClusterSecrets([SECRET]),
    keys: undefined,
    known: NO_KEYS,
    onUnproven: (address, why) => unproven.push(`${address}: ${why}`),
    ...change,
  })
  return { dialer, unproven }
}

/** Rejects as `ready` does, and requires that the connection is closed then. */
async function refused(t: TestContext, { dialer }: Setup, address: string, limitMs = LIMIT_MS) {
  const { socket, ready } = dialer.dial(address, limitMs)
  t.after(() => socket.destroy())
  try {
    await ready
  } catch (error) {
    assert.equal(socket.destroyed, true)
    throw error
  }
}

test('a node that knows the secret is met, and its connection is left open', async (t) => {
  const there = await fakeNode(t, () => ({ body: {} }), NODE)
  const { dialer, unproven } = setUp()
  assert.equal(dialer.isOpen, false)
  const { socket, ready } = dialer.dial(there.address, LIMIT_MS)
  t.after(() => socket.destroy())
  assert.deepEqual(await ready, { node: 'node-b', aheadMs: 0, fingerprint: '' })
  assert.equal(socket.destroyed, false)
  assert.deepEqual([there.requests, unproven], [[], []])
})

test('either secret is good while it is replaced', async (t) => {
  const there = await fakeNode(t, () => ({ body: {} }), NODE)
  for (const secrets of [
    [SECRET, 'the secret that comes next'],
    ['the secret that comes next', SECRET],
  ]) {
    const { dialer } = setUp({ secrets: new ClusterSecrets(secrets) })
    const { socket, ready } = dialer.dial(there.address, LIMIT_MS)
    assert.equal((await ready).node, 'node-b')
    socket.destroy()
  }
})

test('without a secret, or when nobody is to prove anything, nothing is asked', async (t) => {
  const rogue = await Rogue.start(t, () => undefined)
  const open = setUp({ transport: 'open', secrets: new ClusterSecrets([]) })
  assert.equal(open.dialer.isOpen, true)
  for (const { socket, ready } of [
    open.dialer.dial(rogue.address, LIMIT_MS),
    setUp().dialer.dial(rogue.address, LIMIT_MS, false),
  ]) {
    assert.deepEqual(await ready, { node: '', fingerprint: '' })
    socket.destroy()
  }
  assert.equal(rogue.bytes, '')
})

test('strangers get the question and nothing else', async (t) => {
  const third = await rawServer(t, () => {})
  const answers: readonly [string, Parameters<typeof Rogue.start>[1]][] = [
    ['nothing here', () => ({ status: 404, body: {} })],
    ['no proof', () => ({ body: { node: 'node-b' } })],
    ['a proof of nothing', () => ({ headers: { 'walcast-proof': 'v1' }, body: {} })],
    ['no JSON', () => ({ body: 'hello' })],
    ['a redirect', () => ({ status: 302, headers: { location: `http://${third.address}/` } })],
    ['an answer that asks for a password', () => ({ status: 401, body: {} })],
  ]
  for (const [what, answer] of answers) {
    const rogue = await Rogue.start(t, answer)
    const setup = setUp()
    await assert.rejects(refused(t, setup, rogue.address), UNPROVEN, what)
    assert.deepEqual(setup.unproven, [`${rogue.address}: it does not know the cluster secret`])
    assert.deepEqual(rogue.questions, ['GET /_walcast/proof'], what)
    assert.deepEqual(rogue.taken, [])
    assert.ok(!rogue.bytes.includes(SECRET))
  }
  assert.deepEqual(third.received, [])
  const other = await fakeNode(t, () => ({ body: {} }), { ...NODE, secret: 'somebody else' })
  await assert.rejects(refused(t, setUp(), other.address), UNPROVEN)
})

test('a peer that is silent, ends or breaks off is an error in time', async (t) => {
  const silent = await rawServer(t, () => {})
  const late = /no connection within 200 ms/
  await assert.rejects(refused(t, setUp(), silent.address, SHORT_MS), late)
  assert.equal(silent.received.length, 1)
  const dripping = await rawServer(t, (text, socket) => {
    if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab')
  })
  await assert.rejects(refused(t, setUp(), dripping.address, SHORT_MS), late)
  const broken = await rawServer(
    t,
    (_text, socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab'),
  )
  await assert.rejects(refused(t, setUp(), broken.address), /broke off|aborted/)
  const closing = await rawServer(t, (_text, socket) => void socket.destroy())
  await assert.rejects(refused(t, setUp(), closing.address))
  const long = await rawServer(
    t,
    (_text, socket) => void socket.write(answerText(200, ' '.repeat(100_000))),
  )
  await assert.rejects(refused(t, setUp(), long.address), /too long/)
  long.close()
  await assert.rejects(refused(t, setUp(), long.address), { code: 'ECONNREFUSED' })
  for (const address of ['', 'nowhere', 'a:b', 'http://a:1'])
    assert.throws(() => setUp().dialer.dial(address, LIMIT_MS), { key: 'NODE_UNREACHABLE' })
})

test('who passes a challenge on to another node, or back to the asker, is refused', async (t) => {
  const there = await fakeNode(t, () => ({ body: {} }), NODE)
  const { instance, address: its } = FAKE_PROVER
  const members = (...given: readonly (readonly [string, string])[]) =>
    given.map(([node, address]) => ({ node, address }))
  const met = async (own: string, others: ReturnType<typeof members>) => {
    const setup = setUp({
      misplaced: (address, prover) => misplaced(address, prover, own, others),
    })
    await refused(t, setup, there.address)
  }
  const [known, elsewhere] = [there.address, '10.0.0.7:8470']
  await met('ffffffffffffffff', members())
  await met('ffffffffffffffff', members(['node-b', known]))
  await met('ffffffffffffffff', members(['node-b', elsewhere], ['node-c', elsewhere]))
  await met('ffffffffffffffff', members(['node-a', known], ['node-b', known]))
  await assert.rejects(met(instance, members()), UNPROVEN, 'the asker itself')
  const passedOn = new RegExp(`it passes on what node node-b at ${its} answers`)
  await assert.rejects(met('ffffffffffffffff', members(['node-a', known])), passedOn)
  const both = members(['node-a', known], ['node-b', its])
  await assert.rejects(met('ffffffffffffffff', both), passedOn)
})

test('a node at its own address is believed there, whoever was there before', () => {
  const prover = { node: 'node-b', instance: '0'.repeat(16), address: '10.0.0.1:8470' }
  const before = [{ node: 'node-a', address: '10.0.0.1:8470' }]
  assert.equal(misplaced('10.0.0.1:8470', prover, 'f'.repeat(16), before), undefined)
})

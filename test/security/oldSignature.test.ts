/** Signatures of the version before keys. The recorded ones were made by that version itself. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { WalcastError } from '../../src/errors.ts'
import { Authenticator, type SignedMessage } from '../../src/security/auth.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import {
  isOldSignatureOf,
  parseOldSignature,
  signOldRequest,
} from '../../src/security/oldSignature.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../../src/security/requestSignature.ts'
import type { SenderKeys } from '../../src/security/senderKeys.ts'

const SECRET = 'correct horse battery staple'
const MS = 1_790_000_000_000

/** By src/security/auth.ts of commit d08f215, with SECRET. */
const RECORDED = [
  {
    request: {
      method: 'GET',
      path: '/_walcast/stream',
      node: 'node-2da6f0a59a0a',
      epoch: 3,
      nowMs: MS,
    },
    nonce: 'd8cb724800517bd2101bf639757be424',
    header:
      'v1 node=node-2da6f0a59a0a epoch=3 time=1790000000000 ' +
      'nonce=d8cb724800517bd2101bf639757be424 ' +
      'mac=5ac54f3c9367925513d902e16f81857b981df5b8fb450606e0dfa18e82745fd3',
  },
  {
    request: {
      method: 'POST',
      path: '/_walcast/take-over?epoch=3&txid=7&from=a&to=b&by=node+a+%28127.0.0.1%3A1%29',
      node: 'a',
      epoch: 3,
      nowMs: MS + 123.6,
    },
    nonce: 'd95efce645a4909be5869de835d08814',
    header:
      'v1 node=a epoch=3 time=1790000000124 nonce=d95efce645a4909be5869de835d08814 ' +
      'mac=d90c039d5aeb49b428307e261a84584b0e1b66f372728411595ab84a5d676bea',
  },
  {
    request: {
      method: 'POST',
      path: '/notes?x=%C3%A4',
      node: 'b.c_d-e',
      epoch: 2 ** 48,
      nowMs: MS + 1,
    },
    nonce: 'ebac7d6aa1179b7592b9b12142ffcee7',
    header:
      'v1 node=b.c_d-e epoch=281474976710656 time=1790000000001 ' +
      'nonce=ebac7d6aa1179b7592b9b12142ffcee7 ' +
      'mac=a4f7b8700bd9d285ef6f3f5a555e2e6809d511ccd1a028ed41cdab93dcefd3d5',
  },
] as const
const [STREAM, TAKE_OVER, FORWARD] = RECORDED

function setUp(takesOld = true, senders?: Pick<SenderKeys, 'refuse'>) {
  const clock = { now: MS - 1000, nowMs: () => clock.now }
  const secrets = new ClusterSecrets([SECRET])
  const auth = new Authenticator(
    secrets,
    clock,
    () => 'node-2',
    senders ? { senders, takesOld } : { takesOld },
  )
  clock.now = MS
  return { clock, auth }
}

function messageOf(
  { request: { method, path }, header }: (typeof RECORDED)[number],
  change: Partial<SignedMessage> = {},
): SignedMessage {
  const headers = { [REPLICA_AUTH_HEADER]: header }
  return { method, url: path, headers, rawHeaders: Object.entries(headers).flat(), ...change }
}

const without = (header: string, from: string, to: string) => ({
  headers: { [REPLICA_AUTH_HEADER]: header.replace(from, to) },
})

test('what that version signed is made again, byte for byte, and verified', () => {
  for (const { request, nonce, header } of RECORDED) {
    assert.equal(signOldRequest(SECRET, request, nonce), header)
    const signature = parseOldSignature(header)
    assert.ok(signature)
    assert.equal(isOldSignatureOf(SECRET, signature, request), true)
    assert.equal(isOldSignatureOf(`${SECRET}.`, signature, request), false)
    assert.equal(isOldSignatureOf(SECRET, signature, { ...request, path: '/' }), false)
    assert.equal(isOldSignatureOf(SECRET, signature, { ...request, method: 'PUT' }), false)
    const { node, epoch } = request
    assert.deepEqual([senderOf(header)?.node, senderOf(header)?.epoch], [node, epoch])
  }
})

test('each signature has a nonce of its own', () => {
  assert.notEqual(signOldRequest(SECRET, STREAM.request), signOldRequest(SECRET, STREAM.request))
})

test('only the whole format is one', () => {
  const { header } = STREAM
  for (const other of ['', 'v1', `${header} `, ` ${header}`, header.replace('v1', 'v2')])
    assert.equal(parseOldSignature(other), undefined, other)
  assert.equal(parseOldSignature(header.replace('node=', 'node=\n')), undefined)
  assert.equal(parseOldSignature(header.replace(/5fd3$/, '5FD3')), undefined)
})

test('a node that takes them takes each once, within 30 s, and younger than itself', () => {
  const { auth, clock } = setUp()
  assert.equal(auth.refuseNode(messageOf(STREAM), 'stream'), undefined)
  assert.equal(auth.refuseNode(messageOf(TAKE_OVER), 'order'), undefined)
  assert.equal(auth.refuseForward(messageOf(FORWARD)), undefined)
  for (const used of RECORDED)
    assert.equal(auth.refuseForward(messageOf(used))?.key, 'CLOCKS_DIFFER')
  const late = setUp()
  late.clock.now = MS + 30_001
  assert.equal(late.auth.refuseForward(messageOf(STREAM))?.key, 'CLOCKS_DIFFER')
  clock.now = MS + 1
  const later = new Authenticator(new ClusterSecrets([SECRET]), clock, () => '', { takesOld: true })
  assert.equal(later.refuseForward(messageOf(STREAM))?.key, 'CLOCKS_DIFFER')
})

test('what was changed on the way, or is of another secret, is refused and not used up', () => {
  const { auth } = setUp()
  const refuse = (change: Partial<SignedMessage>) =>
    auth.refuseForward(messageOf(STREAM, change))?.key
  const { header } = STREAM
  for (const change of [
    { method: 'POST' },
    { url: '/_walcast/stream?x' },
    without(header, 'epoch=3', 'epoch=4'),
    without(header, 'node=node-2', 'node=node-3'),
    without(header, 'time=1790000000000', 'time=1790000000001'),
    without(header, 'nonce=d8', 'nonce=d9'),
  ])
    assert.equal(refuse(change), 'WRONG_SECRET', JSON.stringify(change))
  assert.equal(refuse({}), undefined)
})

test('without the option, without a secret and over TLS none is taken', () => {
  assert.equal(setUp(false).auth.refuseForward(messageOf(STREAM))?.key, 'WRONG_SECRET')
  const clock = { nowMs: () => MS }
  const open = new Authenticator(new ClusterSecrets([]), clock, () => '', { takesOld: true })
  assert.equal(open.refuseForward(messageOf(STREAM))?.key, 'WRONG_SECRET')
  const encrypted = {
    encrypted: true,
    getX509Certificate: () => undefined,
    getPeerX509Certificate: () => undefined,
  } as unknown as Socket
  const { auth } = setUp()
  assert.equal(
    auth.refuseForward(messageOf(STREAM, { socket: encrypted } as Partial<SignedMessage>))?.key,
    'WRONG_SECRET',
  )
  assert.equal(auth.refuseForward(messageOf(STREAM)), undefined)
})

test('a node that was removed from the cluster is refused', () => {
  const removed = STREAM.request.node
  const senders = {
    refuse: (_: Socket, node: string) =>
      node === removed ? new WalcastError('KEY_REMOVED', { node }) : undefined,
  }
  const { auth } = setUp(true, senders)
  const socket = {} as Socket
  const refuse = (recorded: (typeof RECORDED)[number]) =>
    auth.refuseForward(messageOf(recorded, { socket } as Partial<SignedMessage>))?.key
  assert.equal(refuse(STREAM), 'KEY_REMOVED')
  assert.equal(refuse(TAKE_OVER), undefined)
})

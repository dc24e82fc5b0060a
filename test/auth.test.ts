import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Authenticator, readSecret, signRequest } from '../src/http/auth.ts'

const SECRET = 'a secret of enough letters'
const REQUEST = { method: 'GET', path: '/_walcast/stream', node: 'node-1', epoch: 3 }

function setUp(secret: string | undefined = SECRET) {
  const clock = { now: 1_000_000.25, nowMs: () => clock.now }
  return { clock, auth: new Authenticator(secret, clock) }
}

const refuse = (auth: Authenticator, token: string | undefined, path = REQUEST.path) =>
  auth.refuseNode(token, REQUEST.method, path)?.key

test('a fresh token is accepted once', () => {
  const { auth, clock } = setUp()
  const token = signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(refuse(auth, token), undefined)
  assert.equal(refuse(auth, token), 'CLOCKS_DIFFER')
})

test('a token is bound to secret, path, node and epoch', () => {
  const { auth, clock } = setUp()
  const token = signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(
    refuse(auth, signRequest('another secret, long', { ...REQUEST, nowMs: clock.now + 10 })),
    'WRONG_SECRET',
  )
  assert.equal(refuse(auth, token, '/_walcast/stream?x'), 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('node-1', 'node-2')), 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('epoch=3', 'epoch=4')), 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('v1', 'v2')), 'WRONG_SECRET')
  assert.equal(refuse(auth, undefined), 'WRONG_SECRET')
  assert.equal(refuse(auth, token), undefined, 'the refused ones did not use it up')
})

test('time and start are told apart from a wrong secret, since signing again by the right clock mends them', () => {
  const { auth, clock } = setUp()
  const at = (nowMs: number) => refuse(auth, signRequest(SECRET, { ...REQUEST, nowMs }))
  assert.equal(at(clock.now + 30_002), 'CLOCKS_DIFFER')
  assert.equal(at(clock.now - 2), 'CLOCKS_DIFFER', 'from before the start: a replay across a restart')
  clock.now += 40_000
  assert.equal(at(clock.now - 30_002), 'CLOCKS_DIFFER')
  assert.equal(at(clock.now - 29_000), undefined)
})

test('an operator is accepted by the secret alone, and everybody without one', () => {
  const { auth } = setUp()
  assert.equal(auth.acceptsOperator(`Bearer ${SECRET}`), true)
  for (const header of [undefined, '', 'Bearer ', `Bearer ${SECRET}x`, `Basic ${SECRET}`]) {
    assert.equal(auth.acceptsOperator(header), false, String(header))
  }
  const open = new Authenticator(undefined, { nowMs: () => 0 })
  assert.equal(open.acceptsOperator(undefined), true)
  assert.equal(refuse(open, undefined), undefined)
})

test('a secret file that is empty is an error, not an open door', () => {
  assert.equal(readSecret({}), undefined)
  assert.equal(readSecret({ WALCAST_SECRET: SECRET }), SECRET)
  for (const environment of [
    { WALCAST_SECRET_FILE: '/dev/null' },
    { WALCAST_SECRET: 'short' },
    { WALCAST_SECRET: SECRET, WALCAST_SECRET_FILE: '/dev/null' },
    { WALCAST_SECRET_FILE: '/no/such/file' },
  ]) {
    assert.throws(() => readSecret(environment), { key: 'SECRET_UNREADABLE' })
  }
})

test('a token is good for one use, however many came meanwhile', () => {
  const { auth, clock } = setUp()
  const first = signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(refuse(auth, first), undefined)
  for (let i = 0; i < 100_000; i++) {
    const other = signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 11 + i / 100 })
    assert.equal(refuse(auth, other), undefined)
  }
  assert.equal(refuse(auth, first), 'CLOCKS_DIFFER')
  assert.equal(refuse(auth, signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 2000 })), undefined)
})

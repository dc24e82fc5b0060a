import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Authenticator, type SignedMessage } from '../../src/security/auth.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { readSecret } from '../../src/security/givenSecret.ts'
import { ANYONE, REPLICA_AUTH_HEADER } from '../../src/security/requestSignature.ts'
import { signatureOf } from '../support/signatures.ts'

const SECRET = 'a secret of enough letters'
const GIVEN_SECRET = new URL('../../src/security/givenSecret.js', import.meta.url).href
const REQUEST = {
  purpose: 'stream',
  path: '/_walcast/stream',
  from: 'node-1',
  to: 'node-2',
  epoch: 3,
} as const

function setUp(...others: readonly string[]) {
  const clock = { now: 1_000_000.25, nowMs: () => clock.now }
  const secrets = new ClusterSecrets([SECRET, ...others])
  return { clock, secrets, auth: new Authenticator(secrets, clock, () => 'node-2') }
}

function messageOf(token: string | undefined, url: string = REQUEST.path): SignedMessage {
  const headers = token === undefined ? {} : { [REPLICA_AUTH_HEADER]: token }
  return { method: 'GET', url, headers, rawHeaders: Object.entries(headers).flat() }
}

const refuse = (auth: Authenticator, token: string | undefined, path?: string) =>
  auth.refuseNode(messageOf(token, path), 'stream')?.key

test('a fresh token is accepted once', () => {
  const { auth, clock } = setUp()
  const token = signatureOf(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(refuse(auth, token), undefined)
  assert.equal(refuse(auth, token), 'CLOCKS_DIFFER')
})

test('a token is bound to secret, path, sender, receiver, purpose and epoch', () => {
  const { auth, clock } = setUp()
  const token = signatureOf(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(
    refuse(auth, signatureOf('another secret, long', { ...REQUEST, nowMs: clock.now + 10 })),
    'WRONG_SECRET',
  )
  assert.equal(refuse(auth, token, '/_walcast/stream?x'), 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('node-1', 'node-3')), 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('to=node-2', 'to=node-3')), 'WRONG_SECRET')
  const toAnother = signatureOf(SECRET, { ...REQUEST, to: 'node-3', nowMs: clock.now + 10 })
  assert.equal(refuse(auth, toAnother), 'WRONG_RECEIVER')
  assert.equal(auth.refuseNode(messageOf(token), 'order')?.key, 'WRONG_SECRET')
  assert.equal(auth.refuseForward(messageOf(token))?.key, 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('epoch=3', 'epoch=4')), 'WRONG_SECRET')
  assert.equal(refuse(auth, token.replace('v2', 'v1')), 'WRONG_SECRET')
  assert.equal(refuse(auth, undefined), 'WRONG_SECRET')
  assert.equal(refuse(auth, token), undefined, 'refused requests do not use it up')
})

test('a wrong time and a restart have their own error: a new signature mends both', () => {
  const { auth, clock } = setUp()
  const at = (nowMs: number) => refuse(auth, signatureOf(SECRET, { ...REQUEST, nowMs }))
  assert.equal(at(clock.now + 30_002), 'CLOCKS_DIFFER')
  assert.equal(at(clock.now - 2), 'CLOCKS_DIFFER', 'a replay across a restart')
  clock.now += 40_000
  assert.equal(at(clock.now - 30_002), 'CLOCKS_DIFFER')
  assert.equal(at(clock.now - 29_000), undefined)
})

test('the secret itself opens nothing; in a cluster without one everyone is accepted', () => {
  const { auth } = setUp()
  for (const header of ['', SECRET, `Bearer ${SECRET}`, `Bearer ${SECRET}x`, `Basic ${SECRET}`])
    assert.equal(refuse(auth, header), 'WRONG_SECRET', header)
  const open = new Authenticator(new ClusterSecrets([]), { nowMs: () => 0 }, () => 'node-2')
  assert.equal(open.isOpen, true)
  assert.equal(refuse(open, undefined), undefined)
})

test('a forwarded request is signed in a cluster without a secret too', () => {
  const clock = { nowMs: () => 1000 }
  const open = new Authenticator(new ClusterSecrets([]), clock, () => 'node-2')
  const claim = { ...REQUEST, purpose: 'forward', nowMs: 1000 } as const
  assert.equal(open.refuseForward(messageOf(undefined))?.key, 'WRONG_SECRET')
  for (const [to, refused] of [
    [ANYONE, undefined],
    ['node-2', undefined],
    ['node-3', 'WRONG_RECEIVER'],
  ] as const)
    assert.equal(open.refuseForward(messageOf(signatureOf('', { ...claim, to })))?.key, refused, to)
})

test('while the secret is replaced, both are good; afterwards the old one opens nothing', () => {
  const next = 'the secret that comes next'
  const { auth, secrets, clock } = setUp(next)
  const signed = (secret: string) => signatureOf(secret, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(refuse(auth, signed(SECRET)), undefined)
  assert.equal(refuse(auth, signed(next)), undefined)
  secrets.replace([next])
  assert.equal(refuse(auth, signed(SECRET)), 'WRONG_SECRET')
  assert.equal(refuse(auth, signed(next)), undefined)
})

test('an empty secret file is an error, not an open door', () => {
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

test('a secret file that others may read is refused', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-secret-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'secret')
  writeFileSync(path, `${SECRET}\n`)
  const read = (mode: number) => {
    chmodSync(path, mode)
    return () => readSecret({ WALCAST_SECRET_FILE: path })
  }
  const ofRoot = process.getuid?.() === 0
  for (const mode of [0o600, 0o400, 0o700, ...(ofRoot ? [0o640, 0o440] : [])])
    assert.equal(read(mode)(), SECRET, mode.toString(8))
  for (const mode of [0o644, 0o444, 0o604, 0o666, 0o660, 0o602, 0o650, ...(ofRoot ? [] : [0o640])])
    assert.throws(read(mode), { key: 'SECRET_SHARED' }, mode.toString(8))
  if (ofRoot) {
    chownSync(path, 65534, 65534)
    assert.throws(read(0o640), { key: 'SECRET_SHARED' }, "a group other than root's")
    assert.equal(read(0o600)(), SECRET)
  }
  const error = `others may read the secret in ${path}: its mode is 0644`
  assert.throws(read(0o644), { message: error })
  // No other process can open the pipe.
  const from = execFileSync(
    'sh',
    ['-c', `printf '%s' "$SECRET" | "$NODE" --input-type=module -e "$READ"`],
    {
      env: {
        ...process.env,
        SECRET,
        NODE: process.execPath,
        READ: `import { readSecret } from ${JSON.stringify(GIVEN_SECRET)}
        console.log(readSecret({ WALCAST_SECRET_FILE: '/dev/stdin' }))`,
      },
      encoding: 'utf8',
    },
  )
  assert.equal(from.trim(), SECRET)
})

test('a token is valid once, however many others came meanwhile', () => {
  const { auth, clock } = setUp()
  const first = signatureOf(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(refuse(auth, first), undefined)
  for (let i = 0; i < 100_000; i++) {
    const other = signatureOf(SECRET, { ...REQUEST, nowMs: clock.now + 11 + i / 100 })
    assert.equal(refuse(auth, other), undefined)
  }
  assert.equal(refuse(auth, first), 'CLOCKS_DIFFER')
  assert.equal(
    refuse(auth, signatureOf(SECRET, { ...REQUEST, nowMs: clock.now + 2000 })),
    undefined,
  )
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Authenticator } from '../../src/security/auth.ts'
import { readSecret } from '../../src/security/givenSecret.ts'
import { signRequest } from '../../src/security/requestSignature.ts'

const SECRET = 'a secret of enough letters'
const AUTH = new URL('../../src/security/auth.js', import.meta.url).href
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
  assert.equal(refuse(auth, token), undefined, 'refused requests do not use it up')
})

test('a wrong time and a restart have their own error: a new signature mends both', () => {
  const { auth, clock } = setUp()
  const at = (nowMs: number) => refuse(auth, signRequest(SECRET, { ...REQUEST, nowMs }))
  assert.equal(at(clock.now + 30_002), 'CLOCKS_DIFFER')
  assert.equal(at(clock.now - 2), 'CLOCKS_DIFFER', 'a replay across a restart')
  clock.now += 40_000
  assert.equal(at(clock.now - 30_002), 'CLOCKS_DIFFER')
  assert.equal(at(clock.now - 29_000), undefined)
})

test('an operator needs the secret; in a cluster without one everyone is accepted', () => {
  const { auth } = setUp()
  assert.equal(auth.acceptsOperator(`Bearer ${SECRET}`), true)
  for (const header of [undefined, '', 'Bearer ', `Bearer ${SECRET}x`, `Basic ${SECRET}`]) {
    assert.equal(auth.acceptsOperator(header), false, String(header))
  }
  const open = new Authenticator(undefined, { nowMs: () => 0 })
  assert.equal(open.acceptsOperator(undefined), true)
  assert.equal(refuse(open, undefined), undefined)
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
        READ: `import { readSecret } from ${JSON.stringify(AUTH)}
        console.log(readSecret({ WALCAST_SECRET_FILE: '/dev/stdin' }))`,
      },
      encoding: 'utf8',
    },
  )
  assert.equal(from.trim(), SECRET)
})

test('a token is valid once, however many others came meanwhile', () => {
  const { auth, clock } = setUp()
  const first = signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 10 })
  assert.equal(refuse(auth, first), undefined)
  for (let i = 0; i < 100_000; i++) {
    const other = signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 11 + i / 100 })
    assert.equal(refuse(auth, other), undefined)
  }
  assert.equal(refuse(auth, first), 'CLOCKS_DIFFER')
  assert.equal(
    refuse(auth, signRequest(SECRET, { ...REQUEST, nowMs: clock.now + 2000 })),
    undefined,
  )
})

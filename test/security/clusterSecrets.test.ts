import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ClusterSecrets,
  deriveKey,
  type KeyPurpose,
  OPEN,
  secretId,
} from '../../src/security/clusterSecrets.ts'

const PURPOSES: readonly KeyPurpose[] = ['stream', 'forward', 'order', 'proof', 'webhook', 'trust']
const [OLD, NEXT] = ['correct horse battery staple', 'the secret that comes next']

/** HKDF of one block, as RFC 5869 writes it down. */
function hkdf(secret: string, info: string): Buffer {
  const extracted = createHmac('sha256', 'walcast').update(secret).digest()
  return createHmac('sha256', extracted).update(`${info}\x01`).digest()
}

test('a key is the HKDF of secret and purpose, and an id that of the secret', () => {
  for (const purpose of PURPOSES)
    assert.deepEqual(deriveKey(OLD, purpose), hkdf(OLD, `walcast v2 ${purpose}`))
  const digest = createHash('sha256').update(hkdf(OLD, 'walcast v2 id')).digest('hex')
  assert.equal(secretId(OLD), digest.slice(0, 8))
})

test('keys of other purposes and other secrets differ, whatever the secret is', () => {
  const secret = fc.string({ unit: 'binary', minLength: 1 })
  fc.assert(
    fc.property(secret, secret, (a, b) => {
      const keys = PURPOSES.map((purpose) => deriveKey(a, purpose).toString('hex'))
      assert.equal(new Set(keys).size, PURPOSES.length)
      assert.ok(keys.every((key) => key.length === 64 && !key.includes(secretId(a))))
      if (Buffer.from(a).equals(Buffer.from(b))) return
      assert.notDeepEqual(deriveKey(a, 'order'), deriveKey(b, 'order'))
    }),
  )
})

test('the first secret signs, all verify, and others are unknown', () => {
  const secrets = new ClusterSecrets([NEXT, OLD])
  assert.deepEqual(secrets.ids, [secretId(NEXT), secretId(OLD)])
  assert.equal(secrets.current, NEXT)
  assert.equal(secrets.isOpen, false)
  const signing = secrets.signingKey('order')
  assert.deepEqual(signing, { id: secretId(NEXT), key: deriveKey(NEXT, 'order') })
  for (const secret of [OLD, NEXT])
    assert.deepEqual(secrets.key(secretId(secret), 'proof'), deriveKey(secret, 'proof'))
  for (const id of [secretId('another'), OPEN, '', 'constructor'])
    assert.equal(secrets.key(id, 'proof'), undefined, id)
})

test('other secrets are good at once, and the old ones no longer', () => {
  const secrets = new ClusterSecrets([OLD])
  assert.deepEqual(secrets.signingKey('stream').key, deriveKey(OLD, 'stream'))
  secrets.replace([NEXT])
  assert.deepEqual(secrets.signingKey('stream'), {
    id: secretId(NEXT),
    key: deriveKey(NEXT, 'stream'),
  })
  assert.equal(secrets.key(secretId(OLD), 'stream'), undefined)
  secrets.replace([])
  assert.equal(secrets.key(secretId(NEXT), 'stream'), undefined)
})

test('an open cluster has one key, which everybody knows', () => {
  const secrets = new ClusterSecrets([])
  assert.deepEqual([secrets.isOpen, secrets.current, secrets.ids], [true, undefined, []])
  assert.deepEqual(secrets.signingKey('forward'), { id: OPEN, key: deriveKey('', 'forward') })
  assert.deepEqual(secrets.key(OPEN, 'forward'), deriveKey('', 'forward'))
  assert.equal(secrets.key(secretId(OLD), 'forward'), undefined)
})

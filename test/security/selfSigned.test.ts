/** A certificate that OpenSSL takes, for a key that is new each time. */
import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { fingerprintOf, keysOf, makeKeys } from '../../src/security/nodeKeys.ts'
import { makeSelfSigned } from '../../src/security/selfSigned.ts'

test('a certificate is signed by its own key, names it, and has no end', () => {
  const { key, certificate } = makeSelfSigned('node of näme')
  const read = new X509Certificate(certificate)
  assert.equal(read.subject, 'CN=node of näme')
  assert.equal(read.issuer, read.subject)
  assert.ok(read.verify(read.publicKey))
  assert.ok(read.checkPrivateKey(createPrivateKey(key)))
  assert.equal(read.validTo, 'Dec 31 23:59:59 9999 GMT')
  assert.deepEqual(read.publicKey.asymmetricKeyDetails, { namedCurve: 'prime256v1' })
})

test('each key and each serial number is new', () => {
  const made = Array.from(
    { length: 20 },
    () => new X509Certificate(makeSelfSigned('a').certificate),
  )
  assert.equal(new Set(made.map(({ serialNumber }) => serialNumber)).size, 20)
  assert.equal(new Set(made.map(({ publicKey }) => fingerprintOf(publicKey))).size, 20)
  for (const { serialNumber } of made) assert.match(serialNumber, /^[4-7][0-9A-F]{31}$/)
})

test('a certificate of another key is refused', () => {
  const [a, b] = [makeKeys(), makeKeys()]
  assert.throws(() => keysOf(a.key, b.certificate, '/keys'), { code: 'WALCAST_KEYS_BROKEN' })
})

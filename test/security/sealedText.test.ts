/** Sealed text opens with its key and in its context only, and whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deriveKey } from '../../src/security/clusterSecrets.ts'
import { openText, sealText } from '../../src/security/sealedText.ts'

const KEY = deriveKey('a secret of the cluster', 'trust')

test('sealed text opens as it was, and shows nothing of it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, context) => {
      assert.equal(openText(KEY, context, sealText(KEY, context, text)), text)
    }),
  )
  const sealed = sealText(KEY, 'a', 'the secret words')
  assert.ok(!Buffer.from(sealed, 'base64').includes('secret'))
  assert.notEqual(sealText(KEY, 'a', 'the secret words'), sealed)
})

test('it opens with no other key, in no other context, and not when one bit is changed', () => {
  const sealed = sealText(KEY, 'a', 'text')
  assert.equal(openText(deriveKey('a secret of the cluster', 'proof'), 'a', sealed), undefined)
  assert.equal(openText(deriveKey('another secret, as long', 'trust'), 'a', sealed), undefined)
  assert.equal(openText(KEY, 'b', sealed), undefined)
  const bytes = Buffer.from(sealed, 'base64')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const other = Buffer.from(bytes)
    other[bit >> 3] ^= 1 << (bit & 7)
    assert.equal(openText(KEY, 'a', other.toString('base64')), undefined)
  }
  for (const short of ['', 'AAAA', 'no base64 at all', bytes.subarray(0, 27).toString('base64')])
    assert.equal(openText(KEY, 'a', short), undefined)
})

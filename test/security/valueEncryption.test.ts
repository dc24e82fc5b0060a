import assert from 'node:assert/strict'
import { createDecipheriv } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { newKey, SEAL_BYTES, seal, unseal } from '../../src/security/valueEncryption.ts'

const bytes = fc.uint8Array({ maxLength: 200 })

test('what was sealed opens with its key and context, and with nothing else', () => {
  fc.assert(
    fc.property(bytes, fc.string(), fc.string(), (value, context, other) => {
      const key = newKey()
      const sealed = seal(key, value, context)
      assert.equal(sealed.length, value.length + SEAL_BYTES)
      assert.deepEqual(unseal(key, sealed, context), Buffer.from(value))
      assert.equal(unseal(newKey(), sealed, context), undefined)
      if (other !== context) assert.equal(unseal(key, sealed, other), undefined)
    }),
  )
})

test('every changed byte and every missing one is refused', () => {
  const key = newKey()
  const sealed = seal(key, Buffer.from('a value'), 'here')
  for (let at = 0; at < sealed.length; at++) {
    for (const bit of [1, 0x80]) {
      const changed = Buffer.from(sealed)
      changed[at] ^= bit
      assert.equal(unseal(key, changed, 'here'), undefined, `byte ${at}`)
    }
    assert.equal(unseal(key, sealed.subarray(0, at), 'here'), undefined, `${at} bytes`)
    assert.equal(unseal(key, sealed.subarray(at + 1), 'here'), undefined, `from ${at + 1}`)
  }
  assert.equal(unseal(key, Buffer.concat([sealed, Buffer.alloc(1)]), 'here'), undefined)
})

test('two seals of one value have nothing in common', () => {
  const key = newKey()
  const [a, b] = [seal(key, Buffer.alloc(16), ''), seal(key, Buffer.alloc(16), '')]
  assert.notDeepEqual(a.subarray(0, 12), b.subarray(0, 12))
  assert.notDeepEqual(a.subarray(12), b.subarray(12))
})

test('the layout is nonce, ciphertext, tag', () => {
  const key = newKey()
  const sealed = seal(key, Buffer.from('ü'), 'c')
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
  decipher.setAAD(Buffer.from('c')).setAuthTag(sealed.subarray(14))
  assert.equal(decipher.update(sealed.subarray(12, 14)).toString(), 'ü')
  decipher.final()
})

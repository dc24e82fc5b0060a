/** Recipients and identities as people copy them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { messageOf } from '../../src/errors.ts'
import {
  formatIdentity,
  formatRecipient,
  newIdentity,
  parseIdentity,
  parseRecipient,
} from '../../src/security/backupKeys.ts'
import { toBase32 } from '../../src/security/base32.ts'
import { agree, privateKeyOf, publicBytes } from '../../src/security/x25519.ts'

const hex = (text: string) => Buffer.from(text, 'hex')

test('X25519 is that of RFC 7748, 6.1', () => {
  const [alice, bob] = [
    privateKeyOf(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a')),
    privateKeyOf(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')),
  ]
  const publics = [alice, bob].map((key) => publicBytes(key).toString('hex'))
  assert.deepEqual(publics, [
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
  ])
  const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
  assert.equal(agree(alice, hex(publics[1]))?.toString('hex'), shared)
  assert.equal(agree(bob, hex(publics[0]))?.toString('hex'), shared)
})

test('a recipient and an identity are read as they were written, in any case', () => {
  for (let i = 0; i < 20; i++) {
    const identity = newIdentity()
    const [recipient, secret] = [formatRecipient(identity.recipient), formatIdentity(identity)]
    assert.match(recipient, /^walcast-recipient-[0-9a-hjkmnp-tv-z]{60}$/)
    assert.match(secret, /^walcast-identity-[0-9a-hjkmnp-tv-z]{60}$/)
    assert.deepEqual(parseRecipient(recipient), identity.recipient)
    assert.deepEqual(parseRecipient(recipient.toUpperCase()), identity.recipient)
    assert.deepEqual(parseIdentity(secret).recipient, identity.recipient)
    assert.equal(formatIdentity(parseIdentity(secret)), secret)
    assert.match(identity.recipient.id, /^[0-9a-f]{16}$/)
  }
})

/** What the error says; it never quotes the text. */
function complaint(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text)
  } catch (error) {
    const said = messageOf(error)
    if (text.length > 30) assert.ok(!said.includes(text.slice(-20)), said)
    return said
  }
  return ''
}

test('a typing error is told, wherever it is', () => {
  const identity = newIdentity()
  for (const [parse, text] of [
    [parseRecipient, formatRecipient(identity.recipient)],
    [parseIdentity, formatIdentity(identity)],
  ] as const) {
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === '2' ? '3' : '2'
      assert.notEqual(
        complaint(parse, `${text.slice(0, at)}${other}${text.slice(at + 1)}`),
        '',
        `${at}`,
      )
      assert.notEqual(complaint(parse, text.slice(0, at)), '', `cut at ${at}`)
    }
    assert.match(complaint(parse, `${text}0`), /too long/)
    assert.match(complaint(parse, text.replace(/.$/, 'u')), /character/)
  }
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => complaint(parseRecipient, text) !== ''),
  )
})

test('one is never taken for the other, nor a later version for this one', () => {
  const identity = newIdentity()
  const [recipient, secret] = [formatRecipient(identity.recipient), formatIdentity(identity)]
  assert.match(complaint(parseRecipient, secret), /it is an identity, which is secret/)
  assert.match(complaint(parseIdentity, recipient), /it is a recipient, which opens nothing/)
  const mixed = secret.replace('identity', 'recipient')
  assert.match(complaint(parseRecipient, mixed), /a character of it is wrong/)
})

test('a key that everybody could open is no recipient', () => {
  const low = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    `ec${'ff'.repeat(31)}`,
  ]
  for (const key of low) {
    const text = formatRecipient({ key: hex(key), id: '' })
    assert.match(complaint(parseRecipient, text), /everybody could open/, key)
    assert.equal(agree(newIdentity().privateKey, hex(key)), undefined)
  }
  assert.match(
    complaint(parseRecipient, `walcast-recipient-${toBase32(Buffer.alloc(30))}`),
    /too short/,
  )
})

/** The code that a person carries from one host to another. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyOf } from '../../src/errors.ts'
import {
  formatPairingCode,
  type PairingCode,
  parsePairingCode,
} from '../../src/security/pairingCode.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const CODE: PairingCode = {
  address: '10.0.0.1:4001',
  fingerprint: 'a5'.repeat(32),
  id: '01234567',
  secret: randomBytes(16),
}

const hex = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value) => Buffer.from(value).toString('hex'))
const host = fc.constantFrom('10.0.0.1', '[fd00::1]', 'node-a', 'db.example', `${'h'.repeat(200)}`)
const codes = fc.record({
  address: fc
    .tuple(host, fc.integer({ min: 1, max: 65535 }))
    .map(([name, port]) => `${name}:${port}`),
  fingerprint: hex(32),
  id: hex(4),
  secret: hex(16).map((text) => Buffer.from(text, 'hex')),
})

function refused(text: string): void {
  assert.throws(
    () => parsePairingCode(text),
    (error) =>
      keyOf(error) === 'PAIRING_CODE_BAD' &&
      (text.length < 20 || !String(error).includes(text.slice(0, 20))),
    text,
  )
}

test('a code is read as it was written, however a person types it', () => {
  fc.assert(
    fc.property(codes, (given) => {
      const code: PairingCode = { ...given }
      const text = formatPairingCode(code)
      assert.match(text, /^[0-9A-HJKMNP-TV-Z]+$/)
      assert.deepEqual(parsePairingCode(text), code)
      assert.deepEqual(parsePairingCode(` ${text.toLowerCase()}\n`), code)
      const lookAlikes = text.replaceAll('0', 'o').replaceAll('1', 'l')
      assert.deepEqual(parsePairingCode(lookAlikes), code)
      assert.deepEqual(parsePairingCode(text.replaceAll('1', 'I')), code)
    }),
    { numRuns: 200 },
  )
})

test('a code with any one character changed to any other is refused', () => {
  const text = formatPairingCode(CODE)
  for (let at = 0; at < text.length; at++)
    for (const other of ALPHABET)
      if (other !== text[at]) refused(text.slice(0, at) + other + text.slice(at + 1))
})

test('a code that is cut, doubled, torn, or none at all is refused', () => {
  const text = formatPairingCode(CODE)
  for (let length = 0; length < text.length; length++) refused(text.slice(0, length))
  for (let at = 1; at < text.length; at++) refused(`${text.slice(0, at)} ${text.slice(at)}`)
  for (const wrong of [
    text + text,
    `${text}0`,
    `0${text}`,
    `${text.slice(0, 10)}-${text.slice(10)}`,
    `${text.slice(0, -1)}U`,
    `${text.slice(0, -1)}ß`,
    '\u0000'.repeat(50),
    'Z'.repeat(100_000),
  ])
    refused(wrong)
  fc.assert(
    fc.property(fc.string({ maxLength: 600 }), (any) => refused(any)),
    { numRuns: 500 },
  )
})

test('an address that no code can hold is refused when it is made', () => {
  const address = `${'h'.repeat(253)}:65535`
  assert.throws(() => formatPairingCode({ ...CODE, address }), /too long/)
})

/** The text of a token, whose it is, and how a wrong one is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  isEnough,
  isTokenId,
  newToken,
  parseToken,
  TOKEN_ROLES,
  tokenProofKey,
} from '../../src/security/token.ts'
import { type KnownToken, TokenCheck } from '../../src/security/tokenCheck.ts'

const NOW_MS = 1_000_000

function checkOf(...tokens: readonly KnownToken[]): TokenCheck {
  return new TokenCheck({ tokens: () => tokens, nowMs: () => NOW_MS })
}

test('a new token has an id without look-alikes, and 32 random bytes', () => {
  const seen = new Set<string>()
  for (let i = 0; i < 500; i++) {
    const { text, id, hash } = newToken()
    assert.match(text, /^wct_[a-hjkmnp-z2-9]{10}_[\w-]{43}$/)
    assert.deepEqual(parseToken(text), { text, id, hash })
    assert.match(hash, /^[0-9a-f]{64}$/)
    assert.ok(isTokenId(id) && !hash.includes(text.slice(15)))
    seen.add(id)
  }
  assert.equal(seen.size, 500)
})

test('what is no token is none, however long it is', () => {
  const { text } = newToken()
  for (const wrong of [
    ...['', 'wct_', 'wct__', text.slice(1), `${text}A`, text.slice(0, -1), ` ${text}`, `${text}\n`],
    ...[text.toUpperCase(), text.replace('_', '-'), 'wct_'.repeat(1_000_000), `${text},${text}`],
  ])
    assert.equal(parseToken(wrong), undefined, wrong.slice(0, 80))
  for (const wrong of ['', 'abcdefghij', 'abcdefghjk\n', 'ABCDEFGHJK', 'abcdefghj0'])
    assert.equal(isTokenId(wrong), false)
})

test('a token with any character changed is refused', () => {
  const { text, id, hash } = newToken()
  const check = checkOf({ id, hash, role: 'admin' })
  assert.deepEqual(check.check([`Bearer ${text}`]), { holder: { id, role: 'admin' } })
  const chars = fc.constantFrom(
    ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_ .',
  )
  fc.assert(
    fc.property(fc.nat(text.length - 1), chars, (at, char) => {
      fc.pre(text[at] !== char)
      const changed = `${text.slice(0, at)}${char}${text.slice(at + 1)}`
      assert.equal(check.check([`Bearer ${changed}`]).holder, undefined, changed)
    }),
    { numRuns: 2000 },
  )
})

test('a header says whose token it is, or why it is none', () => {
  const [good, old, other] = [newToken(), newToken(), newToken()]
  const check = checkOf(
    { ...good, role: 'read', expiresAt: NOW_MS + 1 },
    { ...old, role: 'admin', expiresAt: NOW_MS },
  )
  const holder = { id: good.id, role: 'read' }
  for (const scheme of ['Bearer', 'bearer', 'BEARER '])
    assert.deepEqual(check.check([`${scheme} ${good.text}`]), { holder })
  const mixed = `wct_${good.id}_${other.text.slice(15)}`
  for (const [headers, fault] of [
    [[], 'none'],
    [[''], 'foreign'],
    [['Bearer'], 'foreign'],
    [['Bearer correct horse battery staple'], 'foreign'],
    [['Bearer correct-horse-battery-staple'], 'foreign'],
    [[good.text], 'foreign'],
    [[`Basic ${good.text}`], 'foreign'],
    [[`Bearer ${good.text}`, `Bearer ${good.text}`], 'foreign'],
    [[`Bearer ${' '.repeat(1_000_000)}${good.text}`], 'foreign'],
    [[`Bearer ${other.text}`], 'wrong'],
    [[`Bearer ${mixed}`], 'wrong'],
    [['Bearer wct_'], 'wrong'],
    [[`Bearer ${old.text}`], 'expired'],
  ] as const)
    assert.deepEqual(check.check(headers), { fault }, String(headers).slice(0, 80))
})

test('the proof key of a token comes from its hash, and from no other', () => {
  const [a, b] = [newToken(), newToken()]
  const check = checkOf({ ...a, role: 'read' })
  assert.deepEqual(check.proofKey(a.id), tokenProofKey(a.hash))
  assert.notDeepEqual(tokenProofKey(a.hash), tokenProofKey(b.hash))
  assert.equal(check.proofKey(b.id), undefined)
})

test('each role may do what those before it may', () => {
  for (const [i, has] of TOKEN_ROLES.entries())
    for (const [j, least] of TOKEN_ROLES.entries()) assert.equal(isEnough(has, least), i >= j)
})

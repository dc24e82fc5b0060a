/** The cookie of a session: its name, its flags, and how it is read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cookieIn,
  endedCookie,
  sessionCookie,
  sessionCookieName,
} from '../../src/console/sessionCookie.ts'

test('each node has a name of its own, and another one over TLS', () => {
  assert.match(sessionCookieName('a', false), /^walcast-[0-9a-f]{12}$/)
  assert.equal(sessionCookieName('a', true), `__Secure-${sessionCookieName('a', false)}`)
  assert.notEqual(sessionCookieName('a', false), sessionCookieName('b', false))
})

test('no script and no other site gets it', () => {
  const flags = 'Path=/_walcast/; HttpOnly; SameSite=Strict'
  assert.equal(sessionCookie('n', 'x', false), `n=x; ${flags}`)
  assert.equal(sessionCookie('n', 'x', true), `n=x; ${flags}; Secure`)
  assert.equal(endedCookie('n', true), `n=; ${flags}; Secure; Max-Age=0`)
})

test('a header is read as browsers write it, and whatever else comes gives nothing', () => {
  assert.equal(cookieIn('a=b; n=x; c=d', 'n'), 'x')
  assert.equal(cookieIn('n=x=y', 'n'), 'x=y')
  assert.equal(cookieIn('n=1; n=2', 'n'), '1')
  for (const header of [undefined, '', 'n', 'nn=x', 'a=n=x', `${'a'.repeat(20_000)}; n=x`])
    assert.equal(cookieIn(header, 'n'), undefined)
})

/** Which pages are heard: the console's own, and no other. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { requireOwnPage } from '../../src/console/ownPage.ts'

function isHeard(headers: object, { method = 'POST', encrypted = false, hasCookie = false } = {}) {
  const given = { host: 'node:7000', ...headers }
  const request = { method, headers: given, socket: { encrypted } } as unknown as IncomingMessage
  try {
    requireOwnPage(request, hasCookie)
    return true
  } catch {
    return false
  }
}

const OWN = { origin: 'http://node:7000', 'walcast-console': '1' }

test('programs are not meant', () => {
  assert.ok(isHeard({}))
  assert.ok(isHeard({}, { method: 'GET' }))
  // As Node's own fetch says.
  assert.ok(isHeard({ 'sec-fetch-mode': 'cors' }))
})

test('the own page is heard, with its header when it changes something', () => {
  assert.ok(isHeard(OWN))
  assert.ok(isHeard({ ...OWN, 'sec-fetch-site': 'same-origin' }))
  assert.ok(isHeard({ ...OWN, host: 'NODE:7000' }))
  assert.ok(!isHeard({ ...OWN, 'walcast-console': '0' }))
  assert.ok(!isHeard({ origin: OWN.origin }))
  assert.ok(!isHeard({ 'sec-fetch-site': 'same-origin' }))
  assert.ok(isHeard({ 'sec-fetch-site': 'same-origin' }, { method: 'GET' }))
  assert.ok(!isHeard({}, { hasCookie: true }))
  assert.ok(isHeard({}, { method: 'GET', hasCookie: true }))
})

test('the scheme counts, unless a proxy ends TLS and the browser vouches for the page', () => {
  const secure = { ...OWN, origin: 'https://node:7000' }
  assert.ok(!isHeard(secure))
  assert.ok(isHeard(secure, { encrypted: true }))
  assert.ok(!isHeard(OWN, { encrypted: true }))
  assert.ok(isHeard({ ...secure, 'sec-fetch-site': 'same-origin' }))
})

test('other sites and other ports are not heard', () => {
  for (const origin of [
    ...['null', '', 'http://node', 'http://node:7001', 'http://shop.example', 'file://node:7000'],
    ...['http://node:7000/', 'http://node:7000.shop.example', 'http://a@node:7000'],
  ])
    assert.ok(!isHeard({ ...OWN, origin }), origin)
  for (const site of ['cross-site', 'same-site', 'else'])
    for (const method of ['GET', 'POST']) {
      assert.ok(!isHeard({ ...OWN, 'sec-fetch-site': site }, { method }), site)
      const visit = { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' }
      assert.equal(isHeard(visit, { method }), method === 'GET')
    }
})

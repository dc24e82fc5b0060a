/**
 * Who sent a request: only what trusted proxies say counts, and no header of a client changes it.
 */
import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { BlockList, isIP, Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalAddress, parseNetwork } from '../../src/options/network.ts'
import { clientOf, TrustedProxies } from '../../src/proxy/clientAddress.ts'

const PROXIES = new TrustedProxies(['10.0.0.0/8', '2001:db8:1::/48'])

const octet = fc.integer({ min: 0, max: 255 })
const trustedV4 = fc.tuple(octet, octet, octet).map(([a, b, c]) => `10.${a}.${b}.${c}`)
const strangerV4 = fc.tuple(octet, octet, octet).map(([a, b, c]) => `203.${a}.${b}.${c}`)
const trustedV6 = fc.integer({ min: 0, max: 0xffff }).map((n) => `2001:db8:1::${n.toString(16)}`)
const strangerV6 = fc.integer({ min: 1, max: 0xffff }).map((n) => `2001:db8:2::${n.toString(16)}`)
const trusted = fc.oneof(trustedV4, trustedV6, fc.constantFrom('127.0.0.1', '127.9.9.9', '::1'))
const stranger = fc.oneof(strangerV4, strangerV6)
/** Texts that anybody may write into a header. */
const claimed = fc.oneof(
  trusted,
  stranger,
  fc.constantFrom(
    '',
    'unknown',
    '_hidden',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '[::1',
    '::ffff:',
    'for=1.2.3.4',
  ),
  fc.string({ maxLength: 20 }),
)

/** Forms in which one address is written. */
function inForms(address: string) {
  const forms =
    isIP(address) === 4
      ? [address, `${address}:1234`, `::ffff:${address}`, `[::ffff:${address}]:80`, ` ${address}\t`]
      : [address, `[${address}]`, `[${address}]:443`, address.toUpperCase(), `${address}%eth0`]
  return fc.constantFrom(...forms)
}

test('the client is the right-most address that is no trusted proxy', () => {
  fc.assert(
    fc.property(
      trusted,
      stranger.chain((client) => fc.tuple(fc.constant(client), inForms(client))),
      fc.array(trusted.chain(inForms), { maxLength: 8 }),
      fc.array(claimed, { maxLength: 20 }),
      (peer, [client, written], between, left) => {
        const chain = [...left, written, ...between].join(',')
        assert.equal(PROXIES.clientAddress(peer, chain), client)
      },
    ),
    { numRuns: 2000 },
  )
})

test('a peer that is no trusted proxy is the client, whatever it claims', () => {
  fc.assert(
    fc.property(stranger, fc.array(claimed, { maxLength: 20 }), (peer, claims) => {
      assert.equal(PROXIES.clientAddress(peer, claims.join(', ')), peer)
    }),
    { numRuns: 1000 },
  )
})

test('behind a trusted proxy the client is an address of the list or the proxy', () => {
  fc.assert(
    fc.property(trusted, fc.string({ maxLength: 200 }), (peer, text) => {
      const found = PROXIES.clientAddress(peer, text)
      assert.notEqual(isIP(found), 0)
      const entries = text.split(',').map((entry) => canonicalAddress(entry.trim()))
      assert.ok(found === canonicalAddress(peer) || entries.includes(found), `${found} of ${text}`)
    }),
    { numRuns: 2000 },
  )
})

test('a list of ten thousand proxies ends, and garbage ends at its sender', () => {
  assert.equal(
    PROXIES.clientAddress('127.0.0.1', Array(10_000).fill('10.0.0.1').join(',')),
    '10.0.0.1',
  )
  const beyond = ['203.0.113.1', ...Array(10_000).fill('10.0.0.1')].join(',')
  assert.equal(PROXIES.clientAddress('127.0.0.1', beyond), '10.0.0.1')
  for (const text of [
    '',
    ',',
    ', ',
    'x',
    '1.2.3.4, ',
    '1.2.3.4,, ',
    '1.2.3.4, unknown',
    `1.2.3.4, ${'9'.repeat(5000)}`,
  ])
    assert.equal(PROXIES.clientAddress('127.0.0.1', text), '127.0.0.1', text)
  assert.equal(PROXIES.clientAddress('127.0.0.1', '1.2.3.4, junk, 10.1.1.1'), '10.1.1.1')
})

test('one client is an IPv4 address or a /64 of IPv6, however it is written', () => {
  const word = fc.integer({ min: 0, max: 0xffff })
  fc.assert(
    fc.property(
      fc.tuple(word, word, word, word),
      fc.tuple(word, word, word, word),
      (network, host) => {
        const text = [...network, ...host].map((n) => n.toString(16)).join(':')
        const client = clientOf(canonicalAddress(text) ?? '')
        const list = new BlockList()
        list.addSubnet(text, 64, 'ipv6')
        // A mapped IPv4 address counts as IPv4.
        if (isIP(client) === 4) return
        const [prefix, bits] = client.split('/')
        assert.equal(bits, '64')
        assert.ok(list.check(prefix, 'ipv6'), `${client} of ${text}`)
        assert.equal(clientOf(canonicalAddress(text.toUpperCase()) ?? ''), client)
      },
    ),
    { numRuns: 2000 },
  )
  assert.equal(clientOf('::1'), '0:0:0:0::/64')
  assert.equal(clientOf('2001:db8::'), '2001:db8:0:0::/64')
  assert.equal(clientOf('203.0.113.7'), '203.0.113.7')
  assert.equal(canonicalAddress('::ffff:cb00:7107'), '203.0.113.7')
})

test('networks: what is one, and which addresses are in it', () => {
  assert.deepEqual(parseNetwork('10.0.0.0/8'), { address: '10.0.0.0', bits: 8, family: 'ipv4' })
  assert.deepEqual(parseNetwork('::ffff:10.0.0.0/104'), {
    address: '10.0.0.0',
    bits: 8,
    family: 'ipv4',
  })
  assert.deepEqual(parseNetwork('2001:DB8::1'), {
    address: '2001:db8::1',
    bits: 128,
    family: 'ipv6',
  })
  for (const text of [
    '',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '2001:db8::/129',
    '10.0.0/8',
    'x',
    '::ffff:10.0.0.0/8',
    '1.2.3.4/',
  ])
    assert.equal(parseNetwork(text), undefined, text)
  const all = new TrustedProxies(['0.0.0.0/0', '::/0'])
  assert.equal(all.clientAddress('203.0.113.1', '1.2.3.4, 5.6.7.8'), '1.2.3.4')
  const none = new TrustedProxies(['none'])
  assert.equal(none.clientAddress('127.0.0.1', '1.2.3.4'), '127.0.0.1')
  assert.equal(none.clientAt('127.0.0.1'), '127.0.0.1')
  assert.equal(PROXIES.clientAt('::ffff:10.1.2.3'), undefined, 'many clients may be behind it')
  assert.equal(PROXIES.clientAt('::ffff:203.0.113.1'), '203.0.113.1')
  assert.equal(PROXIES.clientAt(undefined), 'unknown')
})

test('only a trusted proxy may say that a client came over TLS', () => {
  const isSecure = (peer: string, headers: Record<string, string>, encrypted = false) => {
    const socket = new Socket()
    Object.defineProperty(socket, 'remoteAddress', { value: peer })
    Object.assign(socket, { encrypted })
    const request = new IncomingMessage(socket)
    request.headers = headers
    return PROXIES.originOf(request).isSecure
  }
  assert.equal(isSecure('127.0.0.1', {}), false)
  assert.equal(isSecure('127.0.0.1', { 'x-forwarded-proto': 'https' }), true)
  assert.equal(isSecure('127.0.0.1', { 'x-forwarded-proto': 'HTTPS' }), true)
  assert.equal(isSecure('127.0.0.1', { 'x-forwarded-proto': 'https, http' }), false)
  assert.equal(isSecure('203.0.113.1', { 'x-forwarded-proto': 'https' }), false)
  assert.equal(isSecure('203.0.113.1', { 'x-forwarded-proto': 'http' }, true), true)
  assert.equal(
    isSecure('10.0.0.1', { 'x-forwarded-proto': 'http' }, true),
    false,
    'TLS of the proxy alone',
  )
})

test("a node that forwards tells the client's address and nothing else", () => {
  const { address, client, isSecure } = PROXIES.forwardedOrigin('2001:DB8:2::7')
  assert.deepEqual([address, client, isSecure], ['2001:db8:2::7', '2001:db8:2:0::/64', false])
  for (const text of [undefined, '', 'unknown', 'x'.repeat(5000), '1.2.3.4, 5.6.7.8'])
    assert.equal(PROXIES.forwardedOrigin(text).address, 'unknown', text)
})

/**
 * Headers on their way through a node: those of one hop, those between nodes and the secret's do
 * not pass; all others do.
 */
import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromClient, fromNode, ofAnswer, toNode } from '../../src/proxy/headers.ts'

const PROXIED = { isProxied: true }
const STRANGER = { isProxied: false }
const ONE_HOP = [
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization'],
  ...['te', 'transfer-encoding', 'upgrade', 'http2-settings', 'expect'],
]
const BETWEEN_NODES = [
  ...['x-replica-auth', 'walcast-replay', 'walcast-not-executed', 'walcast-incarnation'],
  ...['walcast-first-attempt', 'walcast-stale', 'walcast-anything'],
]
const MAY_ASK = ['walcast-position', 'walcast-max-staleness']
/** Headers that frame, address or identify a request: no Connection header takes them off. */
const KEPT = [
  'host',
  'content-length',
  'content-type',
  'cookie',
  'authorization',
  'idempotency-key',
]
const PLAIN = ['accept', 'x-of-app', 'x-hop', 'if-match']

/**
 * As Node's server gives headers: as they came in `rawHeaders`, lower case and joined in `headers`.
 */
function requestOf(
  pairs: readonly (readonly [string, string])[],
  address = '10.0.0.7',
): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: address })
  const request = new IncomingMessage(socket)
  request.rawHeaders = pairs.flat()
  const headers: Record<string, string> = {}
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase()
    headers[lower] = lower in headers ? `${headers[lower]}, ${value}` : value
  }
  request.headers = headers
  return request
}

function pairsOf(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, i) =>
    i % 2 === 0 ? [[name.toLowerCase(), flat[i + 1]] as [string, string]] : [],
  )
}

const valuesOf = (flat: readonly string[], name: string) =>
  pairsOf(flat)
    .filter(([found]) => found === name)
    .map(([, value]) => value)

/** A name in any mixture of cases. */
function inCases(names: readonly string[]) {
  return fc
    .tuple(fc.constantFrom(...names), fc.infiniteStream(fc.boolean()))
    .map(([name, isUpper]) =>
      [...name].map((letter) => (isUpper.next().value ? letter.toUpperCase() : letter)).join(''),
    )
}

const sent = fc.array(
  fc.tuple(
    inCases([...ONE_HOP.slice(1), ...BETWEEN_NODES, ...MAY_ASK, ...KEPT, ...PLAIN]),
    fc.constantFrom('a', 'b'),
  ),
  { maxLength: 12 },
)
const named = fc.array(inCases([...KEPT, ...PLAIN, 'keep-alive', 'close', 'x-replica-auth']), {
  maxLength: 3,
})

for (const [who, pass] of [
  ['a client', (request: IncomingMessage) => fromClient(request, PROXIED)],
  ['a stranger', (request: IncomingMessage) => fromClient(request, STRANGER)],
  ['a node', fromNode],
] as const)
  test(`no header of one hop or between nodes passes with a request of ${who}`, () => {
    fc.assert(
      fc.property(sent, named, inCases(['connection']), (pairs, options, name) => {
        const request = requestOf([...pairs, [name, options.join(', ')]])
        const hop = new Set(options.map((option) => option.toLowerCase()))
        const passed = pairsOf(pass(request))
        for (const [found] of passed) {
          assert.ok(!ONE_HOP.includes(found) && !BETWEEN_NODES.includes(found), found)
          assert.ok(!hop.has(found) || KEPT.includes(found), `${found} is of one hop here`)
        }
        const wanted = pairs
          .map(([found, value]) => [found.toLowerCase(), value])
          .filter(([found]) => [...KEPT, ...PLAIN, ...MAY_ASK].includes(found))
          .filter(([found]) => KEPT.includes(found) || !hop.has(found))
        assert.deepEqual(
          passed.filter(([found]) => !/^(x-)?forwarded/.test(found)),
          wanted,
        )
      }),
      { numRuns: 1000 },
    )
  })

test('a name that CGI reads as another one does not pass as that one', () => {
  const aliases = [
    'X_Forwarded_For',
    'x-forwarded_proto',
    'X_Forwarded_Host',
    'Transfer_Encoding',
    'Walcast_Pass',
  ]
  const kept = ['X_Mine', 'Content_Type', 'Walcast_Position']
  const pairs = [...aliases, 'X_Real_IP', 'X_Forwarded_Port', ...kept].map(
    (name) => [name, 'forged'] as const,
  )
  for (const from of [STRANGER, PROXIED]) {
    const passed = pairsOf(fromClient(requestOf(pairs), from)).filter(
      ([, value]) => value === 'forged',
    )
    assert.deepEqual(
      passed.map(([name]) => name),
      kept.map((name) => name.toLowerCase()),
    )
  }
})

test('headers that identify a request pass even when Connection names them', () => {
  for (const name of KEPT) {
    const request = requestOf([
      ['Connection', `keep-alive, ${name}`],
      [name, 'value'],
    ])
    assert.deepEqual(valuesOf(fromClient(request, STRANGER), name), ['value'])
  }
})

test('no header of one hop and none of ours passes with an answer', () => {
  const names = fc.constantFrom(
    ...ONE_HOP.slice(1),
    ...BETWEEN_NODES.slice(1),
    ...MAY_ASK,
    ...PLAIN,
    'set-cookie',
  )
  fc.assert(
    fc.property(fc.array(names), named, (given, options) => {
      const headers = Object.fromEntries(
        given.map((name) => [name, name === 'set-cookie' ? ['a=1', 'b=2'] : 'x']),
      )
      const passed = ofAnswer({ ...headers, connection: options.join(',') })
      const hop = new Set(options.map((option) => option.toLowerCase()))
      const wanted = given.filter(
        (name) => [...PLAIN, 'set-cookie'].includes(name) && !hop.has(name),
      )
      assert.deepEqual(Object.keys(passed).sort(), [...new Set(wanted)].sort())
      if (passed['set-cookie']) assert.deepEqual(passed['set-cookie'], ['a=1', 'b=2'])
    }),
  )
})

test('the application is told the client, behind the proxies before it', () => {
  const first = fromClient(requestOf([['Host', 'shop.example:8080']], '::ffff:10.0.0.7'), STRANGER)
  assert.deepEqual(valuesOf(first, 'x-forwarded-for'), ['10.0.0.7'])
  assert.deepEqual(valuesOf(first, 'x-forwarded-proto'), ['http'])
  assert.deepEqual(valuesOf(first, 'x-forwarded-host'), ['shop.example:8080'])
  assert.deepEqual(valuesOf(first, 'forwarded'), [
    'for=10.0.0.7;host="shop.example:8080";proto=http',
  ])
  const later = fromClient(
    requestOf(
      [
        ['host', 'inner'],
        ['X-Forwarded-For', '1.2.3.4'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'outer'],
        ['Forwarded', 'for=1.2.3.4'],
      ],
      '2001:db8::1',
    ),
    PROXIED,
  )
  assert.deepEqual(valuesOf(later, 'x-forwarded-for'), ['1.2.3.4, 2001:db8::1'])
  assert.deepEqual(valuesOf(later, 'x-forwarded-proto'), ['https'])
  assert.deepEqual(valuesOf(later, 'x-forwarded-host'), ['outer'])
  assert.deepEqual(valuesOf(later, 'forwarded'), [
    'for=1.2.3.4, for="[2001:db8::1]";host=inner;proto=http',
  ])
  const passedOn = fromNode(requestOf([['X-Forwarded-For', '1.2.3.4']]))
  assert.deepEqual(
    valuesOf(passedOn, 'x-forwarded-for'),
    ['1.2.3.4'],
    'a node adds nothing to what a node made',
  )
})

test('what a stranger says of others is replaced by what the node saw', () => {
  const claims: [string, string][] = [
    ['Host', 'shop.example'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'admin.example'],
    ['X-Forwarded-Prefix', '/admin'],
    ['X-Forwarded-Port', '443'],
    ['X-Real-IP', '127.0.0.1'],
    ['Forwarded', 'for=127.0.0.1;proto=https'],
    ['X-Mine', 'kept'],
  ]
  const passed = fromClient(requestOf(claims, '203.0.113.9'), STRANGER)
  assert.deepEqual(pairsOf(passed), [
    ['host', 'shop.example'],
    ['x-mine', 'kept'],
    ['x-forwarded-for', '203.0.113.9'],
    ['x-forwarded-proto', 'http'],
    ['x-forwarded-host', 'shop.example'],
    ['forwarded', 'for=203.0.113.9;host=shop.example;proto=http'],
  ])
  const behind = fromClient(requestOf(claims, '127.0.0.1'), PROXIED)
  assert.deepEqual(
    valuesOf(behind, 'x-real-ip'),
    ['127.0.0.1'],
    'a proxy in front says what it likes',
  )
  assert.deepEqual(valuesOf(behind, 'x-forwarded-prefix'), ['/admin'])
})

test('an attempt names the leadership that is meant, whatever a client claims', () => {
  const id = '0123456789abcdef'
  const claimed = fromClient(
    requestOf([
      ['Walcast-Incarnation', 'f'.repeat(16)],
      ['Walcast-Client', '127.0.0.1'],
    ]),
    STRANGER,
  )
  const headers = toNode(claimed, '10.0.0.1:1', id, '203.0.113.1')
  assert.deepEqual(valuesOf(headers, 'walcast-incarnation'), [id])
  assert.deepEqual(valuesOf(headers, 'walcast-client'), ['203.0.113.1'], 'as this node saw it')
})

test('a host cannot break out of its quotes', () => {
  const flat = fromClient(requestOf([['host', 'a";for=6.6.6.6;x="\\']]), STRANGER)
  assert.deepEqual(valuesOf(flat, 'forwarded'), [
    'for=10.0.0.7;host="a\\";for=6.6.6.6;x=\\"\\\\";proto=http',
  ])
})

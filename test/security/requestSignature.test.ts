/** A signature is that of one request: every change of a covered part makes it another one's. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClusterSecrets, deriveKey, secretId } from '../../src/security/clusterSecrets.ts'
import {
  isSignedBy,
  NO_BODY,
  parseSignature,
  type RequestToSign,
  STREAMED,
  senderOf,
  sha256,
  signRequest,
} from '../../src/security/requestSignature.ts'

const SECRET = 'correct horse battery staple'
const SECRETS = new ClusterSecrets([SECRET])
const REQUEST: RequestToSign = {
  purpose: 'forward',
  method: 'POST',
  path: '/notes?x=1',
  from: 'node-a',
  to: 'node-b',
  epoch: 7,
  nowMs: 1_764_000_000_000,
  body: STREAMED,
  headers: ['Host', 'app', 'Walcast-Hold', '500', 'walcast-host', 'app.test', 'X-A', 'b'],
}

type Message = Pick<RequestToSign, 'purpose' | 'method' | 'path' | 'headers'>

/** Whether a receiver takes the header for the signature of this request. */
function isTaken(header: string, message: Message = REQUEST, secret = SECRET): boolean {
  const signature = parseSignature(header)
  if (!signature) return false
  return isSignedBy(deriveKey(secret, message.purpose), signature, message)
}

test('the MAC is that of the format that the protocol writes down', () => {
  const header = signRequest(SECRETS, REQUEST)
  const match = /nonce=([0-9a-f]{32}) /.exec(header)
  const nonce = match?.[1] ?? ''
  const lines = ['v2', 'forward', 'POST', '/notes?x=1', REQUEST.nowMs, nonce, 'node-a', 'node-b', 7]
  const covered = [...lines, STREAMED, 'walcast-hold:500', 'walcast-host:app.test'].join('\n')
  const mac = createHmac('sha256', deriveKey(SECRET, 'forward')).update(covered).digest('hex')
  assert.equal(
    header,
    `v2 key=${secretId(SECRET)} from=node-a to=node-b epoch=7 time=${REQUEST.nowMs} ` +
      `nonce=${nonce} body=stream mac=${mac}`,
  )
  assert.equal(NO_BODY, createHash('sha256').digest('hex'))
  assert.deepEqual(senderOf(header), { node: 'node-a', epoch: 7 })
})

test('no two signatures are the same', () => {
  const made = new Set(Array.from({ length: 100 }, () => signRequest(SECRETS, REQUEST)))
  assert.equal(made.size, 100)
})

test('each covered part that differs is refused', () => {
  const header = signRequest(SECRETS, REQUEST)
  assert.ok(isTaken(header))
  assert.ok(!isTaken(header, REQUEST, 'the secret of somebody else'))
  const others: readonly [string, Partial<Message>][] = [
    ['purpose', { purpose: 'order' }],
    ['method', { method: 'PUT' }],
    ['path', { path: '/notes' }],
    ['query', { path: '/notes?x=2' }],
    ['header added', { headers: [...REQUEST.headers, 'walcast-ack', 'none'] }],
    ['header removed', { headers: REQUEST.headers.slice(4) }],
    ['header twice', { headers: [...REQUEST.headers, 'walcast-hold', '500'] }],
    ['header changed', { headers: REQUEST.headers.map((each) => each.replace('500', '501')) }],
    ['header renamed', { headers: REQUEST.headers.map((each) => each.replace('-Hold', '-Hole')) }],
  ]
  for (const [what, change] of others) assert.ok(!isTaken(header, { ...REQUEST, ...change }), what)
  const rewritten: readonly [string, RegExp, string][] = [
    ['version', /v2/, 'v1'],
    ['version to come', /v2/, 'v3'],
    ['sender', /from=node-a/, 'from=node-c'],
    ['receiver', /to=node-b/, 'to=node-c'],
    ['epoch', /epoch=7/, 'epoch=8'],
    ['epoch, written otherwise', /epoch=7/, 'epoch=7.0'],
    ['time', /time=1764/, 'time=1765'],
    ['nonce', /nonce=\w/, 'nonce=g'],
    ['body', /body=stream/, `body=${NO_BODY}`],
    ['MAC', /mac=[0-9a-f]{64}/, `mac=${'0'.repeat(64)}`],
    ['MAC cut short', /.$/, ''],
  ]
  for (const [what, part, other] of rewritten)
    assert.ok(!isTaken(header.replace(part, other)), what)
})

test('headers that are not of nodes, and the order of names, are not covered', () => {
  const header = signRequest(SECRETS, REQUEST)
  for (const headers of [
    ['walcast-host', 'app.test', 'walcast-hold', '500'],
    ['WALCAST-HOST', 'app.test', 'Walcast-Hold', '500', 'cookie', 'a=b'],
    ['walcast-hold', '500', 'walcast-host', 'app.test', 'walcast-challenge', 'x'],
  ])
    assert.ok(isTaken(header, { ...REQUEST, headers }), headers.join())
  const twice = { ...REQUEST, headers: ['walcast-ack', 'one', 'walcast-ack', 'all'] }
  const ofTwo = signRequest(SECRETS, twice)
  assert.ok(isTaken(ofTwo, twice))
  const swapped = ['walcast-ack', 'all', 'walcast-ack', 'one']
  assert.ok(!isTaken(ofTwo, { ...twice, headers: swapped }), 'two of one name in another order')
  const joined = ['walcast-ack', 'one, all']
  assert.ok(!isTaken(ofTwo, { ...twice, headers: joined }), 'two of one name as one')
})

test('blanks around a value are lost on the way, other characters are not', () => {
  const sent = { ...REQUEST, headers: ['walcast-host', ' \tapp.test\t '] }
  const header = signRequest(SECRETS, sent)
  assert.ok(isTaken(header, { ...REQUEST, headers: ['walcast-host', 'app.test'] }))
  assert.ok(!isTaken(header, { ...REQUEST, headers: ['walcast-host', 'app.test\u00a0'] }))
})

test('what is no signature is not read as one', () => {
  const header = signRequest(SECRETS, REQUEST)
  for (const other of [
    undefined,
    '',
    ' ',
    `Bearer ${SECRET}`,
    header.toUpperCase(),
    ` ${header}`,
    `${header}\n`,
    `${header}, ${header}`,
    header.replace(' to=', '  to='),
    header.replace('from=node-a', `from=${'a'.repeat(129)}`),
    header.replace('from=node-a', 'from='),
    header.replace('from=node-a', 'from=a\nb'),
    header.replace('epoch=7', `epoch=${'9'.repeat(16)}`),
    header.replace('epoch=7', 'epoch=-1'),
    header.replace(/key=\w+/, 'key=../..'),
  ]) {
    assert.equal(parseSignature(other), undefined, other)
    assert.equal(senderOf(other), undefined, other)
  }
})

/** What may stand in a header, and what a rogue could put there. */
const text = fc.string({ unit: fc.constantFrom(...'abz019:,;=- \t\u00e9') })
const covered = fc.constantFrom('walcast-hold', 'Walcast-Host', 'walcast-ack', 'walcast-x')
const plain = fc.constantFrom('cookie', 'x-walcast-hold', 'walcast', 'walcast-challenge', 'host')
const headers = fc.array(fc.tuple(fc.oneof(covered, plain), text)).map((pairs) => pairs.flat())
const part = fc.string({ unit: fc.constantFrom(...'aZ09_.-'), minLength: 1, maxLength: 128 })
const request = fc.record({
  purpose: fc.constantFrom('stream', 'forward', 'order'),
  method: fc.constantFrom('GET', 'POST', 'DELETE'),
  path: fc.webUrl().map((url) => url.slice('http:/'.length)),
  from: part,
  to: part,
  epoch: fc.nat({ max: 2 ** 31 }),
  nowMs: fc.nat({ max: 2 ** 31 }),
  body: fc.oneof(fc.constant(STREAMED), text.map(sha256)),
  headers,
}) as fc.Arbitrary<RequestToSign>

/** The parts that a receiver compares, one a line. */
function claimOf({ purpose, method, path, headers: given }: Message): string {
  const pairs = given.flatMap((name, i) =>
    i % 2 === 0 && /^walcast-(?!challenge)/i.test(name)
      ? [[name.toLowerCase(), given[i + 1].replace(/^[ \t]+|[ \t]+$/g, '')] as const]
      : [],
  )
  const names = [...new Set(pairs.map(([name]) => name))].sort()
  const sorted = names.map((name) => pairs.filter(([each]) => each === name))
  return JSON.stringify([purpose, method, path, sorted])
}

test('property: a signature is taken with what it was made for and nothing else', () => {
  fc.assert(
    fc.property(request, request, (signed, other) => {
      const header = signRequest(SECRETS, signed)
      assert.ok(isTaken(header, signed))
      const isSame = claimOf(signed) === claimOf(other)
      assert.equal(isTaken(header, other), isSame)
      // Headers alone differ.
      const moved = { ...signed, headers: other.headers }
      assert.equal(isTaken(header, moved), claimOf(signed) === claimOf(moved))
    }),
  )
})

test('property: no character of a signature can be another one', () => {
  const header = signRequest(SECRETS, REQUEST)
  const at = fc.nat({ max: header.length - 1 })
  fc.assert(
    fc.property(at, fc.string({ minLength: 1, maxLength: 1 }), (i, character) => {
      if (header[i] === character) return
      const changed = header.slice(0, i) + character + header.slice(i + 1)
      // The id of a key says which one; the receiver finds none, or the MAC is another one's.
      const isKeyId = parseSignature(changed)?.keyId !== parseSignature(header)?.keyId
      assert.ok(isKeyId || !isTaken(changed), changed)
    }),
    { numRuns: 500 },
  )
})

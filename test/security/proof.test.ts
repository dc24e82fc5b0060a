/** A proof is that of one answer to one challenge, by one process at one address. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClusterSecrets, OPEN } from '../../src/security/clusterSecrets.ts'
import {
  endedSecretIn,
  formatChallenge,
  newChallenge,
  nodeProvenBy,
  type ProvenAnswer,
  type Prover,
  parseChallenge,
  proveAnswer,
  sayEnded,
} from '../../src/security/proof.ts'
import { fakeProof } from '../support/fakeProof.ts'

const SECRET = 'correct horse battery staple'
const SECRETS = new ClusterSecrets([SECRET])
const KEY = SECRETS.signingKey('proof')
const PROVER: Prover = { node: 'node-b', instance: '00ff00ff00ff00ff', address: '10.0.0.2:8470' }
const ANSWER: ProvenAnswer = {
  challenge: newChallenge(),
  method: 'GET',
  path: '/leader?x',
  status: 503,
  body: '{"role":"replica"}',
  fingerprint: '',
}
const PROOF = proveAnswer(KEY, PROVER, ANSWER)

test('a proof names its node, and is that of the protocol', () => {
  assert.deepEqual(nodeProvenBy(SECRETS, PROOF, ANSWER), PROVER)
  assert.deepEqual(
    nodeProvenBy(SECRETS, PROOF, { ...ANSWER, body: Buffer.from('{"role":"replica"}') }),
    PROVER,
  )
  const header = formatChallenge({ challenge: ANSWER.challenge, keyIds: SECRETS.ids })
  const { method, path, status } = ANSWER
  const body = String(ANSWER.body)
  const asked = { secret: SECRET, node: 'node-b', challenge: header, method, path, status, body }
  assert.equal(nodeProvenBy(SECRETS, fakeProof(asked), ANSWER)?.node, 'node-b')
})

test('each part of the answer that differs is refused', () => {
  const others: readonly [string, Partial<ProvenAnswer>][] = [
    ['another challenge', { challenge: newChallenge() }],
    ['method', { method: 'POST' }],
    ['path', { path: '/leader' }],
    ['status', { status: 200 }],
    ['body', { body: '{"role":"leader" }' }],
    ['no body', { body: '' }],
    ['the key of a stranger between the two', { fingerprint: 'ab'.repeat(32) }],
  ]
  for (const [what, change] of others)
    assert.equal(nodeProvenBy(SECRETS, PROOF, { ...ANSWER, ...change }), undefined, what)
  const overTls = { ...ANSWER, fingerprint: 'ab'.repeat(32) }
  const proof = proveAnswer(KEY, PROVER, overTls)
  assert.deepEqual(nodeProvenBy(SECRETS, proof, overTls), PROVER)
  assert.equal(nodeProvenBy(SECRETS, proof, ANSWER), undefined, 'passed on in plain text')
})

test('each part of the proof that differs is refused', () => {
  for (const [part, other] of [
    ['v1', 'v2'],
    ['node=node-b', 'node=node-c'],
    ['instance=00ff', 'instance=00fe'],
    ['at=10.0.0.2', 'at=10.0.0.3'],
    ['8470', '8471'],
    [/key=\w+/, 'key=00000000'],
    [/key=\w+/, `key=${OPEN}`],
    [/mac=.*/, `mac=${'0'.repeat(64)}`],
    [/mac=.*/, ''],
    [/.$/, ''],
    [/ mac=/, '  mac='],
    [/$/, ' '],
  ] as const)
    assert.equal(nodeProvenBy(SECRETS, PROOF.replace(part, other), ANSWER), undefined, other)
  for (const header of [undefined, '', `Bearer ${SECRET}`, `${PROOF}, ${PROOF}`])
    assert.equal(nodeProvenBy(SECRETS, header, ANSWER), undefined, header)
})

test('keys of other purposes and of other secrets prove nothing', () => {
  for (const key of [
    SECRETS.signingKey('order'),
    SECRETS.signingKey('forward'),
    { ...SECRETS.signingKey('stream'), id: KEY.id },
    { ...new ClusterSecrets(['the secret of somebody else']).signingKey('proof'), id: KEY.id },
    new ClusterSecrets([]).signingKey('proof'),
  ])
    assert.equal(nodeProvenBy(SECRETS, proveAnswer(key, PROVER, ANSWER), ANSWER), undefined)
})

test('while the secret is replaced, proofs with both are good', () => {
  const both = new ClusterSecrets(['the secret that comes next', SECRET])
  assert.deepEqual(nodeProvenBy(both, PROOF, ANSWER), PROVER)
  const next = proveAnswer(both.signingKey('proof'), PROVER, ANSWER)
  assert.deepEqual(nodeProvenBy(both, next, ANSWER), PROVER)
  assert.equal(nodeProvenBy(SECRETS, next, ANSWER), undefined)
})

test('a proof of an open cluster is believed by nobody who has a secret', () => {
  const open = new ClusterSecrets([])
  assert.equal(
    nodeProvenBy(SECRETS, proveAnswer(open.signingKey('proof'), PROVER, ANSWER), ANSWER),
    undefined,
  )
})

test('a challenge names up to eight keys, and nothing else is one', () => {
  const challenge = newChallenge()
  assert.match(challenge, /^[0-9a-f]{64}$/)
  assert.notEqual(newChallenge(), challenge)
  const keyIds = Array.from({ length: 10 }, (_, i) => `0000000${i}`)
  const parsed = parseChallenge(formatChallenge({ challenge, keyIds }))
  assert.deepEqual(parsed, { challenge, keyIds: keyIds.slice(0, 8) })
  for (const value of [
    undefined,
    '',
    challenge,
    `${challenge} `,
    `${challenge} abc`,
    `${challenge} ${'a'.repeat(33)}`,
    `${challenge} aaaa,`,
    `${challenge} ${keyIds.slice(0, 9).join(',')}`,
    `${challenge}  aaaa`,
    `${challenge.slice(1)} aaaa`,
    `${challenge.toUpperCase().replace(/\d/, 'A')} aaaa`,
    `${challenge} aaaa\n`,
  ])
    assert.equal(parseChallenge(value), undefined, value)
})

const answer = fc.record({
  challenge: fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => Buffer.from(bytes).toString('hex')),
  method: fc.constantFrom('GET', 'POST'),
  path: fc.constantFrom('/leader', '/_walcast/proof', '/a?b=c'),
  status: fc.integer({ min: 200, max: 599 }),
  body: fc.string({ unit: 'binary' }),
  fingerprint: fc.constantFrom('', 'ab'.repeat(32)),
})
const prover = fc.record<Prover>({
  node: fc.string({ unit: fc.constantFrom(...'aZ09_.-'), minLength: 1, maxLength: 128 }),
  instance: fc.nat().map((id) => id.toString(16).padStart(16, '0')),
  address: fc.constantFrom('a:1', '[::1]:8470', '10.0.0.1:8470', 'db_1.example:65535'),
})

test('property: a proof is taken with the answer that it was made for and no other', () => {
  fc.assert(
    fc.property(prover, answer, answer, (who, proven, other) => {
      const proof = proveAnswer(KEY, who, proven)
      assert.deepEqual(nodeProvenBy(SECRETS, proof, proven), { ...who })
      const isSame = JSON.stringify(proven) === JSON.stringify(other)
      assert.equal(nodeProvenBy(SECRETS, proof, other) !== undefined, isSame)
    }),
  )
})

test('property: no character of a proof can be another one', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: PROOF.length - 1 }),
      fc.string({ minLength: 1, maxLength: 1 }),
      (i, character) => {
        if (PROOF[i] === character) return
        const changed = PROOF.slice(0, i) + character + PROOF.slice(i + 1)
        assert.equal(nodeProvenBy(SECRETS, changed, ANSWER), undefined, changed)
      },
    ),
    { numRuns: 500 },
  )
})

test('who has known a secret tells an asker of its end, for its question alone', () => {
  const member = new ClusterSecrets(['the secret that came after it'], { ended: [SECRET] })
  const question = { challenge: newChallenge(), fingerprint: '' }
  const told = sayEnded(member, SECRETS.ids, question)
  assert.equal(endedSecretIn(SECRETS, told, question), SECRETS.ids[0])
  const others = [
    { ...question, challenge: newChallenge() },
    { ...question, fingerprint: 'ab'.repeat(32) },
  ]
  for (const other of others) assert.equal(endedSecretIn(SECRETS, told, other), undefined)
  assert.equal(endedSecretIn(new ClusterSecrets(['another secret']), told, question), undefined)
  for (const header of [undefined, '', `${told} `, told?.replace(/mac=../, 'mac=00')])
    assert.equal(endedSecretIn(SECRETS, header, question), undefined)
  assert.equal(nodeProvenBy(SECRETS, told, ANSWER), undefined, 'it is no proof')
  // A secret that is good, or that nobody knows, is not said to have ended.
  assert.equal(sayEnded(SECRETS, SECRETS.ids, question), undefined)
  assert.equal(sayEnded(member, [...SECRETS.ids, ...member.ids], question), undefined)
  assert.equal(sayEnded(member, ['00000000'], question), undefined)
  assert.equal(sayEnded(member, [], question), undefined)
})

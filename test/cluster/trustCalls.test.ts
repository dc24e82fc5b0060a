/** Two ends of an exchange of trust records, and what someone between them can do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SealedTrust, TrustCalls } from '../../src/cluster/trustCalls.ts'
import { withMember, withoutMember, withSecret } from '../../src/cluster/trustChanges.ts'
import { mergeTrust } from '../../src/cluster/trustMerge.ts'
import { emptyTrust, memberByKey, type TrustRecord } from '../../src/cluster/trustRecord.ts'
import { keyOf } from '../../src/errors.ts'
import { ClusterSecrets, secretId } from '../../src/security/clusterSecrets.ts'

const OLD = 'the old secret of the cluster'
const NEW = 'the new secret of the cluster'
const CLUSTER = 'cluster-1'
const key = (index: number) => index.toString(16).padStart(64, '0')
const B = { node: 'node-b', address: '10.0.0.2:8470' }

/** `alter`: what becomes of a message on the way to the node, or back from it. */
function pair(
  secrets: readonly [readonly string[], readonly string[]],
  alter: { ask?: (text: string) => string; answer?: (answer: SealedTrust) => unknown } = {},
  there: TrustRecord = emptyTrust(CLUSTER),
) {
  const other = { record: there, asked: '', answered: undefined as SealedTrust | undefined }
  const b = new TrustCalls({
    secrets: new ClusterSecrets(secrets[1]),
    post: () => Promise.reject(new Error('nobody asks it to')),
  })
  const own = new ClusterSecrets(secrets[0])
  const a = new TrustCalls({
    secrets: own,
    post: async (_member, body) => {
      other.asked = body
      const sent = JSON.parse((alter.ask ?? String)(body))
      const answer = await b.answer('node-a', sent, other.record, async (_node, theirs) => {
        other.record = mergeTrust(other.record, theirs)
        return other.record
      })
      other.answered = answer
      return Object((alter.answer ?? ((same) => same))(answer))
    },
  })
  return { a, other, secrets: own }
}

const isRefused = (error: unknown) => keyOf(error) === 'TRUST_REFUSED'
const OWN = withSecret(
  withMember(emptyTrust(CLUSTER), { ...B, fingerprint: key(1), node: 'node-a' }, 1),
  { id: secretId(NEW), secret: NEW, createdAt: 1 },
)

test('both ends know the same afterwards, and nothing of it is readable on the way', async () => {
  const there = withMember(emptyTrust(CLUSTER), { ...B, fingerprint: key(2) }, 2)
  const { a, other } = pair([[OLD], [OLD]], {}, there)
  const answer = await a.exchange(B, OWN)
  assert.deepEqual(answer, other.record)
  assert.ok(memberByKey(answer, key(1)) && memberByKey(answer, key(2)))
  const sent = `${other.asked} ${JSON.stringify(other.answered)}`
  for (const text of [NEW, OLD, 'node-a', key(1)]) {
    assert.ok(!sent.includes(text))
    assert.ok(!sent.includes(Buffer.from(text).toString('base64').slice(0, 8)))
  }
})

test('a node that knows only the old secret learns the new one', async () => {
  const { a } = pair([[OLD], [NEW, OLD]], {}, OWN)
  const answer = await a.exchange(B, emptyTrust(CLUSTER))
  assert.equal(answer.secrets[0].secret, NEW)
  const { a: stranger } = pair([['another secret altogether'], [NEW, OLD]], {}, OWN)
  await assert.rejects(stranger.exchange(B, emptyTrust(CLUSTER)), isRefused)
})

test('a node asks with the oldest secret while it still signs', async () => {
  // Right after the secret was replaced: the old one signs, and the new one is told.
  const { a, secrets } = pair([[OLD, NEW], [OLD]])
  secrets.replace([OLD, NEW], { oldest: OLD })
  const answer = await a.exchange(B, OWN)
  assert.equal(answer.secrets.at(-1)?.secret, NEW)
})

test('what is changed, reflected or replayed on the way is refused at either end', async () => {
  const replayed = pair([[OLD], [OLD]])
  await replayed.a.exchange(B, emptyTrust(CLUSTER))
  const old = replayed.other.answered
  const flipped = (sealed: string) => `${sealed[0] === 'A' ? 'B' : 'A'}${sealed.slice(1)}`
  for (const alter of [
    { ask: (text: string) => text.replace('"sealed":"', '"sealed":"AAAA') },
    { ask: () => '{}' },
    { ask: () => 'null' },
    { ask: () => '[]' },
    { ask: () => '{"key":5,"sealed":{}}' },
    { ask: (text: string) => text.replace(/"key":"\w+"/, '"key":"constructor"') },
    { answer: (answer: SealedTrust) => ({ ...answer, sealed: flipped(answer.sealed) }) },
    { answer: (answer: SealedTrust) => ({ ...answer, key: 'open' }) },
    { answer: () => old },
    { answer: () => undefined },
    { answer: () => ({ sealed: '' }) },
  ])
    await assert.rejects(pair([[OLD], [OLD]], alter).a.exchange(B, OWN), isRefused)
  const reflecting = new TrustCalls({
    secrets: new ClusterSecrets([OLD]),
    post: async (_member, body) => JSON.parse(body),
  })
  await assert.rejects(reflecting.exchange(B, OWN), isRefused)
})

test('a removed node is refused, and so is everyone while there is no secret', async () => {
  const removed = withoutMember(emptyTrust(CLUSTER), key(1), 'node-a', 1)
  await assert.rejects(
    pair([[OLD], [OLD]], {}, removed).a.exchange(B, OWN),
    (error) => keyOf(error) === 'KEY_REMOVED',
  )
  await assert.rejects(pair([[], []]).a.exchange(B, OWN), isRefused)
})

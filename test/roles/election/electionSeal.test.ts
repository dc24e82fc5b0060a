/** Who may write to the lock service and is not of the cluster can tell its nodes nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CandidateNote, Term } from '../../../src/roles/election/electionRecord.ts'
import { MAX_COUNTED_NODES } from '../../../src/roles/election/electionRecord.ts'
import { ElectionSeal } from '../../../src/roles/election/electionSeal.ts'
import { MAX_ELECTION_BYTES } from '../../../src/roles/election/leaseService.ts'
import { ClusterSecrets, newSecret } from '../../../src/security/clusterSecrets.ts'

const SECRET = newSecret().secret
const TERM: Term = {
  epoch: 7,
  node: 'node-a',
  address: 'a:1',
  isAcknowledged: true,
  counted: ['node-b'],
  floor: { epoch: 6, txid: 41 },
  heir: '',
  serial: 7,
}
const NOTE: CandidateNote = {
  node: 'node-b',
  address: 'b:1',
  position: { epoch: 7, txid: 44 },
  checksum: '00112233445566aa',
  knownEpoch: 7,
  priority: 2,
  mayLead: true,
  mark: '12',
}

function sealOf(secrets: readonly string[], cluster = 'cluster-a'): ElectionSeal {
  return new ElectionSeal({ secrets: new ClusterSecrets(secrets), cluster: () => cluster })
}

for (const [what, secrets] of [
  ['a secret', [SECRET]],
  ['no secret', []],
] as const)
  test(`a cluster with ${what} reads what it wrote, each as what it is`, () => {
    const seal = sealOf(secrets)
    assert.deepEqual(seal.termIn(seal.sealTerm(TERM)), TERM)
    assert.deepEqual(seal.noteIn(seal.sealNote(NOTE)), NOTE)
    assert.equal(seal.noteIn(seal.sealTerm(TERM)), undefined)
    assert.equal(seal.termIn(seal.sealNote(NOTE)), undefined)
  })

test('neither another cluster, another secret nor none opens it', () => {
  const sealed = sealOf([SECRET]).sealTerm(TERM)
  assert.ok(!sealed.includes('node-a'), 'it says nothing to whoever reads it')
  assert.equal(sealOf([SECRET], 'cluster-b').termIn(sealed), undefined)
  assert.equal(sealOf([newSecret().secret]).termIn(sealed), undefined)
  assert.equal(sealOf([]).termIn(sealed), undefined)
})

test('a cluster with a secret reads nothing that is open', () => {
  assert.equal(sealOf([SECRET]).termIn(sealOf([]).sealTerm(TERM)), undefined)
})

test('while the secret is replaced, what was sealed with either is read', () => {
  const next = newSecret().secret
  const both = sealOf([next, SECRET])
  assert.deepEqual(both.termIn(sealOf([SECRET]).sealTerm(TERM)), TERM)
  assert.deepEqual(sealOf([next]).termIn(both.sealTerm(TERM)), TERM)
})

test('with another character in it, it says nothing else', () => {
  const seal = sealOf([SECRET])
  const sealed = seal.sealTerm(TERM)
  fc.assert(
    fc.property(
      fc.nat(sealed.length - 1),
      fc.constantFrom('A', 'b', '0', ' ', '='),
      (at, other) => {
        const changed = sealed.slice(0, at) + other + sealed.slice(at + 1)
        const read = seal.termIn(changed)
        // What Base64 reads the same way is the same.
        if (read) assert.deepEqual(read, TERM)
      },
    ),
  )
})

test('garbage of any size is nothing', () => {
  const open = sealOf([])
  const seal = sealOf([SECRET])
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `open ${text}`),
      ),
      (text) => {
        assert.equal(seal.termIn(text), undefined)
        assert.equal(open.noteIn(text), undefined)
      },
    ),
  )
  const large = `open ${JSON.stringify({ ...TERM, more: 'x'.repeat(MAX_ELECTION_BYTES) })}`
  assert.equal(open.termIn(large), undefined)
})

test('the largest term has room in the service', () => {
  const longest = 'n'.repeat(126)
  const counted = Array.from({ length: MAX_COUNTED_NODES }, (_, i) => `${longest}${i + 10}`)
  const seal = sealOf([SECRET])
  const [node, address] = [`${longest}99`, `${'h'.repeat(122)}:65535`]
  const term = { ...TERM, counted, node, heir: node, address }
  assert.deepEqual(seal.termIn(seal.sealTerm(term)), term)
})

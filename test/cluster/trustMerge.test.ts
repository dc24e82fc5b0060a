/**
 * The join of trust records against the laws of a semilattice, the bounds of a record, and clusters
 * of several nodes that change, exchange, lose and restart as they like.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareMarks } from '../../src/cluster/removalSet.ts'
import {
  withCluster,
  withMember,
  withoutMember,
  withoutToken,
  withSecret,
  withSetting,
  withToken,
} from '../../src/cluster/trustChanges.ts'
import { formatTrust, parseTrust } from '../../src/cluster/trustFormat.ts'
import {
  compactTrust,
  isSameTrust,
  joinTrust,
  mergeTrust,
  trustDigest,
} from '../../src/cluster/trustMerge.ts'
import {
  emptyTrust,
  isRemovedKey,
  isRemovedNode,
  MAX_KEKS,
  MAX_REMOVED,
  MAX_REVOKED,
  MAX_SECRETS,
  MAX_SETTINGS,
  MAX_TOKENS,
  MAX_TRUST_BYTES,
  MAX_TRUST_TIME_MS,
  MAX_TRUSTED,
  memberByKey,
  type TrustRecord,
  type TrustToken,
} from '../../src/cluster/trustRecord.ts'
import { keyOf } from '../../src/errors.ts'

const CLUSTER = 'cluster-1'
const hex = (index: number, digits: number) => index.toString(16).padStart(digits, '0')
const fingerprint = (index: number) => hex(index, 64)
const tokenId = (index: number) => `t${String(index).padStart(9, '0')}`
const token = (index: number, createdAt: number, expiresAt?: number): TrustToken => ({
  id: tokenId(index),
  hash: hex(index, 64),
  role: 'read',
  note: '',
  createdAt,
  ...(expiresAt === undefined ? {} : { expiresAt }),
})

/** Few names and times, so that entries meet in every way; contents that contradict each other. */
const small = fc.integer({ min: 0, max: 4 })
const time = fc.integer({ min: 0, max: 12 })
const ends = fc.option(time, { nil: undefined })
const horizonOf = (key: (index: number) => string) =>
  fc.option(fc.record({ at: time, key: small.map(key) }), { nil: undefined })

function onePerKey<Entry>(entry: fc.Arbitrary<Entry>, key: (entry: Entry) => string) {
  return fc
    .uniqueArray(entry, { selector: key, maxLength: 5 })
    .map((entries) => entries.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)))
}

const record: fc.Arbitrary<TrustRecord> = fc
  .record({
    secrets: onePerKey(
      fc.record({
        id: small.map((index) => hex(index, 8)),
        secret: small.map((index) => `a secret ${index} of sixteen`),
        createdAt: time,
        endsAt: ends,
      }),
      ({ id }) => id,
    ),
    keks: onePerKey(
      fc.record({
        id: small.map((index) => hex(index, 8)),
        key: small.map(fingerprint),
        createdAt: time,
      }),
      ({ id }) => id,
    ),
    members: onePerKey(
      fc.record({
        fingerprint: small.map(fingerprint),
        node: small.map((index) => `node-${index}`),
        address: fc.constantFrom('', '10.0.0.1:1', '10.0.0.2:1'),
        addedAt: time,
        changedAt: time,
        endsAt: ends,
      }),
      (member) => member.fingerprint,
    ),
    removedMembers: onePerKey(
      fc.record({
        fingerprint: small.map(fingerprint),
        node: small.map((index) => `node-${index}`),
        removedAt: time,
      }),
      (removed) => removed.fingerprint,
    ),
    membersHorizon: horizonOf(fingerprint),
    tokens: onePerKey(
      fc.record({
        id: small.map(tokenId),
        hash: small.map(fingerprint),
        role: fc.constantFrom('admin' as const, 'read' as const),
        note: fc.constantFrom('', 'a note'),
        createdAt: time,
        expiresAt: ends,
      }),
      ({ id }) => id,
    ),
    revokedTokens: onePerKey(
      fc.record({ id: small.map(tokenId), revokedAt: time }),
      ({ id }) => id,
    ),
    tokensHorizon: horizonOf(tokenId),
    settings: onePerKey(
      fc.record({
        name: small.map((index) => `setting-${index}`),
        value: small.map(String),
        changedAt: time,
        by: small.map((index) => `node-${index}`),
      }),
      ({ name }) => name,
    ),
  })
  // What an entry says is removed does not live in the same record.
  .map((fields) => joinTrust(emptyTrust(CLUSTER), { cluster: CLUSTER, ...fields }))

function assertSame(a: TrustRecord, b: TrustRecord): void {
  assert.equal(formatTrust(a), formatTrust(b))
}

const isBelow = (low: TrustRecord, high: TrustRecord) => isSameTrust(joinTrust(low, high), high)

test('the join of records is commutative, associative and idempotent', () => {
  fc.assert(
    fc.property(record, record, record, (a, b, c) => {
      assertSame(joinTrust(a, b), joinTrust(b, a))
      assertSame(joinTrust(joinTrust(a, b), c), joinTrust(a, joinTrust(b, c)))
      assertSame(joinTrust(a, a), a)
    }),
    { numRuns: 2000 },
  )
})

test('a join is above both records, and keeps the order of what it joins', () => {
  fc.assert(
    fc.property(record, record, record, (a, b, c) => {
      const ab = joinTrust(a, b)
      assert.ok(isBelow(a, ab) && isBelow(b, ab))
      assert.ok(isBelow(joinTrust(a, c), joinTrust(ab, c)))
    }),
    { numRuns: 1000 },
  )
})

test('what is removed or revoked anywhere lives in no join', () => {
  fc.assert(
    fc.property(record, record, (a, b) => {
      const { members, tokens } = joinTrust(a, b)
      for (const { fingerprint: key, changedAt: at } of members)
        for (const { membersHorizon, members: known } of [a, b])
          if (membersHorizon && compareMarks({ key, at }, membersHorizon) <= 0)
            assert.ok(known.some((each) => each.fingerprint === key && each.changedAt === at))
      for (const removed of [...a.removedMembers, ...b.removedMembers])
        assert.ok(!members.some((member) => member.fingerprint === removed.fingerprint))
      for (const revoked of [...a.revokedTokens, ...b.revokedTokens])
        assert.ok(!tokens.some(({ id }) => id === revoked.id))
    }),
    { numRuns: 1000 },
  )
})

test('a removal holds against an entry that another node wrote anew later', () => {
  const member = { fingerprint: fingerprint(1), node: 'node-1', address: '' }
  const known = withMember(emptyTrust(CLUSTER), member, 1000)
  const removed = withoutMember(known, member.fingerprint, '', 2000)
  const moved = withMember(known, { ...member, address: '10.0.0.9:1' }, 9_000_000)
  for (const both of [mergeTrust(removed, moved), mergeTrust(moved, removed)]) {
    assert.equal(memberByKey(both, member.fingerprint), undefined)
    assert.ok(isRemovedKey(both, member.fingerprint) && isRemovedNode(both, 'node-1'))
    assert.throws(
      () => withMember(both, member, 9_999_999),
      (error) => keyOf(error) === 'KEY_REMOVED',
    )
  }
  const back = withMember(removed, { ...member, fingerprint: fingerprint(2) }, 3000)
  assert.ok(!isRemovedNode(back, 'node-1'), 'it is back with another key')
})

test('a clock that is far off makes no record that is out of bounds', () => {
  const member = { fingerprint: fingerprint(1), node: 'node-1', address: '' }
  for (const nowMs of [-5, 1.5, MAX_TRUST_TIME_MS, 1e17, Infinity]) {
    const known = withMember(emptyTrust(CLUSTER), member, nowMs)
    const moved = withMember(known, { ...member, address: '10.0.0.1:1' }, nowMs)
    const removed = withoutMember(moved, member.fingerprint, '', nowMs)
    for (const made of [known, moved, removed]) assertSame(parseTrust(formatTrust(made)), made)
    assert.ok(isRemovedKey(mergeTrust(removed, moved), member.fingerprint))
  }
})

test('a record of another cluster is refused, and a node without one adopts nothing', () => {
  const own = emptyTrust(CLUSTER)
  for (const [mine, theirs] of [
    [own, emptyTrust('cluster-2')],
    [own, emptyTrust('')],
    [emptyTrust(''), own],
    [emptyTrust(''), emptyTrust('')],
  ] as const)
    assert.throws(
      () => mergeTrust(mine, theirs),
      (error) => keyOf(error) === 'TRUST_REFUSED',
    )
  assert.equal(withCluster(emptyTrust(''), CLUSTER).cluster, CLUSTER)
  assert.throws(
    () => withCluster(own, 'cluster-2'),
    (error) => keyOf(error) === 'TRUST_REFUSED',
  )
})

/** Up to `count` entries of each kind, from `first` on. */
function large(first: number, count: number): TrustRecord {
  const indexes = Array.from({ length: count }, (_, index) => first + index)
  const all = {
    ...emptyTrust(CLUSTER),
    secrets: indexes.map((index) => ({
      id: hex(index, 8),
      secret: `a secret that is number ${index}`,
      createdAt: index,
    })),
    keks: indexes.map((index) => ({ id: hex(index, 8), key: hex(index, 64), createdAt: index })),
    members: indexes.map((index) => ({
      fingerprint: fingerprint(index),
      node: `node-${index}`,
      address: '',
      addedAt: index,
      changedAt: index,
    })),
    removedMembers: indexes.map((index) => ({
      fingerprint: fingerprint(100_000 + index),
      node: `node-${100_000 + index}`,
      removedAt: index,
    })),
    tokens: indexes.map((index) => token(index, index)),
    revokedTokens: indexes.map((index) => ({ id: tokenId(100_000 + index), revokedAt: index })),
    settings: indexes.map((index) => ({
      name: `setting-${index}`,
      value: 'x',
      changedAt: index,
      by: 'node-1',
    })),
  }
  return compactTrust(joinTrust(emptyTrust(CLUSTER), all))
}

test('a record stays within its bounds, whatever it is joined with', () => {
  const spans = fc.record({
    first: fc.integer({ min: 0, max: 4000 }),
    count: fc.constantFrom(0, 1, 300, 1024, 2500),
  })
  fc.assert(
    fc.property(fc.array(spans, { minLength: 1, maxLength: 3 }), (made) => {
      const whole = made
        .map(({ first, count }) => large(first, count))
        .reduce((a, b) => mergeTrust(a, b))
      assert.ok(whole.secrets.length <= MAX_SECRETS && whole.keks.length <= MAX_KEKS)
      assert.ok(whole.members.length <= MAX_TRUSTED && whole.tokens.length <= MAX_TOKENS)
      assert.ok(whole.removedMembers.length <= MAX_REMOVED)
      assert.ok(whole.revokedTokens.length <= MAX_REMOVED)
      assert.ok(whole.settings.length <= MAX_SETTINGS)
      assertSame(parseTrust(formatTrust(whole)), whole)
      assertSame(compactTrust(whole), whole)
      assert.ok(Buffer.byteLength(formatTrust(whole)) <= MAX_TRUST_BYTES)
    }),
    { numRuns: 15 },
  )
})

test('a record at all bounds with the longest texts is not too long to be read', () => {
  const at = (index: number) => MAX_TRUST_TIME_MS - index
  const many = <Entry>(count: number, entry: (index: number) => Entry) =>
    Array.from({ length: count }, (_, index) => entry(index))
  const node = 'n'.repeat(128)
  const text = (chars: number) => '漢'.repeat(chars)
  const whole = joinTrust(emptyTrust(CLUSTER), {
    cluster: CLUSTER,
    secrets: many(MAX_SECRETS, (index) => ({
      id: hex(index, 8),
      secret: text(1024),
      createdAt: at(index),
      endsAt: at(0),
    })),
    keks: many(MAX_KEKS, (index) => ({ id: hex(index, 8), key: hex(9, 64), createdAt: at(index) })),
    members: many(MAX_TRUSTED, (index) => ({
      fingerprint: fingerprint(index),
      node,
      address: `${'a'.repeat(250)}:65535`,
      addedAt: at(index),
      changedAt: at(index),
      endsAt: at(0),
    })),
    removedMembers: many(MAX_REMOVED, (index) => ({
      fingerprint: fingerprint(10_000 + index),
      node,
      removedAt: at(index),
    })),
    membersHorizon: { at: 1, key: fingerprint(1) },
    tokens: many(MAX_TOKENS, (index) => ({ ...token(index, at(index), at(0)), note: text(128) })),
    revokedTokens: many(MAX_REVOKED, (index) => ({
      id: tokenId(10_000 + index),
      revokedAt: at(index),
    })),
    tokensHorizon: { at: 1, key: tokenId(1) },
    settings: many(MAX_SETTINGS, (index) => ({
      name: String(index).padStart(64, 's'),
      value: text(256),
      changedAt: at(index),
      by: node,
    })),
  })
  assert.ok(Buffer.byteLength(formatTrust(whole)) <= MAX_TRUST_BYTES)
  assertSame(parseTrust(formatTrust(whole)), whole)
})

test('compacting only ever removes, so a compacted record wins over one that is not', () => {
  const [older, newer] = [large(0, 1024), large(1024, 1024)].map((known) => {
    const removedMembers = known.removedMembers.map((removed) => ({ ...removed, node: 'n' }))
    return { ...known, removedMembers, members: [], membersHorizon: undefined }
  })
  const both = joinTrust(older, newer)
  const compacted = compactTrust(both)
  assert.ok(both.removedMembers.length > MAX_REMOVED)
  // A node that was away still has a member whose removal had to make room.
  const forgotten = older.removedMembers[0]
  assert.ok(!isRemovedKey(compacted, forgotten.fingerprint))
  const away = withMember(emptyTrust(CLUSTER), { ...forgotten, address: '' }, forgotten.removedAt)
  for (const met of [mergeTrust(compacted, away), mergeTrust(away, compacted)])
    assert.equal(memberByKey(met, forgotten.fingerprint), undefined)
  assert.deepEqual(mergeTrust(compacted, both), compacted)
})

test('of too many living members those that came last are removed, on every node alike', () => {
  const [a, b] = [large(0, 200), large(200, 200)]
  const [ab, ba] = [mergeTrust(a, b), mergeTrust(b, a)]
  assert.deepEqual(ab, ba)
  assert.equal(ab.members.length, MAX_TRUSTED)
  assert.ok(memberByKey(ab, fingerprint(0)) && isRemovedKey(ab, fingerprint(399)))
})

test('a record has room for so many and no more, and expired tokens make room', () => {
  const isFull = (error: unknown) => keyOf(error) === 'TRUST_FULL'
  const full = large(0, 256)
  assert.throws(
    () => withMember(full, { fingerprint: fingerprint(999), node: 'n', address: '' }, 5000),
    isFull,
  )
  assert.throws(() => withToken(full, token(999, 5000), 5000), isFull)
  assert.throws(() => withSetting(full, { name: 'one', value: '1', by: 'n' }, 5000), isFull)
  const expired = Array.from({ length: MAX_TOKENS }, (_, index) => index).reduce(
    (known, index) => withToken(known, token(index, 100, 200 + index), 100),
    emptyTrust(CLUSTER),
  )
  const more = withToken(expired, token(999, 250), 250)
  assert.ok(more.tokens.some(({ id }) => id === tokenId(999)))
  assert.equal(more.tokens.length, MAX_TOKENS - 50)
})

test('a secret that nine others followed is gone, and the earliest end of one counts', () => {
  const secret = (index: number, endsAt?: number) => ({
    id: hex(index, 8),
    secret: `a secret that is number ${index}`,
    createdAt: index,
    ...(endsAt === undefined ? {} : { endsAt }),
  })
  const nine = Array.from({ length: 9 }, (_, index) => index).reduce(
    (known, index) => withSecret(known, secret(index)),
    emptyTrust(CLUSTER),
  )
  assert.deepEqual(
    nine.secrets.map(({ createdAt }) => createdAt),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  for (const order of [
    [undefined, 50, 40],
    [40, undefined, 50],
    [50, 40, undefined],
  ]) {
    const known = order.reduce(
      (whole, endsAt) => withSecret(whole, secret(3, endsAt)),
      emptyTrust(CLUSTER),
    )
    assert.equal(known.secrets[0].endsAt, 40)
  }
})

test('a secret that has ended anywhere ends in every join, whenever it was written', () => {
  fc.assert(
    fc.property(record, record, (a, b) => {
      const { secrets } = joinTrust(a, b)
      for (const { id, createdAt, endsAt = Infinity } of [...a.secrets, ...b.secrets]) {
        const known = secrets.find((secret) => secret.id === id)
        assert.ok(known && (known.endsAt ?? Infinity) <= endsAt)
        assert.ok(known.createdAt >= createdAt)
      }
    }),
    { numRuns: 1000 },
  )
})

test('the digest is equal for equal records only, and tells nothing of secrets', () => {
  fc.assert(
    fc.property(record, record, (a, b) => {
      const [told, other] = [a, b].map((known) => ({
        ...known,
        secrets: known.secrets.map((secret) => ({ ...secret, secret: '' })),
        keks: known.keks.map((kek) => ({ ...kek, key: '' })),
      }))
      assert.equal(trustDigest(a) === trustDigest(b), isSameTrust(told, other))
      assert.equal(trustDigest(parseOf(a)), trustDigest(a))
      assert.match(trustDigest(a), /^[0-9a-f]{32}$/)
    }),
  )
})

/** As another node reads it. Without horizons: those of these records are made up. */
function parseOf(known: TrustRecord): TrustRecord {
  const { membersHorizon, tokensHorizon, ...rest } = JSON.parse(formatTrust(known))
  return { ...known, ...parseTrust(JSON.stringify(rest)), membersHorizon, tokensHorizon }
}

type Deed =
  | { readonly kind: 'add' | 'remove' | 'token' | 'revoke' | 'setting'; readonly what: number }
  | { readonly kind: 'exchange'; readonly with: number; readonly isLost: boolean }
  | { readonly kind: 'crash' }

const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('add', 'remove', 'token', 'revoke', 'setting'),
    what: fc.nat({ max: 9 }),
  }),
  fc.record({
    kind: fc.constant('exchange' as const),
    with: fc.nat({ max: 4 }),
    isLost: fc.boolean(),
  }),
  fc.constant({ kind: 'crash' as const }),
)

/** A node whose clock is off by its index, so that times contradict the order of events. */
class Node {
  record = emptyTrust(CLUSTER)
  stored = this.record
  readonly #aheadMs: number

  constructor(index: number) {
    this.#aheadMs = index * 3
  }

  change(kind: string, what: number, atMs: number): void {
    const nowMs = atMs + this.#aheadMs
    const key = fingerprint(what)
    try {
      if (kind === 'add')
        this.take(
          withMember(this.record, { fingerprint: key, node: `n${what}`, address: '' }, nowMs),
        )
      if (kind === 'remove') this.take(withoutMember(this.record, key, `n${what}`, nowMs))
      if (kind === 'token') this.take(withToken(this.record, token(what, nowMs), nowMs))
      if (kind === 'revoke') this.take(withoutToken(this.record, tokenId(what), nowMs))
      if (kind === 'setting')
        this.take(withSetting(this.record, { name: 's', value: `${what}`, by: 'n' }, nowMs))
    } catch (error) {
      assert.equal(keyOf(error), 'KEY_REMOVED')
    }
  }

  take(next: TrustRecord): void {
    assert.ok(isBelow(this.record, next), 'a node never goes back')
    this.record = next
  }
}

test('nodes end with one record after any changes, losses and crashes, once all have met', () => {
  const run = fc.array(fc.tuple(fc.nat({ max: 4 }), deed), { maxLength: 60 })
  fc.assert(
    fc.property(run, (steps) => {
      const nodes = Array.from({ length: 5 }, (_, index) => new Node(index))
      const gone = new Set<string>()
      steps.forEach(([who, step], atMs) => {
        const node = nodes[who]
        if (step.kind === 'crash') node.record = node.stored
        else if (step.kind === 'exchange') {
          const other = nodes[step.with]
          other.take(mergeTrust(other.record, node.record))
          if (!step.isLost) node.take(mergeTrust(node.record, other.record))
        } else node.change(step.kind, step.what, atMs)
        if (step.kind !== 'crash' && atMs % 3 === 0) node.stored = node.record
        for (const removed of node.stored.removedMembers) gone.add(removed.fingerprint)
      })
      for (let round = 0; round < 2; round++)
        for (const node of nodes)
          for (const other of nodes) other.take(mergeTrust(other.record, node.record))
      for (const node of nodes) {
        assertSame(node.record, nodes[0].record)
        assert.equal(trustDigest(node.record), trustDigest(nodes[0].record))
        for (const key of gone) assert.ok(isRemovedKey(node.record, key), 'a removal was lost')
      }
    }),
    { numRuns: 400 },
  )
})

test('nodes at the bounds of their records end with one record, too', () => {
  const run = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })), { maxLength: 8 })
  fc.assert(
    fc.property(run, (meetings) => {
      const nodes = [large(0, 1024), large(900, 1024), large(2000, 500), emptyTrust(CLUSTER)]
      const meet = (from: number, to: number) => {
        nodes[to] = mergeTrust(nodes[to], nodes[from])
      }
      for (const [from, to] of meetings) meet(from, to)
      for (let round = 0; round < 2; round++)
        nodes.forEach((_, from) => {
          nodes.forEach((_, to) => {
            meet(from, to)
          })
        })
      for (const known of nodes) assertSame(known, nodes[0])
    }),
    { numRuns: 8 },
  )
})

/** The trust record as text: what others send is taken only when every field is what it must be. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatTrust, parseTrust } from '../../src/cluster/trustFormat.ts'
import {
  emptyTrust,
  MAX_TRUST_BYTES,
  MAX_TRUST_TIME_MS,
  type TrustRecord,
} from '../../src/cluster/trustRecord.ts'

const FINGERPRINT = 'ab'.repeat(32)

const WHOLE: TrustRecord = {
  ...emptyTrust('cluster-1'),
  secrets: [{ id: '01234567', secret: 'a secret of the cluster', createdAt: 5, endsAt: 9 }],
  keks: [{ id: '01234567', key: FINGERPRINT, createdAt: 5 }],
  members: [
    { fingerprint: FINGERPRINT, node: 'node-1', address: '[::1]:80', addedAt: 1, changedAt: 2 },
  ],
  removedMembers: [{ fingerprint: 'cd'.repeat(32), node: 'node-2', removedAt: 3 }],
  tokens: [
    {
      id: 'abcdefghij',
      hash: FINGERPRINT,
      role: 'operate',
      note: 'for the deploy script, née script',
      createdAt: 5,
      expiresAt: 6,
    },
  ],
  revokedTokens: [{ id: '0123456789', revokedAt: 7 }],
  settings: [{ name: 'cookie-name', value: 'walcast_position', changedAt: 5, by: 'node-1' }],
}

/** The text of the whole record with one field changed: `members.0.node` names it. */
function changed(path: string, value: unknown): string {
  const record = JSON.parse(formatTrust(WHOLE))
  const names = path.split('.')
  const last = names.pop() ?? ''
  let place = record
  for (const name of names) place = place[name]
  if (value === undefined) delete place[last]
  else place[last] = value
  return JSON.stringify(record)
}

test('a record reads as it was written', () => {
  assert.deepEqual(parseTrust(formatTrust(WHOLE)), WHOLE)
  assert.equal(formatTrust(parseTrust(formatTrust(WHOLE))), formatTrust(WHOLE))
  assert.deepEqual(parseTrust(formatTrust(emptyTrust(''))), emptyTrust(''))
})

test('entries in another order, twice or with unknown fields read as the same record', () => {
  const record = JSON.parse(formatTrust(WHOLE))
  const [member] = record.members
  const { address, ...rest } = member
  const shuffled = {
    more: 1,
    ...record,
    members: [
      { ...member, changedAt: 1 },
      { more: 2, address, ...rest },
    ],
  }
  assert.equal(formatTrust(parseTrust(JSON.stringify(shuffled))), formatTrust(WHOLE))
})

test('each field has a kind and a bound', () => {
  const texts = ['\u001b[2J', 'a\nb', 'a\u2028b', '\ud800', 7, null, [], {}]
  const times = [-1, 0.5, 2 ** 53, MAX_TRUST_TIME_MS + 1, '5', null, Number.NaN]
  const names = [...texts, '', 'x'.repeat(129), 'a b']
  const digests = [...texts, '', 'AB'.repeat(32), 'ab'.repeat(31), 'ab'.repeat(33)]
  const hostile: readonly (readonly [string, readonly unknown[]])[] = [
    ['format', [undefined, 0, 2, '1']],
    ['cluster', [...texts, 'x'.repeat(129)]],
    ['secrets.0.id', [...digests, undefined]],
    ['secrets.0.secret', [...texts, undefined, 'too short', 'x'.repeat(1025)]],
    ['secrets.0.createdAt', [...times, undefined]],
    ['secrets.0.endsAt', times],
    ['keks.0.id', [...digests, undefined]],
    ['keks.0.key', [...digests, undefined]],
    ['keks.0.createdAt', [...times, undefined]],
    ['members.0.fingerprint', [...digests, undefined]],
    ['members.0.node', [...names, undefined]],
    ['members.0.address', [...texts, undefined, 'host', 'user@host:80', 'host:99999', 'h:1/x']],
    ['members.0.addedAt', [...times, undefined]],
    ['members.0.changedAt', [...times, undefined]],
    ['members.0.endsAt', times],
    ['removedMembers.0.fingerprint', [...digests, undefined, FINGERPRINT]],
    ['removedMembers.0.node', [...texts, undefined, 'x'.repeat(129), 'a b']],
    ['removedMembers.0.removedAt', [...times, undefined]],
    ['tokens.0.id', [...names, undefined, 'abcdefghi', 'abcdefghijk']],
    ['tokens.0.hash', [...digests, undefined]],
    ['tokens.0.role', [...texts, undefined, 'root', 'constructor']],
    ['tokens.0.note', [...texts, undefined, 'x'.repeat(129), '\u202eabc', ' a']],
    ['tokens.0.createdAt', [...times, undefined]],
    ['tokens.0.expiresAt', times],
    ['revokedTokens.0.id', [...names, undefined, 'abcdefghij']],
    ['revokedTokens.0.revokedAt', [...times, undefined]],
    ['settings.0.name', [...names, undefined, 'x'.repeat(65)]],
    ['settings.0.value', [...texts, undefined, 'x'.repeat(257)]],
    ['settings.0.changedAt', [...times, undefined]],
    ['settings.0.by', [...names, undefined]],
    ['membersHorizon', [{ at: 1, key: FINGERPRINT }, 5, null]],
    ['tokensHorizon', [{ at: 1, key: 'abcdefghij' }, {}, []]],
    ...['secrets', 'keks', 'members', 'removedMembers', 'tokens', 'revokedTokens', 'settings'].map(
      (list) => [list, [undefined, null, {}, 'x', [5], [null], Array(1025).fill({})]] as const,
    ),
  ]
  for (const [path, values] of hostile)
    for (const value of values)
      assert.throws(() => parseTrust(changed(path, value)), Error, `${path}: ${String(value)}`)
})

/** What a mistake makes of values. */
const NO_JSON = fc.constantFrom('', 'undefined', 'NaN', '[object Object]', '1,2')

test('no text makes the reader do anything but read or refuse', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), NO_JSON), (text) => {
      try {
        parseTrust(text)
      } catch (error) {
        assert.ok(error instanceof Error && !(error instanceof TypeError), String(error))
      }
    }),
  )
  const deep = `{"format":1,"cluster":${'['.repeat(1000)}${']'.repeat(1000)}}`
  assert.throws(() => parseTrust(deep), /cluster/)
  assert.throws(() => parseTrust('x'.repeat(MAX_TRUST_BYTES + 1)), /too many/)
})

test('a changed byte is refused, or reads as a record within the bounds', () => {
  const text = formatTrust(WHOLE)
  fc.assert(
    fc.property(fc.nat({ max: text.length - 1 }), fc.integer({ min: 32, max: 126 }), (at, code) => {
      const other = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
      try {
        const record = parseTrust(other)
        assert.deepEqual(parseTrust(formatTrust(record)), record)
      } catch (error) {
        assert.ok(error instanceof Error && !(error instanceof TypeError), String(error))
      }
    }),
  )
})

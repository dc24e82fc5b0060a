import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_ELECTION_BYTES } from '../../../../src/roles/election/leaseService.ts'
import {
  formatLead,
  type LeadContent,
  MAX_LEAD_BYTES,
  MAX_TTL_MS,
  parseLead,
} from '../../../../src/roles/election/s3/leadObject.ts'

const LEAD: LeadContent = {
  ...{ value: 'a', holder: 'node-a.0f.1', ttlMs: 5000, count: 7, nonce: '0'.repeat(32) },
}

test('what was written is read', () => {
  fc.assert(
    fc.property(
      fc.record(
        {
          value: fc.string({ unit: 'binary', maxLength: 2000 }),
          holder: fc.stringMatching(/^[\w.-]{0,200}$/),
          ttlMs: fc.integer({ min: 1, max: MAX_TTL_MS }),
          count: fc.integer({ min: 0 }),
          nonce: fc.stringMatching(/^[0-9a-f]{32}$/),
        },
        { noNullPrototype: true },
      ),
      (content) => assert.deepEqual(parseLead(formatLead(content)), content),
    ),
  )
})

test('the largest one is within its bound', () => {
  const largest = {
    ...{ ...LEAD, value: '\u0001'.repeat(MAX_ELECTION_BYTES), holder: 'x'.repeat(200) },
    ...{ ttlMs: MAX_TTL_MS, count: 2 ** 52 },
  }
  assert.ok(Buffer.byteLength(formatLead(largest)) <= MAX_LEAD_BYTES)
  assert.deepEqual(parseLead(formatLead(largest)), largest)
})

test('anything else is no lead', () => {
  const written = (change: object) => JSON.stringify({ format: 1, ...LEAD, ...change })
  assert.ok(parseLead(written({ later: 'field' })))
  for (const text of [
    ...['', '{', 'null', '1', '[]', '{}', '{"format":1}', '<html>', JSON.stringify(LEAD)],
    written({ format: 2 }),
    written({ value: undefined }),
    written({ value: 1 }),
    written({ value: 'x'.repeat(MAX_ELECTION_BYTES + 1) }),
    written({ holder: 'a b' }),
    written({ holder: null }),
    written({ holder: 'x'.repeat(201) }),
    written({ ttlMs: 0 }),
    written({ ttlMs: 1.5 }),
    written({ ttlMs: '5000' }),
    written({ ttlMs: MAX_TTL_MS + 1 }),
    written({ count: -1 }),
    written({ count: 2 ** 53 }),
    written({ nonce: 'x' }),
  ])
    assert.equal(parseLead(text), undefined, text.slice(0, 200))
  fc.assert(
    fc.property(fc.json(), (text) => {
      parseLead(text)
    }),
  )
})

/** What automatic failover cannot do, as causes: which, and in which words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { electionCauses } from '../../src/health/electionCauses.ts'
import {
  AGREED,
  DECLINES,
  FOLLOWS,
  FOLLOWS_ALONE,
  LEADS,
  OVER,
} from '../support/electionReports.ts'

const codes = (report: Parameters<typeof electionCauses>[0]) =>
  electionCauses(report).map(({ code }) => code)

test('nothing is told while all is well, without elections, and of one call that failed', () => {
  for (const report of [undefined, LEADS, FOLLOWS, { ...FOLLOWS_ALONE, awayForMs: 999 }])
    assert.deepEqual(codes(report), [])
})

test('each state has its causes', () => {
  assert.deepEqual(codes(AGREED), ['lock-service-away'])
  assert.deepEqual(codes(FOLLOWS_ALONE), ['lock-service-away'])
  assert.deepEqual(codes(OVER), ['lease-over', 'lock-service-away'])
  assert.deepEqual(codes({ ...LEADS, validForMs: 0 }), ['lease-over'])
  assert.deepEqual(codes(DECLINES), ['not-promoted'])
})

test('what was seen of the lease before the service went away is no reason of now', () => {
  assert.deepEqual(codes({ ...DECLINES, awayForMs: 5000, awayBecause: 'x' }), ['lock-service-away'])
})

test('the texts say what it means here, and what to do', () => {
  const text = (report: Parameters<typeof electionCauses>[0]) =>
    electionCauses(report)
      .map((cause) => cause.text)
      .join('\n')
  assert.match(text(AGREED), /not answered for 12 s .*ECONNREFUSED.*as long as every member agrees/)
  assert.match(text(FOLLOWS_ALONE), /this node is not promoted by itself meanwhile; repair it$/)
  assert.match(
    text({ ...AGREED, isByAgreement: false }),
    /goes on until its lease ends, then only if every member agrees; repair it$/,
  )
  assert.match(text(OVER), /not every member agrees \(node-b: no answer\)\. It leads again as soon/)
  assert.match(text({ ...LEADS, validForMs: 0 }), /its lease is over; another node may have it\./)
  assert.match(text(DECLINES), /not promoted: 12 transactions behind node-b\. .*promote --force$/)
  const [{ awaySeconds }] = electionCauses(AGREED)
  assert.equal(awaySeconds, 12)
})

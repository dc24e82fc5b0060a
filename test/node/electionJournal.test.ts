/** What the audit log gets of automatic failover: each change once, whatever is retried. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ElectionReport } from '../../src/api/electionReport.ts'
import { ElectionTurns } from '../../src/node/electionJournal.ts'
import {
  AGREED,
  DECLINES,
  FOLLOWS,
  FOLLOWS_ALONE,
  LEADS,
  OVER,
} from '../support/electionReports.ts'

/** Reports of one second after another, and what is told of each. */
function told(...reports: readonly ElectionReport[]): string[][] {
  const turns = new ElectionTurns()
  return reports.map((report, second) =>
    turns.look(report, second * 1000).map(({ outcome, detail }) => `${outcome}: ${detail}`),
  )
}

const IS_AWAY = 'failed: the lock service is away: etcd does not answer: ECONNREFUSED'
const IS_BACK = 'done: the lock service answers again'

test('a service that is away is told once, and that it is back', () => {
  const later = { ...FOLLOWS_ALONE, awayForMs: 60_000, awayBecause: 'another reason' }
  assert.deepEqual(told(FOLLOWS, FOLLOWS_ALONE, later, FOLLOWS, FOLLOWS), [
    ...[[], [IS_AWAY], [], [IS_BACK], []],
  ])
})

test('one call that failed is no news', () => {
  assert.deepEqual(told(LEADS, { ...LEADS, awayForMs: 300, awayBecause: 'x' }, LEADS), [[], [], []])
})

test('an agreement is told once in an outage, however often it is renewed', () => {
  const between = { ...AGREED, isByAgreement: false, validForMs: 900 }
  const agrees = 'done: every member agrees that this leader goes on without the lock service'
  assert.deepEqual(told(LEADS, AGREED, between, AGREED, LEADS, AGREED), [
    ...[[], [IS_AWAY, agrees], [], [], [IS_BACK], [IS_AWAY, agrees]],
  ])
})

test('a lease that is over is told with who did not agree, and that it is back', () => {
  assert.deepEqual(told(LEADS, OVER, OVER, LEADS), [
    [],
    [IS_AWAY, 'failed: the lease of this leader is over: nobody may write here; node-b: no answer'],
    [],
    [IS_BACK, 'done: this leader may write again'],
  ])
  // The change of role has an entry of its own.
  assert.deepEqual(told({ ...LEADS, validForMs: 0 }, FOLLOWS)[1], [])
})

test('why a node was not promoted is told when it lasts, and again when it is another', () => {
  const what = 'failed: no node holds the lease, and this one was not promoted'
  const behind = `${what}: 12 transactions behind node-b`
  const waits = { ...DECLINES, notPromoted: 'node-b goes first' }
  assert.deepEqual(told(FOLLOWS, waits, FOLLOWS), [[], [], []])
  assert.deepEqual(told(FOLLOWS, waits, DECLINES, DECLINES, FOLLOWS, DECLINES, DECLINES), [
    ...[[], [], [behind], [], [], [], [behind]],
  ])
})

test('however reports change, entries have a bound: four in each second', () => {
  const any = fc.constantFrom(LEADS, FOLLOWS, FOLLOWS_ALONE, AGREED, OVER, DECLINES)
  fc.assert(
    fc.property(fc.array(any, { maxLength: 40 }), (reports) => {
      const all = told(...reports)
      for (const each of all) assert.ok(each.length <= 4)
      // Nothing is told of what has not changed.
      for (const [i, each] of all.entries())
        if (i > 1 && reports[i] === reports[i - 1] && reports[i] === reports[i - 2])
          assert.deepEqual(each, [])
    }),
  )
})

test('reasons that change each second are told once a minute', () => {
  const reports = Array.from({ length: 120 }, (_, second) => ({
    ...DECLINES,
    notPromoted: `${second} transactions behind node-b`,
  }))
  assert.equal(told(...reports).flat().length, 2)
})

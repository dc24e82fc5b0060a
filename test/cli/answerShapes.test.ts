/**
 * Any answer that passes the check of its shape can be printed; any other is refused with a reason.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as shapes from '../../src/cli/answerShapes.ts'
import { auditTable } from '../../src/cli/audit.ts'
import { demotedText } from '../../src/cli/demote.ts'
import { lagText } from '../../src/cli/lag.ts'
import { promotedText, prospects } from '../../src/cli/promote.ts'
import { jsonLine } from '../../src/cli/queryCommand.ts'
import { count, fields, listOf, type Shape, text, WHOLE } from '../../src/cli/shape.ts'
import { statusText } from '../../src/cli/status.ts'
import { switchedText } from '../../src/cli/switchover.ts'
import { describe } from '../../src/cli/verify.ts'
import { agreementOf } from '../../src/cli/verifyVerdict.ts'
import { DECLINES } from '../support/electionReports.ts'

const PLACE = { node: 'a', address: '10.0.0.1:8470' }
const ENTRY = {
  ...{ at: '2026-11-29T00:00:00Z', node: 'a', action: 'promote', outcome: 'done' },
  ...{ role: 'leader', epoch: 1, txid: 2, by: 'me@here', detail: 'why' },
}
const PERCENTILES = { p50Ms: 1, p95Ms: 2, p99Ms: 3, maxMs: 4 }
const CAUSE = { code: 'slow-link', text: 'it is slow' }

/** Answers of nodes with all optional fields, and how each is shown. */
const CASES: Readonly<
  Record<string, { answer: object; shape: Shape; show: (answer: never) => unknown }>
> = {
  status: {
    shape: shapes.STATUS,
    show: statusText,
    answer: {
      ...{
        node: 'a',
        cluster: 'c',
        db: '/a.db',
        role: 'replica',
        state: 'streaming',
        epoch: 1,
        txid: 2,
      },
      ...{
        checksum: '0123456789abcdef',
        pageSize: 4096,
        pages: 3,
        walBytes: 0,
        leader: 'b',
        follows: 'c',
      },
      replicas: [
        {
          node: 'r',
          address: 'x:1',
          txid: null,
          lagMs: 0,
          connected: true,
          state: 's',
          lastSeen: '',
          via: 'b',
        },
      ],
      lag: { lagMs: 0.5, txidLag: 0, connected: true },
      causes: [CAUSE],
      sync: { remaining: 1, total: 2 },
      walFileBytes: 1,
      backup: {
        places: [
          {
            ...{ place: '/mnt/backups', isArchiving: true, behindMs: 5 },
            restorableUntil: { position: '1-2', at: '2026-11-29T00:00:00Z' },
            lastError: { code: 'X', message: 'y' },
          },
        ],
      },
      diverged: [
        { name: 'n', position: '1-2', rows: { removed: 1, changed: 2, added: 0 } },
        { name: 'n', position: '1-2', state: 'not compared', detail: 'why', isDamaged: true },
      ],
      scrub: {
        background: true,
        rotten: [3],
        rottenPages: 1,
        running: { page: 1, pages: 2 },
        lastPassAt: 't',
      },
      members: [PLACE],
      application: { url: 'http://a:1', state: 'up', accepts: true, detail: 'd', held: 0 },
      putBack: { at: 't', position: '1-2', reason: 'r' },
      failedReads: {
        ...{ answered: 1, failed: 0, away: 0, limited: 2, large: 0 },
        paths: [{ path: '/a', count: 1 }],
      },
      election: DECLINES,
      roleSince: 't',
      audit: [ENTRY],
      lastError: { code: 'WALCAST_X', message: 'm' },
      version: '1.2.3',
    },
  },
  lag: {
    shape: shapes.LAG,
    show: lagText,
    answer: {
      ...{
        role: 'replica',
        connected: true,
        txid: 1,
        leaderTxid: 2,
        txidLag: 1,
        bytesLag: 3,
        lagMs: 4,
      },
      ...{ windowSeconds: 60, count: 5, causes: [CAUSE], ...PERCENTILES },
      stages: {
        noticed: PERCENTILES,
        sent: PERCENTILES,
        received: PERCENTILES,
        applied: PERCENTILES,
      },
    },
  },
  audit: {
    shape: shapes.AUDIT,
    show: ({ entries }: { entries: never[] }) => auditTable(entries),
    answer: { entries: [ENTRY] },
  },
  promote: {
    shape: shapes.PROMOTED,
    show: (answer: never) => promotedText(answer) + prospects(answer),
    answer: {
      ...{
        ...PLACE,
        role: 'leader',
        epoch: 2,
        txid: 3,
        from: { epoch: 1, txid: 2 },
        dryRun: false,
      },
      ...{
        reasons: ['why not'],
        lost: { transactions: null, detail: 'd' },
        unheard: [PLACE],
        tookMs: 1.5,
      },
      oldLeader: { ...PLACE, outcome: 'refused', detail: 'no' },
    },
  },
  demote: {
    shape: shapes.DEMOTED,
    show: demotedText,
    answer: { node: 'a', role: 'replica', epoch: 1, txid: 2, leader: '', tookMs: 3 },
  },
  switchover: {
    shape: shapes.SWITCHED,
    show: switchedText,
    answer: {
      ...{ from: PLACE, to: PLACE, epoch: 1, txid: 2, pauseMs: 3, heldWrites: 4, tookMs: 5 },
      stages: {
        ...{
          quietMs: 1,
          fenceMs: 1,
          drainMs: 1,
          confirmMs: 1,
          recordMs: 1,
          takeOverMs: 1,
          followMs: 1,
        },
        applicationMs: 1,
      },
    },
  },
  scrub: {
    shape: shapes.SCRUBBED,
    show: describe,
    answer: {
      ...{
        node: 'a',
        cluster: 'c',
        role: 'leader',
        epoch: 1,
        txid: 2,
        checksum: 'x',
        pages: 3,
        pageSize: 4096,
      },
      ...{
        pagesRead: 3,
        direct: true,
        whole: true,
        rotten: [1],
        rottenPages: 2,
        unexplained: 1,
        seconds: 0.1,
      },
    },
  },
  positions: {
    shape: shapes.POSITIONS,
    show: (positions: never) =>
      agreementOf([
        { address: 'a:1', positions },
        { address: 'b:1', positions },
      ]),
    answer: {
      ...{ node: 'a', cluster: 'c', role: 'leader', state: 's', pageSize: 4096 },
      positions: [{ epoch: 1, txid: 2, checksum: 'x' }],
    },
  },
}

/** Every place in a value, as its path of keys. */
function placesIn(value: unknown, keys: readonly string[] = []): string[][] {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [[...keys], ...inner.flatMap(([key, each]) => placesIn(each, [...keys, key]))]
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by
  const copy = Array.isArray(value) ? [...value] : { ...Object(value) }
  copy[key] = replaced(copy[key], rest, by)
  if (rest.length === 0 && by === undefined) delete copy[key]
  return copy
}

const BY_DATABASE = Object.fromEntries(
  ['status', 'lag'].map((name) => [
    `${name} by database`,
    { ...CASES[name], answer: withDatabases(name, ['main', 'other']) },
  ]),
)

for (const [name, { answer, shape, show }] of Object.entries({ ...CASES, ...BY_DATABASE })) {
  test(`${name}: every answer that passes can be shown`, () => {
    assert.equal(shape(answer, WHOLE), undefined)
    show(answer as never)
    const places = placesIn(answer)
    const anything = fc.oneof(
      fc.constant(undefined),
      fc.constantFrom(...placesValues(answer)),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(fc.constantFrom(...places), anything, (place, value) => {
        const given = JSON.parse(JSON.stringify(replaced(answer, place, value)) ?? 'null')
        const wrong = shape(given, WHOLE)
        if (wrong === undefined) show(given as never)
        else assert.match(wrong, /^[\w.[\]]+ is (not .+|missing)$/)
      }),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        if (shape(value, WHOLE) === undefined) show(value as never)
      }),
    )
  })
}

/** Values that are valid elsewhere in the answer. */
function placesValues(answer: object): unknown[] {
  return placesIn(answer).map((keys) =>
    keys.reduce<unknown>((value, key) => Object(value)[key], answer),
  )
}

const STEERING = 'a\u001b[2J\u009b2J\u202e\u200b\u2028\r\n\u007f\ud800'

for (const [name, { answer, shape, show }] of Object.entries(CASES)) {
  if (name === 'positions') continue
  test(`${name}: no text of an answer steers the terminal`, () => {
    for (const place of placesIn(answer)) {
      const given = replaced(answer, place, STEERING)
      if (shape(given, WHOLE) !== undefined) continue
      const text = String(show(given as never))
      assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Cs}]/u, place.join('.'))
      assert.doesNotMatch(text, /\n\ufffd/u, place.join('.'))
    }
    const asJson = jsonLine({ ...answer, node: STEERING })
    assert.deepEqual(JSON.parse(asJson), { ...answer, node: STEERING })
    assert.doesNotMatch(asJson.slice(0, -1), /[\p{Cc}\p{Cf}\p{Zl}\p{Cs}]/u)
  })
}

test('texts and lists have bounds', () => {
  assert.equal(text('x'.repeat(8192), WHOLE), undefined)
  assert.equal(text('x'.repeat(8193), WHOLE), 'it is not a text')
  assert.equal(listOf(count)(Array(10_000).fill(1), WHOLE), undefined)
  assert.equal(listOf(count)(Array(10_001).fill(1), WHOLE), 'it is not a list')
})

test('an error names the wrong field; unknown fields are allowed', () => {
  const shape = fields({ a: fields({ b: count }) }, { c: text })
  for (const [value, wrong] of [
    [{ a: { b: 1 }, d: 1 }, undefined],
    [{ a: { b: 1 }, c: 'x' }, undefined],
    [{ a: { b: -1 } }, 'a.b is not a count'],
    [{ a: {} }, 'a.b is missing'],
    [{ a: { b: 1 }, c: null }, 'c is not a text'],
    [[], 'it is not an object'],
    [null, 'it is not an object'],
    [{ a: JSON.parse('{"__proto__":{"b":1}}') }, 'a.b is missing'],
  ] as const)
    assert.equal(shape(value, WHOLE), wrong, JSON.stringify(value))
})

test('status shows WAL use and file size, and why rows kept aside are not counted', () => {
  const { answer } = CASES['status']
  const shown = statusText({
    ...answer,
    walBytes: 4 * 2 ** 20,
    walFileBytes: 8.6 * 2 ** 20,
  } as never)
  assert.match(shown, /^wal +4\.0 MiB in use, file 8\.6 MiB$/m)
  assert.match(statusText({ ...answer, walFileBytes: undefined } as never), /^wal +0 B in use$/m)
  assert.match(
    shown,
    new RegExp(
      '^kept aside +/a\\.db-walcast/diverged/n, at 1-2, not compared: why; ' +
        'the copy was damaged, so these rows may be wrong$',
      'm',
    ),
  )
  assert.match(shown, /at 1-2, 1 rows that the leader lacks, 2 that differ there$/m)
})

test('status shows automatic failover in one line', () => {
  const shown = statusText(CASES['status'].answer as never)
  const line = 'no node holds the lease (node-a had it last); not promoted: 12 transactions behind'
  assert.ok(
    shown.split('\n').some((each) => each.startsWith(`failover      ${line}`)),
    shown,
  )
})

test('status shows until when each place of the archive restores, and what it waits for', () => {
  const { answer } = CASES['status']
  const place = { place: '/mnt/backups', isArchiving: true }
  const restorableUntil = { position: '1-105', incarnation: 'a', at: '2026-11-30T13:00:00.000Z' }
  const until = '/mnt/backups: restorable until 1-105 of 2026-11-30T13:00:00.000Z'
  const lastError = { code: 'WRITE_FAILED', message: 'no \u001b[31m' }
  const failed = '; WRITE_FAILED: no \ufffd[31m'
  const resting = { ...place, isArchiving: false, restorableUntil }
  const level = { ...place, restorableUntil, behindMs: 0 }
  for (const [report, line] of [
    [place, '/mnt/backups: nothing to restore yet'],
    [{ ...place, restorableUntil, behindMs: 0 }, `${until}, level`],
    [{ ...place, restorableUntil, behindMs: 2500 }, `${until}, 2.5 s behind`],
    [{ ...place, isArchiving: false, restorableUntil }, `${until}, another node archives`],
    [{ ...place, restorableUntil, behindMs: 2500, lastError }, `${until}, 2.5 s behind${failed}`],
    [{ ...place, restorableUntil, behindMs: 0, lastError }, `${until}${failed}`],
    [{ ...place, lastError }, `/mnt/backups: nothing to restore yet${failed}`],
    [{ ...resting, archivist: 'node-b' }, `${until}, node-b archives`],
    [{ ...resting, isAwaitingReplica: true }, `${until}, waiting for a replica to archive`],
    [{ ...level, proven: { position: '1-104' } }, `${until}, level, proven until 1-104`],
    [{ ...level, checked: { position: '1-9' } }, `${until}, level, files checked until 1-9`],
    [
      { ...level, drillFailure: lastError },
      `${until}, level; the last drill failed${failed.replace(';', ':')}`,
    ],
  ] as const) {
    const seen = { ...answer, backup: { places: [report], logBytes: 0, queueBytes: 0 } }
    assert.equal(shapes.STATUS(seen, WHOLE), undefined)
    const shown = statusText(seen as never).split('\n')
    const lines = shown.flatMap((each) => /^archive +(.*)$/.exec(each)?.[1] ?? [])
    assert.deepEqual(lines, [line])
  }
})

/** The answer of `name` with its fields under each of these names as well. */
function withDatabases(name: string, names: readonly string[]): object {
  const { answer } = CASES[name]
  return { ...answer, databases: Object.fromEntries(names.map((each) => [each, answer])) }
}

for (const [name, { shape, show }] of Object.entries(CASES).filter(([each]) =>
  ['status', 'lag'].includes(each),
)) {
  test(`${name}: an older node names no databases, a database that is none is refused`, () => {
    const { answer } = CASES[name]
    assert.equal(shape(answer, WHOLE), undefined)
    assert.equal(shape(withDatabases(name, ['main']), WHOLE), undefined)
    for (const [databases, wrong] of [
      [[], 'databases is not an object'],
      [{ main: 1 }, 'databases[0] is not an object'],
      [{ 'a\u001b[31m': { ...answer, txid: -1 } }, 'databases[0].txid is not a count'],
    ] as const)
      assert.equal(shape({ ...answer, databases }, WHOLE), wrong)
  })

  test(`${name}: of one database as without a name, of several each under its name`, () => {
    const { answer } = CASES[name]
    assert.equal(show(withDatabases(name, ['main']) as never), show(answer as never))
    const text = String(show(withDatabases(name, ['main', 'a\u001b[31m']) as never))
    assert.match(text, /^database main$[\s\S]*^database a\ufffd\[31m$/m)
  })
}

test('verify shows rotten pages in a row as a range', () => {
  const { answer } = CASES['scrub']
  const rotten = [3, 7, 8, 9, 11, 12]
  assert.match(
    describe({ ...answer, rotten, rottenPages: 6 } as never),
    /6 rotten: 3, 7-9, 11-12 \(/,
  )
})

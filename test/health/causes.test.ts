/** From measurements to causes: which are told, and in which words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackupReport } from '../../src/api/backupStatus.ts'
import { CAUSE_CODES, type Cause } from '../../src/api/cause.ts'
import { applicationCauses } from '../../src/health/applicationCauses.ts'
import { archiveCauses } from '../../src/health/archiveCauses.ts'
import { electionCauses } from '../../src/health/electionCauses.ts'
import type { LinkMeasures } from '../../src/health/feedCauses.ts'
import { type LeaderMeasures, leaderCauses } from '../../src/health/leaderCauses.ts'
import { type ReplicaMeasures, replicaCauses } from '../../src/health/replicaCauses.ts'
import { snapshotCauses } from '../../src/health/snapshotCauses.ts'
import { Rate, Silence, Streak } from '../../src/health/streak.ts'
import { DECLINES, OVER } from '../support/electionReports.ts'

const MIB = 1024 * 1024

const WELL: LeaderMeasures = {
  walBytes: MIB,
  readers: [],
  links: [],
  away: [],
  slowPasses: 0,
  passMs: 10,
  pauseMs: 2,
  stuckMs: 0,
}

const ERROR = { code: 'WALCAST_STORE_FAILED', message: 'it has no room' }
const ARCHIVE: BackupReport = {
  logBytes: 0,
  queueBytes: 0,
  places: [
    { place: '/a', isArchiving: true, isStalled: true, behindMs: 61_400, lastError: ERROR },
    { place: '/b', isArchiving: true, isStalled: false, behindMs: 0, isProofOverdue: true },
    { place: '/c', isArchiving: true, isStalled: false, behindMs: 900, isProofOverdue: false },
  ],
}

const LEVEL: ReplicaMeasures = {
  walBytes: MIB,
  readers: [],
  links: [],
  away: [],
  follows: 'node-a',
  isRelayed: false,
  connected: true,
  disconnectedMs: 0,
  lastError: '',
  downMs: 0,
  isFirstCopy: false,
  isReplacing: false,
  pageSize: 4096,
  leaderPageSize: 8192,
  lagMs: 0,
  behindMs: 0,
  queuedBytes: 0,
  queuedMs: 0,
  appliedPerSecond: 0,
  applyShare: 0,
  sourceStaleMs: 0,
}

const READER = { pid: 42, process: 'python3', heldMs: 12_345 }
const LINK: LinkMeasures = {
  node: 'b',
  bufferedBytes: 2 * MIB,
  behindMs: 4000,
  takenPerSecond: 300_000,
  downMs: 0,
  lagMs: 5000,
}
const AWAY = { node: 'b', epoch: 2, txid: 17, lastSeen: '2026-01-01T00:00:00.000Z', awayMs: 60_000 }

const codes = (causes: readonly Cause[]) => causes.map(({ code }) => code)

const LEADER_CASES: readonly [string, Partial<LeaderMeasures>, readonly string[]][] = [
  ['all is well', {}, []],
  ['a reader', { readers: [READER] }, ['long-reader']],
  ['two readers', { readers: [READER, { ...READER, pid: 43 }] }, ['long-reader', 'long-reader']],
  ['a link that takes little', { links: [LINK] }, ['slow-link']],
  ['a link that is down', { links: [{ ...LINK, takenPerSecond: 0, downMs: 5000 }] }, ['link-down']],
  [
    'a link that is down, and nothing to send',
    { links: [{ ...LINK, behindMs: 0, downMs: 5000 }] },
    ['link-down'],
  ],
  ['a replica behind for a moment', { links: [{ ...LINK, behindMs: 2000 }] }, []],
  ['bytes that wait, and no lag', { links: [{ ...LINK, behindMs: 0 }] }, []],
  ['a replica that is away', { away: [AWAY] }, ['replica-away']],
  ['one that went away just now', { away: [{ ...AWAY, awayMs: 1000 }] }, []],
  ['one slow checkpoint', { slowPasses: 1, passMs: 900 }, []],
  ['slow checkpoints in a row', { slowPasses: 3, passMs: 900 }, ['leader-disk']],
  ['a WAL that is stuck', { stuckMs: 4000 }, ['leader-disk']],
  ['a WAL that was stuck for a moment', { stuckMs: 1000 }, []],
  ['slow and stuck is one cause', { slowPasses: 4, passMs: 900, stuckMs: 9000 }, ['leader-disk']],
  [
    'several at once',
    { readers: [READER], links: [LINK], away: [{ ...AWAY, node: 'c' }] },
    ['long-reader', 'slow-link', 'replica-away'],
  ],
]

for (const [name, given, expected] of LEADER_CASES)
  test(`leader: ${name}`, () =>
    assert.deepEqual(codes(leaderCauses({ ...WELL, ...given })), expected))

const BEHIND = { lagMs: 5000, behindMs: 4000 }

const REPLICA_CASES: readonly [string, Partial<ReplicaMeasures>, readonly string[]][] = [
  ['all is well', {}, []],
  ['a reader', { readers: [READER] }, ['long-reader']],
  ['behind with nothing to apply', BEHIND, ['slow-link']],
  ['behind for a moment', { ...BEHIND, behindMs: 1000 }, []],
  ['a little behind for long', { lagMs: 400, behindMs: 60_000 }, []],
  ['behind with a queue', { ...BEHIND, queuedBytes: MIB, queuedMs: 4000 }, ['apply-bound']],
  [
    'behind with a queue for a moment',
    { ...BEHIND, queuedBytes: MIB, queuedMs: 1000 },
    ['slow-link'],
  ],
  ['behind and always applying', { ...BEHIND, applyShare: 0.95 }, ['apply-bound']],
  ['always applying and level', { applyShare: 0.95 }, []],
  ['a first copy', { ...BEHIND, isFirstCopy: true }, []],
  ['a copy with pages of another size', { ...BEHIND, isReplacing: true }, ['page-size']],
  ['not connected', { connected: false, disconnectedMs: 4000, ...BEHIND }, ['leader-away']],
  [
    'a secret that ended',
    { connected: false, disconnectedMs: 4000, lastError: 'WALCAST_SECRET_ENDED', ...BEHIND },
    ['not-a-member'],
  ],
  [
    'a key that was removed',
    { connected: false, disconnectedMs: 4000, lastError: 'WALCAST_KEY_REMOVED', ...BEHIND },
    ['not-a-member'],
  ],
  [
    'a leader of another cluster',
    { connected: false, disconnectedMs: 4000, lastError: 'WALCAST_WRONG_CLUSTER', ...BEHIND },
    ['wrong-cluster'],
  ],
  ['a link that is down', { downMs: 5000, ...BEHIND }, ['link-down']],
  [
    'a link that is down, at a relay',
    { downMs: 5000, isRelayed: true, sourceStaleMs: 8000 },
    ['link-down'],
  ],
  ['not connected for a moment', { connected: false, disconnectedMs: 1000, ...BEHIND }, []],
  ['a full disk, whatever else', { lastError: 'WALCAST_DISK_FULL', ...BEHIND }, ['replica-disk']],
  [
    'a relay that is behind',
    { isRelayed: true, sourceStaleMs: 8000, ...BEHIND },
    ['source-behind'],
  ],
  ['a relay that is level', { isRelayed: true, sourceStaleMs: 300 }, []],
  ['the leader is never behind itself', { sourceStaleMs: 8000 }, []],
  ['a relay with a replica that is away', { away: [AWAY] }, ['replica-away']],
  ['a relay with a slow link', { links: [LINK] }, ['slow-link']],
]

for (const [name, given, expected] of REPLICA_CASES)
  test(`replica: ${name}`, () =>
    assert.deepEqual(codes(replicaCauses({ ...LEVEL, ...given })), expected))

test('a replica whose --leader is no node says so', () => {
  const lastError = 'WALCAST_NODE_ANSWER'
  const [{ text }] = replicaCauses({ ...LEVEL, connected: false, disconnectedMs: 9000, lastError })
  assert.match(text, /^not connected to node-a .*: correct --leader; this node keeps trying$/)
})

test('the text has the details and is one line', () => {
  const all = [
    ...leaderCauses({ ...WELL, readers: [READER], links: [LINK], away: [AWAY], stuckMs: 5000 }),
    ...leaderCauses({ ...WELL, slowPasses: 3, passMs: 812.4, pauseMs: 300 }),
    ...replicaCauses({
      ...LEVEL,
      connected: false,
      disconnectedMs: 9000,
      lastError: 'WALCAST_STARTING',
    }),
    ...replicaCauses({
      ...LEVEL,
      ...BEHIND,
      queuedBytes: 3 * MIB,
      queuedMs: 4000,
      appliedPerSecond: 2 * MIB,
    }),
    ...replicaCauses({ ...LEVEL, isRelayed: true, sourceStaleMs: 8000 }),
    ...replicaCauses({ ...LEVEL, isRelayed: true, sourceStaleMs: 1e12 }),
    ...replicaCauses({
      ...LEVEL,
      connected: false,
      disconnectedMs: 9000,
      lastError: 'WALCAST_DISK_FULL',
    }),
    ...replicaCauses({ ...LEVEL, downMs: 5000 }),
    ...leaderCauses({ ...WELL, links: [{ ...LINK, downMs: 5000 }] }),
    ...leaderCauses({ ...WELL, away: [{ ...AWAY, epoch: null, txid: null }] }),
    ...replicaCauses({ ...LEVEL, isReplacing: true }),
    ...replicaCauses({
      ...LEVEL,
      connected: false,
      disconnectedMs: 9000,
      lastError: 'WALCAST_SECRET_ENDED',
    }),
    ...replicaCauses({
      ...LEVEL,
      connected: false,
      disconnectedMs: 9000,
      lastError: 'WALCAST_WRONG_CLUSTER',
    }),
    ...applicationCauses({
      url: 'http://127.0.0.1:3000',
      state: 'down',
      accepts: false,
      detail: 'ECONNREFUSED',
      held: 2,
    }),
  ]
  const kept = [
    ...electionCauses(OVER),
    ...electionCauses(DECLINES),
    ...snapshotCauses({ place: '/s', everyMs: 60_000, isOverdue: true, sinceMs: 120_000 }),
    ...archiveCauses(ARCHIVE),
  ]
  assert.deepEqual(new Set(codes([...all, ...kept])), new Set(CAUSE_CODES))
  const texts = all.map(({ text }) => text)
  for (const { text } of [...all, ...kept])
    assert.doesNotMatch(text, /[\n\r]|undefined|NaN|Infinity/)
  const [
    reader,
    link,
    away,
    stuck,
    slow,
    leaderAway,
    apply,
    source,
    never,
    disk,
    down,
    down2,
    unknown,
  ] = texts
  assert.match(reader, /^process 42 \(python3\) .* at least 12 s: the WAL \(1\.0 MiB\)/)
  assert.match(
    link,
    /^replica b has been behind for 4 s: .* takes only 293\.0 KiB\/s, 2\.0 MiB wait/,
  )
  assert.match(away, /^replica b has been away for 60 s, last seen at 2-17; .*walcast forget b$/)
  assert.match(stuck, /no other process reads/)
  assert.match(slow, /took 812 ms, writers were stopped for 300 ms/)
  assert.match(leaderAway, /^not connected to node-a for 9 s \(WALCAST_STARTING\)/)
  assert.match(disk, /^this node cannot write what it receives \(WALCAST_DISK_FULL\); make room/)
  assert.match(apply, /3\.0 MiB are received and not applied, 2\.0 MiB\/s get applied/)
  assert.match(source, /^the replica node-a.* 8 s ago/)
  assert.match(down, /^nothing has come from node-a for 5 s, though the connection is open/)
  assert.match(down2, /^nothing has come from replica b for 5 s, though its connection is open/)
  assert.match(unknown, /^replica b has been away for 60 s, its position is not known; /)
  const [wrong = '', application = ''] = texts.slice(-2)
  assert.match(application, /^the application at .* is down \(ECONNREFUSED\); check that it runs/)
  assert.match(
    wrong,
    /^node-a leads another cluster .* move FILE and FILE-walcast away and start it again$/,
  )
  assert.match(never, /has not heard of the leader yet/)
  assert.deepEqual(all[0], {
    code: 'long-reader',
    text: reader,
    pid: 42,
    process: 'python3',
    ageSeconds: 12,
    walBytes: MIB,
  })
})

test('causes of one kind are bounded, and the last one counts the rest', () => {
  const away = Array.from({ length: 300 }, (_, i) => ({ ...AWAY, node: `n${i}` }))
  const causes = leaderCauses({ ...WELL, away })
  assert.equal(causes.length, 16)
  assert.match(causes[15].text, /\(and 284 more like this\)$/)
})

test('one look that is false ends a streak', () => {
  const streak = new Streak()
  const seen = [true, true, true, false, true, true].map((isSo, i) => streak.look(isSo, i * 1000))
  assert.deepEqual(seen, [0, 1000, 2000, 0, 0, 1000])
})

test('a silence counts from twice the usual on, and a link once as silent is not down', () => {
  const silence = new Silence()
  const looks = (...all: number[]) => all.map((ms) => silence.look(ms))
  assert.deepEqual(looks(900, 1900, 2900, 3900, 4900), [0, 0, 0, 3900, 4900])
  assert.deepEqual(looks(200, 1200, 2200, 3200, 4200, 5200), [0, 0, 0, 0, 0, 0], 'it takes so long')
  assert.deepEqual(looks(...Array.from({ length: 100 }, () => 500)).at(-1), 0)
  assert.deepEqual(looks(1500, 2500, 3500), [0, 0, 3500], 'what was long ago is forgotten')
})

test('a rate covers the last looks, and begins again with its counter', () => {
  const rate = new Rate()
  assert.equal(rate.look(100, 0), 0)
  assert.equal(rate.look(600, 1000), 500)
  for (let i = 2; i < 10; i++) rate.look(600, i * 1000)
  assert.equal(rate.look(600, 10_000), 0, 'what was long ago does not count')
  assert.equal(rate.look(50, 11_000), 0)
  assert.equal(rate.look(150, 12_000), 100)
})

test('an archive that stands still or is not proven is a cause, and says in which place', () => {
  const [stalled, unproven, ...others] = archiveCauses(ARCHIVE)
  assert.deepEqual(others, [])
  assert.match(
    stalled.text,
    /^the archive in \/a lacks .* for 61 s \(WALCAST_STORE_FAILED: it has no/,
  )
  assert.deepEqual([stalled.code, stalled['place']], ['archive-stalled', '/a'])
  assert.match(unproven.text, /^no drill has proven the archive in \/b yet, .*walcast audit/)
  assert.deepEqual([unproven.code, unproven['place']], ['proof-overdue', '/b'])
})

/** Who campaigns for a free lease, in every combination of what bears on it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFurther, type Position } from '../../../proto/position.ts'
import { type CandidacyInput, candidacyOf } from '../../../src/roles/election/candidacy.ts'
import type { CandidateNote, Term } from '../../../src/roles/election/electionRecord.ts'

const TTL_MS = 1000
const NOW_MS = 100_000
const IDS = ['node-a', 'node-b', 'node-c', 'node-d', 'node-e']
const OLD_LEADER = 'node-l'

interface Candidate {
  readonly node: string
  readonly position: Position
  readonly priority: number
  readonly mayLead: boolean
}

const positions = fc.record({ epoch: fc.integer({ min: 1, max: 3 }), txid: fc.nat(6) })
const candidates: fc.Arbitrary<Candidate[]> = fc.uniqueArray(
  fc.record({
    node: fc.constantFrom(...IDS),
    position: positions,
    priority: fc.nat(2),
    mayLead: fc.boolean(),
  }),
  { minLength: 1, selector: ({ node }) => node },
)
const terms: fc.Arbitrary<Term> = fc.record({
  epoch: fc.constant(3),
  node: fc.constant(OLD_LEADER),
  address: fc.constant('l:1'),
  isAcknowledged: fc.boolean(),
  counted: fc.subarray(IDS),
  floor: positions,
  heir: fc.constantFrom('', ...IDS),
  serial: fc.constant(1),
})

const TERM: Term = {
  epoch: 3,
  node: OLD_LEADER,
  address: 'l:1',
  isAcknowledged: true,
  counted: [],
  floor: { epoch: 1, txid: 0 },
  heir: '',
  serial: 1,
}

/** Of a free lease, unless given otherwise. */
function inputOf(me: Candidate, change: Partial<CandidacyInput> = {}): CandidacyInput {
  return {
    nowMs: NOW_MS,
    freeSinceMs: NOW_MS,
    ttlMs: TTL_MS,
    node: me.node,
    priority: me.priority,
    knownEpoch: 3,
    position: me.position,
    leaderTxid: 0,
    reasons: me.mayLead ? [] : ['it was started with --never-lead'],
    term: TERM,
    isForeign: false,
    notes: [],
    leaderAnswers: false,
    someLeads: false,
    members: [],
    heard: new Map(),
    unreported: [],
    maxLoss: undefined,
    agreedUntilMs: 0,
    restUntilMs: 0,
    paused: undefined,
    ...change,
  }
}

function noteOf({ node, position, priority, mayLead }: Candidate): CandidateNote {
  const rest = { address: `${node}:1`, checksum: '', knownEpoch: 3, mark: '1' }
  return { node, position, priority, mayLead, ...rest }
}

function heardOf(others: readonly Candidate[]): Map<string, Position> {
  return new Map(others.map(({ node, position }) => [node, position]))
}

/** What a candidate may know of the others: some are silent, some only answer. */
const hearings = fc.record({
  waitedMs: fc.integer({ min: 0, max: 3 * TTL_MS }),
  silent: fc.subarray(IDS),
  withoutNote: fc.subarray(IDS),
  unreported: fc.subarray(IDS),
  leaderAnswers: fc.boolean(),
  leaderTxid: fc.nat(8),
})
type Hearing = typeof hearings extends fc.Arbitrary<infer T> ? T : never

function heardBy(
  me: Candidate,
  all: readonly Candidate[],
  { waitedMs, silent, withoutNote, unreported, leaderAnswers, leaderTxid }: Hearing,
): Partial<CandidacyInput> {
  const others = all.filter(({ node }) => node !== me.node && !silent.includes(node))
  const noted = others.filter(({ node }) => !withoutNote.includes(node))
  return {
    freeSinceMs: NOW_MS - waitedMs,
    heard: heardOf(others),
    notes: noted.map(noteOf),
    unreported: unreported.filter((each) => each !== me.node),
    leaderAnswers,
    leaderTxid,
  }
}

test('whoever campaigns has all that was acknowledged, whomever it hears', () => {
  fc.assert(
    fc.property(candidates, terms, hearings, (all, term, hearing) => {
      for (const me of all) {
        const known = { ...heardBy(me, all, hearing), term: { ...term, isAcknowledged: true } }
        if (candidacyOf(inputOf(me, known)).does !== 'campaign') continue
        assert.ok(!isFurther(term.floor, me.position), 'it lacks what is below the floor')
        for (const node of term.counted) {
          const other = all.find((each) => each.node === node)
          // One that is not there at all has not been heard.
          if (!other) assert.equal(node, me.node, 'a counted node was not heard')
          else assert.ok(!isFurther(other.position, me.position), `it lacks what ${node} has`)
        }
      }
    }),
    { numRuns: 2000 },
  )
})

test('where the service does not tell who led, who campaigns hears all, and lacks nothing', () => {
  const unknown = fc.constantFrom({ term: undefined }, { knownEpoch: TERM.epoch + 1 })
  const services = fc.tuple(unknown, fc.boolean(), fc.boolean())
  let campaigns = 0
  fc.assert(
    fc.property(candidates, hearings, services, (all, hearing, [service, isForeign, someLeads]) => {
      const members = all.map(({ node }) => node)
      for (const me of all) {
        const heard = heardBy(me, all, hearing)
        const others = members.filter((each) => each !== me.node)
        const known = { ...heard, ...service, isForeign, someLeads, members: others }
        if (candidacyOf(inputOf(me, known)).does !== 'campaign') continue
        campaigns++
        assert.ok(!someLeads)
        for (const each of others) assert.ok(known.heard?.has(each), 'one was not heard')
        for (const at of known.heard?.values() ?? []) assert.ok(!isFurther(at, me.position))
      }
    }),
  )
  assert.ok(campaigns > 0)
})

test('of those that hear each other the furthest campaigns first, and no other for a TTL', () => {
  fc.assert(
    fc.property(candidates, terms, fc.nat(TTL_MS - 1), (all, term, waitedMs) => {
      const free = { ...term, floor: { epoch: 0, txid: 0 }, counted: [], heir: '' }
      const does = all.map((me) => {
        const others = all.filter((each) => each !== me)
        const known = { heard: heardOf(others), notes: others.map(noteOf) }
        const at = { freeSinceMs: NOW_MS - waitedMs, term: { ...free, isAcknowledged: false } }
        return candidacyOf(inputOf(me, { ...known, ...at })).does
      })
      const campaign = all.filter((_, i) => does[i] === 'campaign')
      const [first] = all.filter(({ mayLead }) => mayLead).sort(inOrder)
      assert.deepEqual(campaign, first ? [first] : [])
    }),
  )
})

function inOrder(a: Candidate, b: Candidate): number {
  if (isFurther(a.position, b.position)) return -1
  if (isFurther(b.position, a.position)) return 1
  return b.priority - a.priority || (a.node < b.node ? -1 : 1)
}

test('after a TTL nobody waits for another node any more', () => {
  fc.assert(
    fc.property(
      candidates,
      fc.option(terms, { nil: undefined }),
      hearings,
      (all, term, hearing) => {
        const late = { ...hearing, waitedMs: hearing.waitedMs + TTL_MS }
        for (const me of all) {
          const maxLoss = hearing.leaderTxid % 2 === 0 ? undefined : 3
          const { does } = candidacyOf(inputOf(me, { ...heardBy(me, all, late), term, maxLoss }))
          assert.notEqual(does, 'wait')
        }
      },
    ),
  )
})

test('neither a pause, an agreement, a rest nor what speaks against it lets it campaign', () => {
  fc.assert(
    fc.property(candidates, terms, hearings, fc.nat(3), (all, term, hearing, which) => {
      for (const me of all) {
        const against: Partial<CandidacyInput>[] = [
          { paused: 'tomorrow by ops' },
          { agreedUntilMs: NOW_MS + 1 },
          { restUntilMs: NOW_MS + 1 },
          { reasons: ['its copy was put back'] },
        ]
        const known = { ...heardBy(me, all, hearing), term, ...against[which] }
        assert.notEqual(candidacyOf(inputOf(me, known)).does, 'campaign')
      }
    }),
  )
})

test('the node that the lease was handed to goes first, and the others wait for a TTL', () => {
  fc.assert(
    fc.property(candidates, terms, fc.nat(2 * TTL_MS), (all, term, waitedMs) => {
      const [heir, ...rest] = all
      const free = { ...term, floor: { epoch: 0, txid: 0 }, counted: [], heir: heir.node }
      const at = { freeSinceMs: NOW_MS - waitedMs, term: { ...free, isAcknowledged: false } }
      const notes = rest.map(noteOf)
      const { does } = candidacyOf(inputOf(heir, { ...at, notes, heard: heardOf(rest) }))
      assert.equal(does, heir.mayLead ? 'campaign' : 'decline')
      for (const me of rest)
        if (waitedMs < TTL_MS && me.mayLead) assert.equal(candidacyOf(inputOf(me, at)).does, 'wait')
    }),
  )
})

test('with --max-loss a node campaigns that lacks so many, and says what it lacks beyond', () => {
  const me = { node: 'node-a', position: { epoch: 3, txid: 5 }, priority: 0, mayLead: true }
  const term = { ...TERM, isAcknowledged: true }
  const known = {
    term: { ...term, counted: ['node-b'], floor: { epoch: 2, txid: 4 } },
    freeSinceMs: NOW_MS - TTL_MS,
  }
  const at = (txid: number, maxLoss: number | undefined) =>
    candidacyOf(
      inputOf(me, { ...known, maxLoss, heard: new Map([['node-b', { epoch: 3, txid }]]) }),
    )
  assert.deepEqual(at(17, undefined), { does: 'decline', why: '12 transactions behind node-b' })
  assert.deepEqual(at(6, 0), { does: 'decline', why: '1 transaction behind node-b' })
  assert.deepEqual(at(17, 12), { does: 'campaign' })
  assert.equal(candidacyOf(inputOf(me, { ...known, maxLoss: 12 })).does, 'decline')
})

test('a leader that answers and takes writes is waited for: its lease may be revoked', () => {
  const me = { node: 'node-a', position: { epoch: 3, txid: 5 }, priority: 0, mayLead: true }
  const floor = { epoch: 2, txid: 4 }
  const led = { ...TERM, floor }
  const term = { ...led, isAcknowledged: false }
  const after = (waitedMs: number, leaderAnswers: boolean) =>
    candidacyOf(inputOf(me, { term, leaderAnswers, freeSinceMs: NOW_MS - waitedMs })).does
  assert.equal(after(0, false), 'campaign')
  assert.equal(after(TTL_MS - 1, true), 'wait')
  assert.equal(after(TTL_MS, true), 'campaign')
})

test('a node that was counted and stands in an earlier epoch was put back: it declines', () => {
  const me = { node: 'node-b', position: { epoch: 2, txid: 29 }, priority: 0, mayLead: true }
  const term = { ...TERM, counted: ['node-b'], floor: { epoch: 2, txid: 29 } }
  const at = { term, freeSinceMs: NOW_MS - TTL_MS }
  const why = 'it stands at 2-29, and was counted in epoch 3'
  assert.deepEqual(candidacyOf(inputOf(me, at)), { does: 'decline', why })
  const there = { ...me, position: { epoch: 3, txid: 29 } }
  assert.equal(candidacyOf(inputOf(there, at)).does, 'campaign')
})

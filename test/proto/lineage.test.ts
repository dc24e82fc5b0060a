/**
 * What is told of histories by their incarnations, against a model that knows them: a tree of
 * databases that are copied, put back, promoted, restarted and written to, each with the states
 * that it has had.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Containment,
  containment,
  containsPosition,
  formatTrail,
  type HistoryPoint,
  type Incarnation,
  type Lineage,
  MAX_LINEAGE,
  NOWHERE,
  parseTrail,
  partingPoint,
  type Standing,
  trailOf,
  withIncarnation,
  withoutIdle,
} from '../../proto/lineage.ts'

/**
 * A commit that was made once, in the whole world: two databases have the same one only when they
 * share history.
 */
interface State extends Standing {
  /** Whether it is only taken to follow from the one before it. */
  readonly isGuess: boolean
}

/** A database, what its node knows, and what is true of it. */
interface Database {
  readonly name: string
  readonly standing: Standing
  /** Its newest stored position: a crash leaves that, and not where the node stood. */
  readonly stored: Standing
  readonly lineage: Lineage
  /** All states that it has had, as far as anybody knew, the oldest first. */
  readonly path: readonly State[]
  /** Highest epoch that it knows. */
  readonly epoch: number
}

/** What is true in the whole world. */
interface World {
  readonly databases: Database[]
  /** Where each standing that a node has ever had really lies: the state that was there. */
  readonly stood: { readonly point: Standing; readonly state: State | undefined }[]
  drawn: number
}

type Step =
  | { readonly kind: 'commit'; readonly of: number; readonly count: number }
  | {
      readonly kind: 'restart' | 'crash' | 'raise' | 'foreign' | 'force' | 'forget'
      readonly of: number
    }
  | { readonly kind: 'copy' | 'follow'; readonly of: number; readonly other: number }

const index = fc.nat(5)
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('commit'),
        of: index,
        count: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'restart',
          'crash',
          'restart',
          'crash',
          'raise',
          'raise',
          'foreign',
          'force',
          'forget',
        ),
        of: index,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom('copy', 'follow'), of: index, other: index }),
    },
  ) as fc.Arbitrary<Step>,
  { minLength: 1, maxLength: 30 },
)

const idOf = (drawn: number): string => drawn.toString(16).padStart(16, '0')
const same = (a: HistoryPoint, b: HistoryPoint): boolean =>
  a.incarnation === b.incarnation && a.txid === b.txid

/** Begins to lead where the database stands, as a start and a promotion do. */
function lead(
  world: World,
  of: Database,
  begins: { epoch: number; exact: boolean; isTold?: boolean },
): Database {
  const id = idOf(++world.drawn)
  const [follows = NOWHERE] = trailOf(of.stored, of.lineage)
  const {
    incarnation: after,
    epoch: afterEpoch,
    txid,
  } = begins.isTold === false ? NOWHERE : follows
  const exact = begins.exact && after !== ''
  const begun: Incarnation = {
    id,
    epoch: begins.epoch,
    after,
    afterEpoch,
    txid,
    leader: of.name,
    exact,
  }
  const kept = withoutIdle(of.lineage, of.name, txid, of.stored.incarnation)
  return {
    ...of,
    epoch: begins.epoch,
    lineage: withIncarnation(kept, begun),
    standing: { epoch: begins.epoch, incarnation: id, txid: of.standing.txid },
  }
}

/** A clean stop stores where the node stands, and so does a replica that enters an incarnation. */
const stopped = (of: Database): Database => ({ ...of, stored: of.standing })

/** One commit; a `guess` is what was written while no node ran. */
function commit(of: Database, isGuess = false): Database {
  const standing = { ...of.standing, txid: of.standing.txid + 1 }
  return { ...of, standing, stored: standing, path: [...of.path, { ...standing, isGuess }] }
}

function take(world: World, step: Step): void {
  const { databases } = world
  const at = step.of % databases.length
  const was = databases[at]
  const other = 'other' in step ? databases[step.other % databases.length] : was
  const became = (): Database => {
    switch (step.kind) {
      case 'commit': {
        let now = was
        for (let i = 0; i < step.count; i++) now = commit(now)
        return now
      }
      case 'crash':
        return lead(world, was, { epoch: was.epoch, exact: true })
      case 'restart':
        return lead(world, stopped(was), { epoch: was.epoch, exact: true })
      case 'raise':
        return lead(world, stopped(was), { epoch: was.epoch + 1, exact: true })
      case 'foreign':
        return commit(lead(world, stopped(was), { epoch: was.epoch + 1, exact: false }), true)
      case 'force': {
        // It is not known what the copy held that was promoted by force: it is a state of its own.
        const now = stopped(lead(world, stopped(was), { epoch: was.epoch + 1, exact: false }))
        return { ...now, path: [...now.path, { ...now.standing, isGuess: true }] }
      }
      case 'forget': {
        const now = commit(lead(world, was, { epoch: was.epoch + 1, exact: false, isTold: false }))
        return { ...now, path: now.path.slice(-1) }
      }
      case 'copy':
        // Both go on from there under one id, as a folder that was put back and the lost one do.
        return lead(world, other, { epoch: other.epoch, exact: true })
      case 'follow': {
        const lineage = other.lineage.reduce(withIncarnation, was.lineage)
        const epoch = Math.max(was.epoch, other.epoch)
        return { ...stopped(other), name: was.name, lineage, epoch }
      }
    }
  }
  const now = became()
  if (step.kind === 'copy' && databases.length < 6) databases.push(now)
  else databases[at] = now
  world.stood.push({ point: now.standing, state: now.path.at(-1) })
}

function begin(): World {
  const world: World = { databases: [], stood: [], drawn: 0 }
  const empty = { name: 'a', standing: NOWHERE, stored: NOWHERE, lineage: [], path: [], epoch: 0 }
  const first = commit(lead(world, empty, { epoch: 1, exact: false }))
  world.databases.push(first, { ...first, name: 'b' })
  world.stood.push({ point: first.standing, state: first.path.at(-1) })
  return world
}

function played(taken: readonly Step[]): World {
  const world = begin()
  for (const step of taken) take(world, step)
  return world
}

/** What is true of a state in the history of a database. */
function truth(of: Database, state: State): Containment {
  const at = of.path.findIndex((each) => same(each, state))
  if (at < 0) return 'unknown'
  return of.path.slice(at + 1).some(({ isGuess }) => isGuess) ? 'likely' : 'proven'
}

const RUNS = { numRuns: 1500 }

/** The last one knows of two that began epoch 2, at 1 and at 3, and stands at 2. */
const BEFORE_ITS_EPOCH: Step[] = [
  { kind: 'raise', of: 3 },
  { kind: 'follow', of: 3, other: 0 },
  { kind: 'commit', of: 1, count: 2 },
  { kind: 'commit', of: 0, count: 1 },
  { kind: 'restart', of: 3 },
  { kind: 'copy', of: 0, other: 0 },
  { kind: 'follow', of: 4, other: 0 },
]

test('a state is part of a history exactly as the model says, told by who committed it', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const { databases, stood } = played(taken)
      for (const database of databases)
        for (const { state } of stood)
          if (state)
            assert.equal(
              containment(database.standing, database.lineage, state),
              truth(database, state),
              `${state.incarnation}@${state.txid} in the history of ${JSON.stringify(database)}`,
            )
    }),
    RUNS,
  )
})

test('wherever a node stands, its state is never taken to be more than it is', () => {
  const grades: readonly Containment[] = ['unknown', 'likely', 'proven']
  fc.assert(
    fc.property(steps, (taken) => {
      const { databases, stood } = played(taken)
      for (const database of databases) {
        const told = new Set(database.lineage.map(({ id }) => id))
        for (const { point, state } of stood) {
          const found = containment(database.standing, database.lineage, point)
          const actual = state ? truth(database, state) : 'unknown'
          assert.ok(
            grades.indexOf(found) <= grades.indexOf(actual),
            `${found}, but it is ${actual}`,
          )
          if (told.has(point.incarnation)) assert.equal(found, actual)
        }
      }
    }),
    RUNS,
  )
})

test('the trail of a node names the last state of each incarnation, and no idle one', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      for (const { standing, lineage, path } of played(taken).databases) {
        const last = path
          .filter((state, i) => path[i + 1]?.incarnation !== state.incarnation)
          .reverse()
        assert.deepEqual(
          [...trailOf(standing, lineage)].map(({ incarnation, epoch, txid }) => ({
            incarnation,
            epoch,
            txid,
          })),
          last.map(({ incarnation, epoch, txid }) => ({ incarnation, epoch, txid })),
        )
      }
    }),
    RUNS,
  )
})

test('two histories part after the last state that both have, as each is told of the other', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const { databases } = played(taken)
      for (const mine of databases)
        for (const theirs of databases) {
          const common = mine.path.findLast((state) =>
            theirs.path.some((each) => same(each, state)),
          )
          const told = parseTrail(formatTrail(trailOf(theirs.standing, theirs.lineage)))
          assert.ok(told)
          const point = partingPoint(mine.standing, mine.lineage, told)
          assert.deepEqual(
            point && [point.incarnation, point.epoch, point.txid, point.isProven],
            common && [
              common.incarnation,
              common.epoch,
              common.txid,
              truth(mine, common) === 'proven',
            ],
          )
        }
    }),
    RUNS,
  )
})

test('a position is reached when its state, or a later one of its epoch, is in the history', () => {
  fc.assert(
    // Commits are numbered from 1: at 0 there is nothing that a node could lack.
    fc.property(steps, fc.nat(12), fc.integer({ min: 1, max: 40 }), (taken, epoch, txid) => {
      const { databases, stood } = played(taken)
      for (const { standing, lineage, path } of databases) {
        const reached = (position: { epoch: number; txid: number }) =>
          containsPosition(standing, lineage, position)
        const has = (state: State | undefined) => path.some((each) => state && same(each, state))
        for (const { point, state } of stood)
          if (has(state) && lineage.some(({ id }) => id === point.incarnation))
            assert.ok(reached(point), `${point.epoch}-${point.txid}`)
        const isLater = (of: Standing) => of.epoch === epoch && txid <= of.txid
        const isThere =
          isLater(standing) ||
          path.some(isLater) ||
          stood.some(({ point, state }) => isLater(point) && has(state))
        // Two began this epoch, one of them at a later number: this one may mean a state before
        // that.
        const begun = lineage.filter((each) => each.epoch === epoch)
        const mayMeanEither =
          begun.some((each) => each.txid < txid) && begun.some((each) => each.txid >= txid)
        // Before its first commit an epoch is the incarnation that it follows.
        const isOfTheOneBefore = begun.some(
          (each) =>
            txid <= each.txid &&
            containment(standing, lineage, { incarnation: each.after, txid }) !== 'unknown',
        )
        if (!isThere && !isOfTheOneBefore && !mayMeanEither)
          assert.equal(reached({ epoch, txid }), false)
      }
    }),
    { ...RUNS, examples: [[BEFORE_ITS_EPOCH, 2, 2]] },
  )
})

test('an incarnation that no node told of is part of no history', () => {
  fc.assert(
    fc.property(steps, fc.nat(40), (taken, txid) => {
      const { databases, drawn } = played(taken)
      const point = { incarnation: idOf(drawn + 1), txid }
      for (const { standing, lineage } of databases) {
        assert.equal(containment(standing, lineage, point), 'unknown')
        assert.equal(partingPoint(standing, lineage, [point]), undefined)
        assert.equal(containment(standing, lineage, { incarnation: '', txid }), 'unknown')
        assert.equal(containment({ ...standing, incarnation: '' }, lineage, point), 'unknown')
      }
    }),
  )
})

const A = idOf(0xa)
const B = idOf(0xb)
const C = idOf(0xc)
const D = idOf(0xd)

const begun = (
  id: string,
  after: string,
  txid: number,
  change: Partial<Incarnation> = {},
): Incarnation => ({
  id,
  epoch: 4,
  after,
  afterEpoch: 4,
  txid,
  leader: 'me',
  exact: true,
  ...change,
})

test('a put-back history that reuses numbers is unknown to a node with the lost branch', () => {
  const lineage = [begun(A, '', 0, { exact: false })]
  const copy = { epoch: 4, incarnation: A, txid: 150 }
  const backAt = withIncarnation(lineage, begun(B, A, 100))
  const leader = { epoch: 4, incarnation: B, txid: 150 }
  assert.equal(containment(leader, backAt, copy), 'unknown')
  assert.equal(containment(copy, lineage, leader), 'unknown')
  assert.equal(containment(leader, backAt, { ...copy, txid: 101 }), 'unknown')
  assert.equal(containment(leader, backAt, { ...copy, txid: 100 }), 'proven')
  const point = partingPoint(leader, backAt, [...trailOf(copy, lineage)])
  assert.deepEqual(point, { epoch: 4, incarnation: A, txid: 100, isProven: true })
})

test('an incarnation that only took a state over without proof is a state of its own', () => {
  const lineage = [begun(A, '', 0, { exact: false }), begun(B, A, 100, { epoch: 5, exact: false })]
  const taken = { epoch: 5, incarnation: B, txid: 100 }
  assert.equal(containment(taken, lineage, { incarnation: A, txid: 100 }), 'likely')
  assert.equal(containment({ epoch: 4, incarnation: A, txid: 100 }, lineage, taken), 'unknown')
  assert.equal(formatTrail(trailOf(taken, lineage)), `${B}@100 ${A}@100`)
  assert.deepEqual(withoutIdle(lineage, 'me', 100, ''), lineage)
})

test('restarts without commits leave nothing but what the newest stored position names', () => {
  const led = begun(A, '', 0, { exact: false })
  const idle = [begun(B, A, 100), begun(C, A, 100)]
  assert.deepEqual(withoutIdle([led, ...idle], 'me', 100, A), [led])
  assert.deepEqual(withoutIdle([led, ...idle], 'me', 101, A), [led, ...idle], 'they have committed')
  assert.deepEqual(
    withoutIdle([led, ...idle], 'other', 100, A),
    [led, ...idle],
    'of another leader',
  )
  assert.deepEqual(withoutIdle([led, ...idle], 'me', 100, B), [led, idle[0]])
  const between = begun(D, A, 100, { leader: 'other' })
  assert.deepEqual(withoutIdle([led, idle[0], between, idle[1]], 'me', 100, A), [
    led,
    idle[0],
    between,
  ])
  const stored = withIncarnation(withoutIdle([led, idle[0]], 'me', 100, B), begun(C, A, 100))
  const [follows] = trailOf({ epoch: 4, incarnation: B, txid: 100 }, stored)
  assert.deepEqual(
    [follows.incarnation, follows.txid],
    [A, 100],
    'after a crash before anything was stored',
  )
})

test('a position of an epoch in which nothing was committed is that of the epoch before', () => {
  const lineage = [
    begun(A, '', 0, { exact: false }),
    begun(B, A, 100, { epoch: 5, leader: 'other' }),
    begun(C, A, 110, { epoch: 6 }),
  ]
  const now = { epoch: 6, incarnation: C, txid: 120 }
  assert.ok(containsPosition(now, lineage, { epoch: 5, txid: 100 }))
  assert.equal(
    containsPosition(now, lineage, { epoch: 5, txid: 101 }),
    false,
    'a failover left it behind',
  )
  assert.equal(containsPosition(now, lineage, { epoch: 7, txid: 1 }), false)
})

test('a lineage keeps each incarnation once, the newest ones, up to its bound', () => {
  const many = fc.array(
    fc.record({ id: fc.nat(400).map(idOf), after: fc.nat(400).map(idOf), txid: fc.nat(9) }),
    { maxLength: 600, size: 'max' },
  )
  fc.assert(
    fc.property(many, (drawn) => {
      const all = drawn.map(({ id, after, txid }) => begun(id, after, txid))
      const lineage = all.reduce(withIncarnation, [] as Lineage)
      const ids = lineage.map(({ id }) => id)
      assert.equal(new Set(ids).size, ids.length)
      assert.ok(lineage.length <= MAX_LINEAGE)
      assert.ok(lineage.every(({ id, after }) => id !== after))
      const told = all.filter(({ id, after }) => id !== after)
      if (new Set(told.map(({ id }) => id)).size > MAX_LINEAGE)
        assert.equal(lineage.length, MAX_LINEAGE)
      for (const each of lineage)
        assert.deepEqual(
          each,
          told.findLast(({ id }) => id === each.id),
        )
      const last = told.at(-1)
      if (last) assert.ok(ids.includes(last.id))
    }),
    { numRuns: 100 },
  )
})

test('states older than the oldest incarnation kept are unknown, newer ones are proven', () => {
  const count = MAX_LINEAGE + 40
  let lineage: Lineage = []
  for (let i = 1; i <= count; i++)
    lineage = withIncarnation(lineage, begun(idOf(i), i > 1 ? idOf(i - 1) : '', i * 10))
  const now = { epoch: 4, incarnation: idOf(count), txid: count * 10 + 5 }
  const oldest = count - MAX_LINEAGE
  assert.equal(
    containment(now, lineage, { incarnation: idOf(oldest), txid: oldest * 10 + 10 }),
    'proven',
  )
  assert.equal(
    containment(now, lineage, { incarnation: idOf(oldest), txid: oldest * 10 + 11 }),
    'unknown',
  )
  assert.equal(
    containment(now, lineage, { incarnation: idOf(oldest - 1), txid: oldest * 10 }),
    'unknown',
  )
})

test('a lineage that goes in a circle, or says anything else, ends and is believed nothing', () => {
  const id = fc.constantFrom(A, B, C, D)
  const txid = fc.nat(12)
  const any = fc.record({
    id,
    after: fc.oneof(id, fc.constant('')),
    txid,
    exact: fc.boolean(),
    epoch: fc.nat(3),
  })
  const point = fc.record({ incarnation: fc.oneof(id, fc.constant('')), epoch: fc.nat(3), txid })
  fc.assert(
    fc.property(fc.array(any, { maxLength: 8 }), point, point, (drawn, now, other) => {
      const lineage = drawn.map((each) => begun(each.id, each.after, each.txid, each))
      const trail = [...trailOf(now, lineage)]
      assert.ok(trail.length <= lineage.length + 1)
      for (const [i, each] of trail.entries()) assert.ok(i === 0 || each.txid <= trail[i - 1].txid)
      if (containment(now, lineage, other) === 'proven')
        assert.ok(trail.some((each) => each.isProven && other.incarnation !== ''))
      partingPoint(now, lineage, [other])
      containsPosition(now, lineage, other)
      withoutIdle(lineage, 'me', other.txid, A)
    }),
    { numRuns: 3000 },
  )
  const circle = [begun(A, B, 10), begun(B, A, 10)]
  assert.deepEqual([...trailOf({ epoch: 4, incarnation: A, txid: 5 }, circle)], [])
  assert.equal(
    containment({ epoch: 4, incarnation: C, txid: 9 }, circle, { incarnation: A, txid: 5 }),
    'unknown',
  )
  assert.equal(
    containment({ epoch: 4, incarnation: A, txid: 5 }, circle, { incarnation: A, txid: 5 }),
    'unknown',
  )
})

test('a trail is read back as it was written, the newest points of it', () => {
  const points = fc.array(
    fc.record(
      { incarnation: fc.nat().map(idOf), txid: fc.nat(999_999_999_999_999) },
      { noNullPrototype: true },
    ),
    { maxLength: 40, size: 'max' },
  )
  fc.assert(
    fc.property(points, (trail) => {
      assert.deepEqual(parseTrail(formatTrail(trail)), trail.slice(0, 24))
    }),
  )
})

test('nothing but a trail is read as one', () => {
  const points = (count: number) => Array(count).fill(`${A}@1`).join(' ')
  assert.equal(parseTrail(points(24))?.length, 24)
  assert.equal(parseTrail(points(25)), undefined)
  const part = fc.oneof(
    fc.constantFrom(
      `${A}@1`,
      `${A}@`,
      `@1`,
      A,
      ' ',
      '',
      `${A}@1e3`,
      `${A}@-1`,
      `${A}@01`,
      `${A.toUpperCase()}@1`,
      `${A}@1\n`,
    ),
    fc.string({ maxLength: 20 }),
  )
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 30, size: 'max' }),
      fc.constantFrom(' ', '  ', ',', '\n'),
      (parts, separator) => {
        const text = parts.join(separator)
        const read = parseTrail(text)
        const isTrail =
          text === '' ||
          (text.split(' ').length <= 24 && /^([0-9a-f]{16}@\d{1,15}( (?!$)|$))+$/.test(text))
        assert.equal(read !== undefined, isTrail, JSON.stringify(text))
        for (const { txid } of read ?? []) assert.ok(Number.isSafeInteger(txid))
      },
    ),
    { numRuns: 2000 },
  )
})

/** When a leader must begin an epoch above what another node has seen of its own history. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Incarnation, type Lineage, MAX_LINEAGE, type Standing } from '../../proto/lineage.ts'
import { aboveLost, isBelievable, isPutBack, type SeenHistory } from '../../src/feed/seenHistory.ts'

const idOf = (n: number): string => n.toString(16).padStart(16, '0')
const [FIRST, MINE, LOST] = [idOf(1), idOf(2), idOf(3)]

const begun = (id: string, after: string, txid: number): Incarnation => ({
  id,
  epoch: 4,
  after,
  afterEpoch: 4,
  txid,
  leader: 'me',
  exact: true,
})
const LINEAGE: Lineage = [begun(FIRST, '', 0), begun(MINE, FIRST, 80)]
const NOW: Standing = { epoch: 4, incarnation: MINE, txid: 100 }

/** `points`: incarnation and txid of each, the newest first. */
function seenAt(
  points: readonly (readonly [string, number])[],
  change: Partial<SeenHistory> = {},
): SeenHistory {
  const trail = points.map(([incarnation, txid]) => ({ incarnation, txid }))
  return {
    node: 'b',
    epoch: 4,
    txid: trail.at(0)?.txid ?? 0,
    trail,
    highestEpoch: 4,
    term: 0,
    ...change,
  }
}
const isLost = (seen: SeenHistory): boolean => isPutBack(NOW, LINEAGE, seen)

test('what is part of the history is nothing that was lost', () => {
  assert.equal(isLost(seenAt([[MINE, 100]])), false)
  assert.equal(isLost(seenAt([[FIRST, 80]])), false)
  assert.equal(isLost(seenAt([], { txid: 3 })), false, 'nothing is known of what it has')
})

test('a node that is further, or on another branch of the same epoch, has what was lost', () => {
  assert.equal(isLost(seenAt([[MINE, 101]])), true)
  assert.equal(isLost(seenAt([[FIRST, 81]])), true)
  assert.equal(
    isLost(
      seenAt([
        [LOST, 90],
        [FIRST, 70],
      ]),
    ),
    true,
  )
})

test('a branch whose numbers all lie below is told apart by its epoch: nothing is raised', () => {
  const old = (txid: number, epoch = 3) =>
    seenAt(
      [
        [LOST, txid],
        [FIRST, 70],
      ],
      { epoch },
    )
  assert.equal(isLost(old(100)), false)
  assert.equal(isLost(old(101)), true, 'its txid may be given out again')
  assert.equal(isLost(old(100, 4)), true, 'its epoch goes on here')
})

test('a higher epoch that was heard of is one that this leader has begun and forgotten', () => {
  assert.equal(isLost(seenAt([[MINE, 100]], { highestEpoch: 5 })), true)
  assert.equal(isLost(seenAt([], { highestEpoch: 5 })), true)
})

test('numbers are believed up to a bound above those of this node, and not beyond', () => {
  const epochs = 1_000_000
  const txids = 2 ** 32
  const lost: [string, number][] = [[LOST, 90]]
  for (const [change, isBelieved] of [
    [{ highestEpoch: 4 + epochs }, true],
    [{ highestEpoch: 5 + epochs }, false],
    [{ txid: 100 + txids }, true],
    [{ txid: 101 + txids }, false],
    [{ highestEpoch: Number.MAX_SAFE_INTEGER }, false],
    [{ txid: Number.MAX_SAFE_INTEGER }, false],
    [{ highestEpoch: 2 ** 53 }, false],
    [{ highestEpoch: Number.POSITIVE_INFINITY }, false],
    [{ highestEpoch: Number.NaN }, false],
  ] as const) {
    const seen = seenAt(lost, change)
    assert.equal(isBelievable(NOW, seen), isBelieved, JSON.stringify(change))
    assert.equal(isLost(seen), isBelieved, JSON.stringify(change))
  }
  const far = { ...NOW, epoch: Number.MAX_SAFE_INTEGER - 1, txid: Number.MAX_SAFE_INTEGER - 1 }
  assert.equal(isPutBack(far, LINEAGE, seenAt(lost)), false, 'and nothing is raised from there')
})

test('of more incarnations than are kept, one that nothing is known of proves nothing', () => {
  let lineage: Lineage = []
  for (let i = 100; i < 100 + MAX_LINEAGE; i++)
    lineage = [...lineage, begun(idOf(i), idOf(i - 1), i)]
  const now = { epoch: 4, incarnation: idOf(99 + MAX_LINEAGE), txid: 1000 }
  const old = seenAt([[LOST, 50]])
  assert.equal(isPutBack(now, lineage, old), false, 'it may be one of the oldest')
  assert.equal(isPutBack(now, lineage.slice(1), old), true)
  const parted = seenAt([
    [LOST, 150],
    [idOf(120), 121],
  ])
  assert.equal(isPutBack(now, lineage, parted), true, 'they have one in common')
  assert.equal(isPutBack(now, lineage, { ...old, highestEpoch: 5 }), true)
})

test('an epoch above one that nobody has commits of follows from where the leader stands', () => {
  class Live implements Standing {
    get epoch(): number {
      return NOW.epoch
    }
    get incarnation(): string {
      return NOW.incarnation
    }
    get txid(): number {
      return NOW.txid
    }
  }
  const above = aboveLost(new Live(), LINEAGE, [seenAt([], { highestEpoch: 6 })])
  assert.deepEqual(above.follows, NOW)
  assert.deepEqual([above.epoch, above.isProven], [7, true])
})

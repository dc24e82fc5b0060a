/** Which positions follow each other, and how few files are read to find a time among them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import { historiesOf, type IncarnationHead } from '../../src/backup/histories.ts'
import { lastIndex } from '../../src/backup/lastIndex.ts'
import { type Piece, piecesOf } from '../../src/backup/restorePlan.ts'

const ALONE = { part: 1, isLast: true }
const id = (digit: number) => String(digit).repeat(16)
const at = (txid: number, incarnation: number): ArchivedPlace => ({
  txid,
  incarnation: id(incarnation),
})
const snapshot = (place: ArchivedPlace) => ({
  name: { kind: 'snapshot' as const, ...place, ...ALONE },
  bytes: 100,
})
const changes = (from: ArchivedPlace, to: ArchivedPlace) => ({
  name: { kind: 'changes' as const, from, to, level: 0, ...ALONE },
  bytes: 10,
})

/** `epochs`: of the incarnations 1, 2, ... */
function heads(...epochs: readonly number[]): ReadonlyMap<string, IncarnationHead> {
  return new Map(
    epochs.map((epoch, i) => [
      id(i + 1),
      { id: id(i + 1), epoch, cluster: 'c', db: 'main', node: `node-${i + 1}` },
    ]),
  )
}

/** The newest history and what others have, as `INCARNATION:FIRST-LAST`. */
function seen(pieces: readonly Piece[], epochs: readonly number[], tip?: number) {
  const found = historiesOf(pieces, heads(...epochs), tip === undefined ? undefined : id(tip))
  const text = (spans: readonly { head: IncarnationHead; first: number; last: number }[]) =>
    spans.map(({ head, first, last }) => `${head.id[0]}:${first}-${last}`)
  return found && { newest: text(found.newest), others: text(found.others) }
}

test('one incarnation is one history', () => {
  const pieces = piecesOf([snapshot(at(10, 1)), changes(at(10, 1), at(20, 1))])
  assert.deepEqual(seen(pieces, [1]), { newest: ['1:10-20'], others: [] })
  assert.equal(seen([], []), undefined)
})

test('after a failover what the lost leader had alone is another history', () => {
  const pieces = piecesOf([
    snapshot(at(10, 1)),
    changes(at(10, 1), at(20, 1)),
    changes(at(20, 1), at(35, 1)),
    changes(at(20, 1), at(30, 2)),
  ])
  assert.deepEqual(seen(pieces, [1, 2]), { newest: ['1:10-20', '2:21-30'], others: ['1:21-35'] })
  assert.deepEqual(seen(pieces, [1, 2], 1), { newest: ['1:10-35'], others: ['2:21-30'] })
  assert.equal(seen(pieces, [1, 2], 3), undefined)
})

test('a restart in the same epoch goes on, however far the one before came', () => {
  const pieces = piecesOf([
    snapshot(at(10, 1)),
    changes(at(10, 1), at(25, 1)),
    changes(at(20, 1), at(22, 2)),
  ])
  assert.deepEqual(seen(pieces, [3, 3]), { newest: ['1:10-20', '2:21-22'], others: ['1:21-25'] })
})

test('an incarnation that begins with a snapshot follows the newest before it', () => {
  const pieces = piecesOf([
    snapshot(at(10, 1)),
    changes(at(10, 1), at(40, 1)),
    snapshot(at(30, 2)),
    changes(at(30, 2), at(33, 2)),
    snapshot(at(50, 3)),
  ])
  assert.deepEqual(seen(pieces, [1, 2, 3]), {
    newest: ['1:10-29', '2:30-33', '3:50-50'],
    others: ['1:30-40'],
  })
})

test('names that lead in a circle end somewhere', () => {
  const pieces = piecesOf([changes(at(10, 1), at(20, 2)), changes(at(12, 2), at(18, 1))])
  assert.deepEqual(seen(pieces, [1, 1])?.newest, ['2:11-20'])
})

test('the last index is found, and few are looked at', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 100_000 }), fc.nat(), async (count, any) => {
      const isUpTo = count === 0 ? 0 : any % (count + 1)
      const looked = new Set<number>()
      const found = await lastIndex(count, async (i) => {
        assert.ok(i >= 0 && i < count)
        looked.add(i)
        return i < isUpTo
      })
      assert.equal(found, isUpTo - 1)
      assert.ok(looked.size <= 80, `${looked.size} of ${count}`)
    }),
  )
})

test('of few items that are not in order it finds the last', async () => {
  const times = [1, 2, 9, 8, 3, 4, 12, 5, 6, 20]
  for (const time of [1, 3, 6, 11])
    assert.equal(
      await lastIndex(times.length, async (i) => times[i] <= time),
      times.findLastIndex((each) => each <= time),
    )
  assert.equal(await lastIndex(10, async (i) => times[i] <= 0), -1)
})

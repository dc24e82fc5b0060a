/** Names of archive files, and which of them a restore reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ArchivedPlace,
  type ArchiveName,
  formatArchiveName,
  parseArchiveName,
} from '../../proto/archiveNames.ts'
import {
  claimKey,
  planRestore,
  reachablePieces,
  type StoredFile,
} from '../../src/backup/restorePlan.ts'

const ONE = '1111111111111111'
const TWO = '2222222222222222'
const ALONE = { part: 1, isLast: true }

const at = (txid: number, incarnation = ONE): ArchivedPlace => ({ incarnation, txid })
const snapshot = (place: ArchivedPlace, bytes = 100): StoredFile => ({
  name: { kind: 'snapshot', ...place, ...ALONE },
  bytes,
})
const changes = (from: ArchivedPlace, to: ArchivedPlace, bytes = 10, level = 0): StoredFile => ({
  name: { kind: 'changes', from, to, level, ...ALONE },
  bytes,
})

const place = fc
  .record({
    incarnation: fc.constantFrom(ONE, TWO, 'fedcba9876543210'),
    txid: fc.integer({ min: 0, max: 2 ** 48 }),
  })
  .map((drawn): ArchivedPlace => ({ ...drawn }))
const part = fc.oneof(
  fc.constant(ALONE),
  fc
    .record({ part: fc.integer({ min: 2, max: 9999 }), isLast: fc.boolean() })
    .map((drawn) => ({ ...drawn })),
  fc.constant({ part: 1, isLast: false }),
)
const name: fc.Arbitrary<ArchiveName> = fc.oneof(
  fc
    .tuple(place, part)
    .map(([where, parts]) => ({ kind: 'snapshot' as const, ...where, ...parts })),
  fc
    .tuple(place, place, fc.integer({ min: 0, max: 9 }), part)
    .filter(([from, to]) => from.txid < to.txid)
    .map(([from, to, level, parts]) => ({ kind: 'changes' as const, from, to, level, ...parts })),
)

test('a name is read back, and sorts by txid', () => {
  fc.assert(
    fc.property(name, (given) =>
      assert.deepEqual(parseArchiveName(formatArchiveName(given)), given),
    ),
  )
  const inOrder = [9, 10, 99, 2 ** 48].map((txid) => formatArchiveName(snapshot(at(txid)).name))
  assert.deepEqual(inOrder.toSorted(), inOrder)
})

test('names of other things are told apart', () => {
  for (const other of [
    '',
    'snapshots/000000000000041-1111111111111111.wca.tmp',
    'snapshots/41-1111111111111111.wca',
    'snapshots/000000000000041-111111111111111g.wca',
    'snapshots/000000000000041-1111111111111111.0000.wca',
    'snapshots/000000000000041-1111111111111111.0001.last.wca',
    'snapshots/999999999999999-1111111111111111.wca',
    'changes/0/000000000000041-000000000000041-1111111111111111.wca',
    'changes/0/000000000000041-000000000000042-1111111111111111-after-1111111111111111.wca',
    '../snapshots/000000000000041-1111111111111111.wca',
  ])
    assert.equal(parseArchiveName(other), undefined, other)
})

test('a restore reads a snapshot and what follows it', () => {
  const files = [
    snapshot(at(10)),
    changes(at(10), at(20)),
    changes(at(20), at(30)),
    changes(at(30), at(40)),
  ]
  assert.deepEqual(planRestore(files, at(30)), {
    snapshot: [files[0]],
    changes: [files[1], files[2]],
    bytes: 120,
  })
  assert.deepEqual(planRestore(files, at(25))?.changes, [files[1], files[2]])
  assert.deepEqual(planRestore(files, at(10))?.changes, [])
  for (const out of [at(9), at(41), at(30, TWO)]) assert.equal(planRestore(files, out), undefined)
})

test('of several ways the one with the fewest bytes is taken', () => {
  const merged = changes(at(10), at(30), 12, 1)
  const newer = snapshot(at(30), 1000)
  const files = [snapshot(at(10)), changes(at(10), at(20)), changes(at(20), at(30)), merged, newer]
  assert.deepEqual(planRestore(files, at(30))?.changes, [merged])
  const near = snapshot(at(30), 50)
  assert.deepEqual(planRestore([...files.slice(0, 4), near], at(30)), {
    snapshot: [near],
    changes: [],
    bytes: 50,
  })
})

test('a way leads from one incarnation to the next, and not by txids alone', () => {
  const over = changes(at(20), at(30, TWO))
  const files = [snapshot(at(10)), changes(at(10), at(20)), changes(at(20), at(25)), over]
  assert.deepEqual(planRestore(files, at(30, TWO))?.changes, [files[1], over])
  assert.equal(planRestore(files, at(30)), undefined)
  assert.deepEqual(planRestore(files, at(25))?.changes, [files[1], files[2]])
})

test('parts count only together', () => {
  const parts: StoredFile[] = [1, 2, 3].map((number) => ({
    name: {
      kind: 'changes',
      from: at(10),
      to: at(11),
      level: 0,
      part: number,
      isLast: number === 3,
    },
    bytes: 10,
  }))
  const [first, second, third] = parts
  const from = snapshot(at(10))
  assert.deepEqual(planRestore([third, from, first, second], at(11))?.changes, parts)
  for (const some of [
    [first, second],
    [first, third],
    [second, third],
  ])
    assert.equal(planRestore([from, ...some], at(11)), undefined)
})

/**
 * The fewest bytes of all ways, by trying all. A file is left before its end only where no other
 * one ends.
 */
function fewestBytes(files: readonly StoredFile[], target: ArchivedPlace): number {
  const before = (place: ArchivedPlace): number => {
    const whole = to(place, true)
    return whole === Infinity ? to(place, false) : whole
  }
  const to = (wanted: ArchivedPlace, isExact: boolean): number =>
    Math.min(
      ...files.map(({ name: each, bytes }) => {
        if (each.kind === 'snapshot')
          return each.txid === wanted.txid && each.incarnation === wanted.incarnation
            ? bytes
            : Infinity
        const { from, to: end } = each
        const isIn = isExact
          ? end.txid === wanted.txid
          : from.txid < wanted.txid && wanted.txid <= end.txid
        if (end.incarnation !== wanted.incarnation || !isIn) return Infinity
        return bytes + before(from)
      }),
      Infinity,
    )
  return to(target, false)
}

test('a file that begins inside another one follows from there, and not from its end', () => {
  const [old, next] = [changes(at(10), at(30)), changes(at(20), at(40, TWO))]
  const files = [snapshot(at(10)), old, next]
  assert.deepEqual(planRestore(files, at(35, TWO)), {
    snapshot: [files[0]],
    changes: [{ ...old, upTo: 20 }, next],
    bytes: 10 * 2 + files[0].bytes,
  })
  assert.deepEqual(planRestore(files, at(30))?.changes, [old])
  const exact = changes(at(10), at(20), 100)
  assert.deepEqual(planRestore([...files, exact], at(40, TWO))?.changes, [exact, next])
  const without = new Set([claimKey(old.name, 20)])
  assert.equal(planRestore(files, at(40, TWO), without), undefined)
  assert.deepEqual(reachablePieces(files, without).length, 2)
  const thinned = changes(at(10), at(30), 10, 4)
  assert.equal(planRestore([files[0], thinned, next], at(40, TWO)), undefined)
})

test('no way has fewer bytes than the one that is taken', () => {
  const txid = fc.integer({ min: 0, max: 12 })
  const places = fc.record({ incarnation: fc.constantFrom(ONE, TWO), txid })
  const file = fc.oneof(
    fc
      .tuple(places, fc.integer({ min: 1, max: 50 }))
      .map(([where, bytes]) => snapshot(where, bytes)),
    fc
      .tuple(places, places, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 3 }))
      .filter(([from, to]) => from.txid < to.txid)
      .map(([from, to, bytes, level]) => changes(from, to, bytes, level)),
  )
  const unique = fc.uniqueArray(file, {
    maxLength: 14,
    selector: ({ name: each }) => formatArchiveName(each),
  })
  fc.assert(
    fc.property(unique, places, (files, target) =>
      assert.equal(planRestore(files, target)?.bytes ?? Infinity, fewestBytes(files, target)),
    ),
    { numRuns: 500 },
  )
})

/** Retention alone: whatever the archive and the policy, what is promised keeps a way to it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ArchivedPlace, type ArchiveName, isThinned } from '../../../proto/archiveNames.ts'
import { byEnd, type DatedPiece, keyOf, UNKNOWN } from '../../../src/backup/datedPieces.ts'
import { planRestore } from '../../../src/backup/restorePlan.ts'
import { retainNoted } from '../../../src/backup/retention/notedRetention.ts'
import { DAY_MS, HOUR_MS, periodStart } from '../../../src/backup/retention/periods.ts'
import { type Retention, retain } from '../../../src/backup/retention/retain.ts'
import { type KeepPolicy, parseKeep } from '../../../src/options/keepPolicy.ts'
import { ONE } from '../../support/archives.ts'

const T = Date.UTC(2026, 0, 1)
const STEP_MS = 6 * HOUR_MS
const HEADER = {
  ...{ kind: 'changes' as const, cluster: 'c', db: 'main', incarnation: ONE, epoch: 1 },
  ...{ pageSize: 4096, codec: 'none' as const, blockPages: 1, fromIncarnation: ONE, fromEpoch: 1 },
  ...{ fromTxid: 0, fromChecksum: '', createdMs: 0, node: '', writer: '' },
}

const timeOf = (txid: number) => T + txid * STEP_MS
const at = (txid: number) => ({ incarnation: ONE, txid })
const nameOf = (fields: object) => ({ part: 1, isLast: true, ...fields }) as ArchiveName

function piece(name: ArchiveName, bytes: number, firstTxid: number, points: number): DatedPiece {
  const txid = name.kind === 'snapshot' ? name.txid : name.to.txid
  const times = { firstMs: timeOf(firstTxid), lastMs: timeOf(txid) }
  const about = { ...times, points, images: 1, checksum: '', header: HEADER }
  const files = [{ name, bytes }]
  return {
    name,
    key: keyOf({ name }),
    bytes,
    files,
    about,
    dates: times,
    epoch: 1,
    isEncrypted: false,
    isUnsound: false,
  }
}

const changes = (from: number, to: number, bytes: number, level = 0) =>
  piece(
    nameOf({ kind: 'changes', from: at(from), to: at(to), level }),
    bytes,
    level > 3 ? to : from + 1,
    level > 3 ? 1 : to - from,
  )
const snapshot = (txid: number, bytes: number) =>
  piece(nameOf({ kind: 'snapshot', ...at(txid) }), bytes, txid, 1)

/** What rounds leave of an archive, when all that they say is done. */
function after(pieces: readonly DatedPiece[], { thin, remove }: Retention): DatedPiece[] {
  const thinned = thin.map(({ name, pieces: run }) => {
    const bytes = Math.max(...run.map((each) => each.bytes))
    return changes(name.from.txid, name.to.txid, bytes, name.level)
  })
  return [...pieces.filter((each) => !remove.includes(each)), ...thinned].toSorted(byEnd)
}

function settled(
  given: readonly DatedPiece[],
  policy: KeepPolicy,
  nowMs: number,
  held: readonly ArchivedPlace[] = [],
) {
  let pieces = given
  for (let round = 0; round < 10; round++) {
    const verified = new Set(pieces.map(({ key }) => key))
    const clock = { nowMs, storeMs: nowMs }
    const of = retain({ pieces, policy, clock, held, verified, changeFactor: 1 })
    if (of.thin.length + of.remove.length === 0) return { pieces, retention: of }
    pieces = after(pieces, of)
  }
  return assert.fail('it never settles')
}

const archive = fc.record({
  /** Positions of each file, and bytes. */
  files: fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 90 })), {
    minLength: 1,
    maxLength: 250,
  }),
  snapshots: fc.array(fc.integer({ min: 0, max: 250 }), { maxLength: 8 }),
  keep: fc.constantFrom(
    ...['7d:all,60d:daily,2y:monthly', '1d:all,4w:weekly,1y:yearly', '30d:daily', '2', '3d:all,3'],
    ...['12h:all,5d:hourly,20d:daily', '7d:all,60d:daily,1MiB'],
  ),
})

type Made = typeof archive extends fc.Arbitrary<infer Value> ? Value : never

function piecesOf(files: readonly (readonly [number, number])[], snapshots: readonly number[]) {
  let txid = 0
  const pieces = [snapshot(0, 500)]
  for (const [i, [points, bytes]] of files.entries()) {
    pieces.push(changes(txid, txid + points, bytes))
    txid += points
    if (snapshots.includes(i)) pieces.push(snapshot(txid, 500))
  }
  return { pieces: pieces.toSorted(byEnd), last: txid }
}

/** Ends of files that the policy promises. */
function promised(pieces: readonly DatedPiece[], policy: KeepPolicy, nowMs: number): number[] {
  const ends = pieces.flatMap(({ name }) =>
    name.kind === 'changes' ? [name.to.txid] : [name.txid],
  )
  return policy.windows.flatMap(({ grain, ageMs }) => {
    const young = ends.filter((txid) => nowMs - timeOf(txid) <= ageMs)
    if (grain === 'all') return young
    const period = { hourly: 'hour', daily: 'day', weekly: 'week' } as const
    const other = { monthly: 'month', yearly: 'year' } as const
    const last = new Map(
      ends.map((txid) => [periodStart({ ...period, ...other }[grain], timeOf(txid)), txid]),
    )
    return young.filter((txid) => [...last.values()].includes(txid))
  })
}

test('what a policy promises keeps a way, and so do the newest snapshot and what follows', () => {
  fc.assert(
    fc.property(archive, ({ files, snapshots, keep }) => {
      const policy = parseKeep(keep)
      const { pieces, last } = piecesOf(files, snapshots)
      const nowMs = timeOf(last) + HOUR_MS
      const { pieces: left } = settled(pieces, policy, nowMs)
      const stored = left.flatMap((each) => each.files)
      const newest = pieces.filter(({ name }) => name.kind === 'snapshot').slice(-policy.snapshots)
      for (const each of newest) assert.ok(left.includes(each), each.key)
      for (const txid of [last, ...promised(pieces, policy, nowMs)])
        assert.ok(planRestore(stored, at(txid)), `txid ${txid} of ${last}`)
      // Each position of the youngest days, and not only ends of files.
      const all = policy.windows.find(({ grain }) => grain === 'all')?.ageMs ?? -1
      for (let txid = 1; txid <= last; txid++)
        if (nowMs - timeOf(txid) <= all) assert.ok(planRestore(stored, at(txid)), `txid ${txid}`)
    }),
    { numRuns: 60 },
  )
})

test('what is promised and reached without unsound files stays so, and no unsound one goes', () => {
  const numbers = fc.array(fc.nat(), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(archive, numbers, ({ files, snapshots, keep }, unsound) => {
      const policy = parseKeep(keep)
      const { pieces: sound, last } = piecesOf(files, snapshots)
      const indexes = new Set(unsound.map((number) => number % sound.length))
      const pieces = sound.map((each, i) => ({ ...each, isUnsound: indexes.has(i) }))
      const nowMs = timeOf(last) + HOUR_MS
      const { pieces: left } = settled(pieces, policy, nowMs)
      const soundFiles = (all: readonly DatedPiece[]) =>
        all.filter(({ isUnsound }) => !isUnsound).flatMap((each) => each.files)
      const [before, stored] = [soundFiles(pieces), soundFiles(left)]
      const all = policy.windows.find(({ grain }) => grain === 'all')?.ageMs ?? -1
      const young = Array.from({ length: last }, (_, i) => i + 1).filter(
        (txid) => nowMs - timeOf(txid) <= all,
      )
      for (const txid of [last, ...promised(pieces, policy, nowMs), ...young])
        if (planRestore(before, at(txid))) assert.ok(planRestore(stored, at(txid)), `txid ${txid}`)
      const clock = { nowMs, storeMs: nowMs }
      const verified = new Set(pieces.map(({ key }) => key))
      const input = { policy, clock, held: [], verified, changeFactor: 1 }
      const { remove } = retain({ ...input, pieces })
      const known = retain({ ...input, pieces: sound }).remove.map(({ key }) => key)
      for (const { key } of remove) assert.ok(known.includes(key), `${key} goes for it`)
    }),
    { numRuns: 60 },
  )
})

/** An archive where the note of a file keeps more. Few of those made at random are like that. */
const NOTED_KEEPS: [Made, number[], number] = [
  {
    files: [
      [2, 25],
      [2, 78],
      [4, 37],
    ],
    snapshots: [197, 1, 126, 162],
    keep: '7d:all,60d:daily,1MiB',
  },
  [201234498],
  33,
]

test('notes of broken files make nothing go and nothing thinner, whatever a size says', () => {
  const numbers = fc.array(fc.nat(), { minLength: 1, maxLength: 4 })
  const megabytes = fc.integer({ min: 1, max: 40 })
  let more = 0
  fc.assert(
    fc.property(archive, numbers, megabytes, ({ files, snapshots, keep }, noted, size) => {
      const { pieces: plain, last } = piecesOf(files, snapshots)
      const { windows, snapshots: newest } = parseKeep(keep)
      const policy = { windows, snapshots: newest, maxBytes: size * 20 }
      const keys = new Set(noted.map((number) => plain[number % plain.length].key))
      const pieces = plain.map((each) => ({ ...each, isUnsound: keys.has(each.key) }))
      const nowMs = timeOf(last) + HOUR_MS
      const verified = new Set(pieces.map(({ key }) => key))
      const about = { policy, clock: { nowMs, storeMs: nowMs }, held: [], verified }
      const without = retain({ ...about, pieces: plain, changeFactor: 1 })
      const gone = new Set(without.remove.map(({ key }) => key))
      const thinned = new Set(without.thin.flatMap((run) => run.pieces.map(({ key }) => key)))
      const { remove, thin, kept } = retainNoted({ ...about, pieces, changeFactor: 1 }, keys)
      for (const { key } of remove) assert.ok(gone.has(key), `${key} goes`)
      for (const { key } of thin.flatMap((run) => run.pieces))
        assert.ok(gone.has(key) || thinned.has(key), `${key} is thinned`)
      assert.equal(kept.length + remove.length, pieces.length)
      if (remove.length < gone.size) more++
    }),
    { numRuns: 150, examples: [NOTED_KEEPS] },
  )
  assert.ok(more > 0, 'no note ever kept anything')
})

test('a snapshot behind an unsound file stays while what follows it is promised', () => {
  const files = Array.from({ length: 20 }, () => [1, 10] as const)
  const { pieces: sound, last } = piecesOf(files, [9, 15])
  const pieces = sound.map((each) => ({ ...each, isUnsound: each.key === changes(5, 6, 10).key }))
  const { pieces: left, retention } = settled(pieces, parseKeep('7d:all'), timeOf(last))
  const behind = snapshot(10, 500).key
  assert.ok(left.some(({ key }) => key === behind))
  // Neither the file nor those that only it leads to.
  assert.equal(retention.restorable[0].positions, 5 + 10 + left.filter(isSnapshot).length)
  const { pieces: later } = settled(left, parseKeep('7d:all'), timeOf(last) + 20 * DAY_MS)
  assert.ok(!later.some(({ key }) => key === behind))
})

function isSnapshot({ name }: DatedPiece): boolean {
  return name.kind === 'snapshot'
}

test('positions with a name stay, whatever the policy says', () => {
  const named = fc.array(fc.nat(), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(archive, named, ({ files, snapshots, keep }, numbers) => {
      const { pieces, last } = piecesOf(files, snapshots)
      const txids = numbers.map((number) => 1 + (number % last))
      const nowMs = timeOf(last) + HOUR_MS
      const { pieces: left } = settled(pieces, parseKeep(keep), nowMs, txids.map(at))
      const stored = left.flatMap((each) => each.files)
      for (const txid of txids) {
        const way = planRestore(stored, at(txid))
        assert.ok(way, `txid ${txid} of ${last}`)
        // A file that was thinned has only its last position.
        const end = way.changes.at(-1)?.name
        if (end?.kind === 'changes') assert.ok(end.to.txid === txid || !isThinned(end))
      }
    }),
    { numRuns: 60 },
  )
})

test('old positions go, a day at a time, and the files become few', () => {
  const files = Array.from({ length: 1600 }, () => [1, 40] as const)
  const { pieces, last } = piecesOf(files, [400, 800, 1200, 1500])
  const { pieces: left, retention } = settled(pieces, parseKeep('7d:all,60d:daily'), timeOf(last))
  assert.ok(left.length < 7 * 4 + 60 + 20, `${left.length}`)
  const grains = retention.restorable.map(({ grain, positions }) => `${grain} ${positions}`)
  assert.match(grains.join(', '), /all \d+.*daily \d\d/)
  assert.equal(
    planRestore(
      left.flatMap((each) => each.files),
      at(100),
    ),
    undefined,
  )
})

test('a size takes whole chains from the old end, and never the last day', () => {
  const files = Array.from({ length: 100 }, () => [1, 300_000] as const)
  const { pieces, last } = piecesOf(files, [30, 60, 90])
  const { pieces: left, retention } = settled(pieces, parseKeep('90d:all,10MiB'), timeOf(last))
  const bytes = left.reduce((sum, each) => sum + each.bytes, 0)
  assert.ok(bytes <= 10 * 1024 ** 2 && bytes > 2e6, `${bytes}`)
  assert.equal(retention.overBytes, 0)
  const tight = settled(pieces, parseKeep('90d:all,1MiB'), timeOf(last))
  const stored = tight.pieces.flatMap((each) => each.files)
  for (let txid = last - 4; txid <= last; txid++) assert.ok(planRestore(stored, at(txid)))
  assert.ok(tight.retention.overBytes > 0)
})

test('a clock that was three days ahead for a while removes nothing that two days keep', () => {
  const { pieces: right } = piecesOf(
    Array.from({ length: 20 }, () => [1, 10] as const),
    [19],
  )
  const policy = parseKeep('2d:all')
  const wrong = changes(20, 21, 10)
  const lastMs = timeOf(21) + 3 * DAY_MS
  const pieces = [...right, { ...wrong, dates: { firstMs: lastMs, lastMs } }]
  const verified = new Set(pieces.map(({ key }) => key))
  const rest = { pieces, policy, held: [], verified, changeFactor: 1 }
  const { kept } = retain({ ...rest, clock: { nowMs: lastMs } })
  const stored = kept.flatMap((each) => each.files)
  // Without a store's clock it ages by one day at most.
  for (let txid = 20 - (2 * DAY_MS - DAY_MS) / STEP_MS; txid <= 21; txid++)
    assert.ok(planRestore(stored, at(txid)), `txid ${txid}`)
})

test('without a snapshot, without dates and without a policy everything stays', () => {
  const { pieces } = piecesOf(
    [
      [2, 10],
      [2, 10],
      [2, 10],
    ],
    [1],
  )
  const nowMs = timeOf(6) + 900 * DAY_MS
  const input = { clock: { nowMs, storeMs: nowMs }, held: [], verified: new Set<string>() }
  const rest = { ...input, changeFactor: 1 }
  const orphans = pieces.filter(({ name }) => name.kind === 'changes')
  const policy = parseKeep('1d:all')
  assert.deepEqual(retain({ ...rest, policy, pieces: orphans }).remove, [])
  const unknown = pieces.map((each) => ({ ...each, ...UNKNOWN }))
  assert.deepEqual(retain({ ...rest, policy, pieces: unknown }).remove, [])
  assert.deepEqual(retain({ ...rest, policy: undefined, pieces }).remove, [])
})

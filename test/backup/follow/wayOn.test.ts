/** Which changes of an archive lead on from a position. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { wayOn } from '../../../src/backup/follow/wayOn.ts'
import type { BadPieces } from '../../../src/backup/historyPositions.ts'
import { pieceName, piecesOf, type StoredFile } from '../../../src/backup/restorePlan.ts'
import { WalcastError } from '../../../src/errors.ts'
import { ONE, TWO } from '../../support/archives.ts'

const ALONE = { part: 1, isLast: true }
const at = (txid: number, incarnation = ONE): ArchivedPlace => ({ incarnation, txid })
const snapshot = (place: ArchivedPlace): StoredFile => ({
  name: { kind: 'snapshot', ...place, ...ALONE },
  bytes: 1,
})
const changes = (from: ArchivedPlace, to: ArchivedPlace, level = 0): StoredFile => ({
  name: { kind: 'changes', from, to, level, ...ALONE },
  bytes: 10,
})
const headOf = (id: string, epoch: number) =>
  [id, { id, epoch, cluster: 'a', db: 'main', node: 'node-a' }] as const
const HEADS = new Map([headOf(ONE, 1), headOf(TWO, 2)])

async function onFrom(files: readonly StoredFile[], place: ArchivedPlace, broken?: StoredFile) {
  const bad: BadPieces = new Map()
  if (broken) bad.set(pieceName(broken.name), new WalcastError('ARCHIVE_MISSING'))
  const own = { pieces: piecesOf(files), heads: HEADS }
  return wayOn(own, place, bad, new Set(), async () => true)
}

test('files follow each other; without newer ones nothing is to be done', async () => {
  const files = [snapshot(at(5)), changes(at(5), at(8)), changes(at(8), at(9))]
  assert.deepEqual(await onFrom(files, at(5)), {
    kind: 'way',
    files: files.slice(1),
    isWhole: true,
  })
  assert.deepEqual(await onFrom(files, at(9)), { kind: 'level' })
  assert.deepEqual(await onFrom(files, at(10)), { kind: 'level' })
})

test('a merged file is entered where the position is, whatever it begins with', async () => {
  for (const level of [1, 4]) {
    const merged = changes(at(2), at(20), level)
    const on = await onFrom([snapshot(at(2)), merged], at(7))
    assert.deepEqual(on, { kind: 'way', files: [merged], isWhole: true })
  }
  const [merged, exact] = [changes(at(2), at(20), 1), changes(at(7), at(20), 1)]
  const on = await onFrom([merged, exact], at(7))
  assert.deepEqual(on, { kind: 'way', files: [exact], isWhole: true })
})

test('another incarnation goes on from the position, or has left it behind', async () => {
  const fork = changes(at(8), at(12, TWO))
  const files = [snapshot(at(5)), changes(at(5), at(8)), fork]
  assert.deepEqual(await onFrom(files, at(8)), { kind: 'way', files: [fork], isWhole: true })
  assert.deepEqual(await onFrom([fork], at(8)), { kind: 'way', files: [fork], isWhole: true })
  const lost = changes(at(8), at(10))
  assert.deepEqual(await onFrom([...files, lost], at(10)), { kind: 'left' })
  // Of an archive without the incarnation nobody knows whether it is one of the same database.
  assert.deepEqual(await onFrom([snapshot(at(12, TWO))], at(10)), { kind: 'foreign' })
  assert.deepEqual(await onFrom([snapshot(at(12, TWO))], at(10), lost), { kind: 'left' })
  // The branch begins inside a file, which is left there.
  const longer = changes(at(5), at(10))
  assert.deepEqual(await onFrom([snapshot(at(5)), longer, fork], at(6)), {
    kind: 'way',
    files: [{ ...longer, upTo: 8 }, fork],
    isWhole: true,
  })
})

test('before a gap it goes as far as files lead', async () => {
  const files = [
    snapshot(at(5)),
    changes(at(5), at(6)),
    changes(at(6), at(7)),
    changes(at(9), at(11)),
    snapshot(at(11)),
  ]
  const [, first, second] = files
  const way = (...each: StoredFile[]) => ({ kind: 'way', files: each, isWhole: false })
  assert.deepEqual(await onFrom(files, at(5)), way(first, second))
  assert.deepEqual(await onFrom(files, at(5), second), way(first))
  assert.deepEqual(await onFrom(files, at(7)), { kind: 'gap' })
})

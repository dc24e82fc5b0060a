/** Merged files hold all that was in their inputs, folded ones the last image of each page. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ArchiveName } from '../../../proto/archiveNames.ts'
import { ArchiveFiles } from '../../../src/backup/archiveFiles.ts'
import { foldPieces } from '../../../src/backup/compaction/foldPieces.ts'
import { mergeChanges } from '../../../src/backup/compaction/mergeChanges.ts'
import { type DatedPiece, DatedPieces } from '../../../src/backup/datedPieces.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { keyOf } from '../../../src/errors.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { ONE, TWO } from '../../support/archives.ts'
import {
  checksumAt,
  type Moment,
  momentsOf,
  putChanges,
  putSnapshot,
  randomSteps,
} from '../../support/longArchives.ts'
import { seededRandom } from '../../support/seededRandom.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-merges-'))
after(() => rmSync(root, { recursive: true, force: true }))

const signal = new AbortController().signal
const STAMP = { createdMs: 7, node: 'node-b', writer: 'test' }
const ALONE = { part: 1, isLast: true }

let made = 0
interface Site {
  readonly folder: string
  readonly store: DirectoryStore
  readonly files: ArchiveFiles
  readonly moments: readonly Moment[]
  readonly pageSize: number
  pieces(): Promise<readonly DatedPiece[]>
}

/** A snapshot of the first moment, and files of changes with one to three moments each. */
async function site(pageSize: number, count: number, seed: number): Promise<Site> {
  const folder = join(root, String(++made))
  const store = new DirectoryStore(folder, systemFileOps)
  const files = new ArchiveFiles(store)
  const steps = randomSteps(count, seededRandom(seed))
  const moments = momentsOf(join(root, `${made}.db`), pageSize, steps, (i) => ({
    incarnation: ONE,
    timeMs: 1000 + i,
  }))
  await putSnapshot(store, moments[0], pageSize)
  for (let from = 0; from < count - 1; ) {
    const to = Math.min(count - 1, from + 1 + (from % 3))
    await putChanges(store, moments.slice(from, to + 1), pageSize, from % 5 === 4 ? 3 : 1)
    from = to
  }
  const pieces = async () => (await new DatedPieces(store, files).look(1000, signal)).pieces
  return { folder, store, files, moments, pageSize, pieces }
}

async function clear({ store }: Site, pieces: readonly DatedPiece[]): Promise<void> {
  const files = new ArchiveFiles(store)
  for (const { name } of pieces.flatMap((piece) => piece.files)) await files.remove(name)
}

async function requireAll(
  { store, moments }: Site,
  wanted: (moment: Moment, i: number) => boolean,
): Promise<void> {
  for (const [i, moment] of moments.entries())
    if (wanted(moment, i))
      assert.equal(await checksumAt(store, moment, root), moment.checksum, `txid ${moment.txid}`)
}

const changesOf = (pieces: readonly DatedPiece[]) =>
  pieces.filter(({ name }) => name.kind === 'changes')

function spanOf(pieces: readonly DatedPiece[], level: number) {
  const [{ name: first }, { name: last }] = [pieces[0], pieces[pieces.length - 1]]
  if (first.kind !== 'changes' || last.kind !== 'changes') throw new Error('no changes')
  return { kind: 'changes' as const, from: first.from, to: last.to, level, ...ALONE }
}

for (const pageSize of [512, 4096])
  test(`a merged file holds every position, time and page (${pageSize} bytes)`, async () => {
    const it = await site(pageSize, 40, pageSize)
    const all = await it.pieces()
    const inputs = changesOf(all)
    assert.ok(inputs.some(({ files }) => files.length === 3))
    const name = spanOf(inputs, 1)
    await mergeChanges(it.files, inputs, name, STAMP, signal)
    await clear(it, inputs)
    await requireAll(it, () => true)
    const { file, close } = await it.files.open(name)
    await close()
    assert.deepEqual(
      file.points.map(({ txid, timeMs, checksum, pages }) => [txid, timeMs, checksum, pages]),
      it.moments
        .slice(1)
        .map(({ txid, timeMs, checksum, bytes }) => [
          ...[txid, timeMs, checksum],
          bytes.length / pageSize,
        ]),
    )
    assert.deepEqual({ ...file.header, ...STAMP }, file.header)
  })

for (const pageSize of [512, 4096])
  for (const sortBytes of [pageSize, 20 * pageSize, undefined])
    test(`a snapshot is made of another and the changes, ${sortBytes} of ${pageSize}`, async () => {
      const it = await site(pageSize, 40, 3)
      const all = await it.pieces()
      const { txid, incarnation } = it.moments[39]
      const name: ArchiveName = { kind: 'snapshot', txid, incarnation, ...ALONE }
      const options = {
        ...{ stamp: STAMP, signal },
        ...(sortBytes === undefined ? {} : { sortBytes, partBytes: 3 * sortBytes }),
      }
      const names = await foldPieces(it.files, all, name, options)
      assert.equal(names?.length === 1, sortBytes === undefined)
      // Compared with what is there: nothing is written.
      assert.deepEqual(await foldPieces(it.files, all, name, options, names), names)
      await clear(it, all)
      assert.deepEqual(
        (await it.pieces()).map((piece) => piece.files.map((file) => file.name)),
        [names],
      )
      await requireAll(it, (moment) => moment.txid === txid)
      assert.equal(await checksumAt(it.store, it.moments[38], root), undefined)
      // And the next one of that, which has several parts.
      const again = { ...name, txid: txid + 1 }
      await putChanges(it.store, [it.moments[39], { ...it.moments[0], txid: txid + 1 }], pageSize)
      await foldPieces(it.files, await it.pieces(), again, { stamp: STAMP, signal })
      await clear(it, changesOf(await it.pieces()))
      assert.equal(await checksumAt(it.store, again, root), it.moments[0].checksum)
    })

test('thinned files lead to their ends alone, over shrinks and in several parts', async () => {
  for (const sortBytes of [2 * 512, undefined]) {
    const it = await site(512, 40, 11)
    const all = await it.pieces()
    const inputs = changesOf(all)
    const runs = [inputs.slice(0, 3), inputs.slice(3, 10), inputs.slice(10)]
    for (const run of runs)
      await foldPieces(it.files, run, spanOf(run, 5), {
        ...{ stamp: STAMP, signal },
        ...(sortBytes === undefined ? {} : { sortBytes, partBytes: sortBytes }),
      })
    await clear(it, inputs)
    const ends = runs.map((run) => spanOf(run, 5).to.txid)
    await requireAll(it, ({ txid }, i) => i === 0 || ends.includes(txid))
    for (const { txid, incarnation } of it.moments.slice(1))
      if (!ends.includes(txid))
        assert.equal(await checksumAt(it.store, { txid, incarnation }, root), undefined)
    assert.ok((await it.pieces()).every(({ files }) => sortBytes || files.length === 1))
  }
})

test('files that do not follow each other are not put together, and stay', async () => {
  const it = await site(512, 12, 5)
  const inputs = changesOf(await it.pieces())
  const before = readdirSync(join(it.folder, 'changes/0'))
  const without = inputs.filter((_, i) => i !== 2)
  const isGap = (error: unknown) => keyOf(error) === 'ARCHIVE_GAP'
  const name = spanOf(without, 1)
  await assert.rejects(mergeChanges(it.files, without, name, STAMP, signal), isGap)
  await assert.rejects(
    foldPieces(it.files, without, { ...name, level: 5 }, { stamp: STAMP, signal }),
    isGap,
  )
  // Of another state: the same txid, and another database.
  const [a, b] = [it.moments[11], { ...it.moments[3], txid: 900 }]
  await putChanges(it.store, [{ ...a, checksum: '0123456789abcdef' }, b], 512)
  const withOther = changesOf(await it.pieces())
  const other = spanOf(withOther, 1)
  await assert.rejects(mergeChanges(it.files, withOther, other, STAMP, signal), (error) => {
    assert.match(String(error), /changes\/0\/\d+-000000000000900-.*in another state/)
    return isGap(error)
  })
  const two = { ...it.moments[4], txid: 901, incarnation: TWO }
  await putChanges(it.store, [b, two], 512)
  const mixed = changesOf(await it.pieces()).slice(-2)
  await assert.rejects(mergeChanges(it.files, mixed, spanOf(mixed, 1), STAMP, signal), isGap)
  const left = readdirSync(join(it.folder, 'changes/0'))
  assert.deepEqual(left.slice(0, before.length), before)
  assert.deepEqual(await it.store.list('changes/1'), [])
  assert.deepEqual(await it.store.list('changes/5'), [])
})

test('a snapshot whose pages give another state gets no name', async () => {
  const it = await site(512, 6, 9)
  const [last] = it.moments.slice(-1)
  const lied = { ...last, txid: 900, checksum: '00000000000000ff' }
  await putChanges(it.store, [last, lied], 512)
  const name: ArchiveName = { kind: 'snapshot', txid: 900, incarnation: ONE, ...ALONE }
  await assert.rejects(
    foldPieces(it.files, await it.pieces(), name, { stamp: STAMP, signal }),
    (error) => keyOf(error) === 'ARCHIVE_MISMATCH',
  )
  assert.equal(readdirSync(join(it.folder, 'snapshots')).length, 1)
})

/** What is asked for is found in an archive in a folder, and bad files are gone round or named. */
import assert from 'node:assert/strict'
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { Archive } from '../../src/backup/archive.ts'
import { checkedFiles } from '../../src/backup/archiveCheck.ts'
import { ArchiveRestore, type PlannedRestore } from '../../src/backup/archiveRestore.ts'
import { type ArchiveSummary, summaryOf } from '../../src/backup/archiveSummary.ts'
import { HeldFiles } from '../../src/backup/heldFiles.ts'
import { clusterArchive, type Wanted } from '../../src/backup/restoreTarget.ts'
import { removeFiles } from '../../src/backup/retention/removeFiles.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import { openStore } from '../../src/backup/stores/openStore.ts'
import { keyOf, WalcastError } from '../../src/errors.ts'
import { createFileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { wallMs } from '../../src/platform/time.ts'
import { type FolderFile, flipBit, timeOfTxid, writeArchive } from '../support/archiveFolders.ts'
import { ONE, type State, statesOf, TWO } from '../support/archives.ts'

const PAGE_SIZE = 512
const root = mkdtempSync(join(tmpdir(), 'walcast-archives-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** Txids 100 to 107. */
let states: State[] = []
before(() => {
  states = statesOf(join(root, 'source.db'), PAGE_SIZE)
})

let made = 0
const newPath = () => join(root, `made-${++made}`)

/** Two snapshots; a second leader follows the first at 104; two files of changes of each. */
const FILES: readonly FolderFile[] = [
  { kind: 'snapshot', incarnation: ONE, states: [0] },
  { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2] },
  { kind: 'changes', incarnation: ONE, from: 2, states: [3, 4] },
  { kind: 'changes', incarnation: TWO, epoch: 2, from: 4, after: ONE, states: [5] },
  { kind: 'snapshot', incarnation: TWO, epoch: 2, states: [6] },
  { kind: 'changes', incarnation: TWO, epoch: 2, from: 5, states: [6] },
  { kind: 'changes', incarnation: TWO, epoch: 2, from: 6, states: [7] },
]

async function newArchive(files: readonly FolderFile[] = FILES) {
  const folder = newPath()
  return { folder, names: await writeArchive(folder, states, PAGE_SIZE, files) }
}

async function listOf(folder: string) {
  return Archive.list(await openStore(folder, systemFileOps))
}

/** What a restore gives: the txid and the history, or the error. */
async function restored(folder: string, wanted: Wanted, isAsFarAsPossible = false) {
  const bad: string[] = []
  const run = new ArchiveRestore({
    wanted,
    isAsFarAsPossible,
    list: async (found) => clusterArchive(await listOf(folder), wanted.cluster, found),
    onBad: (name) => bad.push(name),
  })
  const path = newPath()
  let plan: { readonly isLast: boolean; readonly isCutOff: boolean } | undefined
  const { txid, incarnation, epoch } = await run.run(path, {}, systemFileOps, ({ target }) => {
    plan = target
  })
  const state = states.find((each) => each.txid === txid)
  assert.ok(state && readFileSync(path).equals(state.bytes), `txid ${txid}`)
  return { txid, incarnation, epoch, bad, isLast: plan?.isLast, isCutOff: plan?.isCutOff }
}

async function refusal(folder: string, wanted: Wanted, isAsFar = false): Promise<WalcastError> {
  try {
    await restored(folder, wanted, isAsFar)
  } catch (error) {
    assert.ok(error instanceof WalcastError, String(error))
    return error
  }
  return assert.fail('it was restored')
}

test('positions are found by txid, by name, by time, and the newest', async () => {
  const { folder } = await newArchive()
  for (let txid = 100; txid <= 107; txid++) {
    const [incarnation, epoch] = txid <= 104 ? [ONE, 1] : [TWO, 2]
    const wanted = { txid, incarnation, epoch, bad: [], isLast: txid === 107, isCutOff: false }
    assert.deepEqual(await restored(folder, { txid }), wanted)
    assert.equal((await restored(folder, { txid, epoch })).txid, txid)
    for (const atMs of [timeOfTxid(txid), timeOfTxid(txid) + 59_999])
      assert.deepEqual(await restored(folder, { atMs }), wanted)
  }
  assert.equal((await restored(folder, {})).txid, 107)
  assert.equal((await restored(folder, { incarnation: ONE })).txid, 104)
})

test('what there is not is refused, and what lies beside it is named', async () => {
  const { folder } = await newArchive([
    FILES[0],
    { kind: 'changes', incarnation: ONE, from: 0, states: [2] },
    { kind: 'changes', incarnation: ONE, from: 2, states: [4] },
  ])
  for (const [wanted, pattern] of [
    [{ txid: 99 }, /no txid 99; the nearest: 1-100 of /],
    [{ txid: 103 }, /no txid 103; the nearest: 1-102 of .* and 1-104 of /],
    [{ txid: 105 }, /no txid 105; the nearest: 1-104 of /],
    [{ txid: 102, epoch: 3 }, /no position 3-102; the nearest: 1-102 of /],
    [{ atMs: timeOfTxid(100) - 1 }, /the first one is 1-100 of /],
    [{ incarnation: TWO }, new RegExp(`no incarnation ${TWO}; it has ${ONE}`)],
  ] as const) {
    const error = await refusal(folder, wanted)
    assert.equal(error.key, 'POSITION_NOT_ARCHIVED')
    assert.match(error.message, pattern)
  }
})

test('what a lost leader had alone is restored only when it is named', async () => {
  const { folder } = await newArchive([
    ...FILES,
    { kind: 'changes', incarnation: ONE, from: 4, states: [5, 6] },
  ])
  assert.deepEqual((await restored(folder, { txid: 105 })).incarnation, TWO)
  assert.deepEqual((await restored(folder, { txid: 105, epoch: 1 })).incarnation, ONE)
  const lost = await restored(folder, { incarnation: ONE })
  assert.deepEqual([lost.txid, lost.incarnation, lost.isLast], [106, ONE, true])
})

test('a coarse file is used for what it has, and a fine one for the rest', async () => {
  const coarse: FolderFile = { kind: 'changes', incarnation: ONE, from: 0, states: [4], level: 1 }
  const { folder } = await newArchive([FILES[0], FILES[1], FILES[2], coarse])
  for (const txid of [101, 102, 103, 104])
    assert.equal((await restored(folder, { txid })).txid, txid)
  assert.equal((await restored(folder, { atMs: timeOfTxid(103) })).txid, 103)
})

test('another way leads round a bad file, which is named', async () => {
  const { folder, names } = await newArchive()
  flipBit(folder, names[5], 0.5)
  const found = await restored(folder, {})
  assert.deepEqual([found.txid, found.isCutOff], [107, false])
  rmSync(join(folder, names[1]))
  assert.equal((await restored(folder, {})).txid, 107)
})

test('one changed bit anywhere is never a good restore', async () => {
  const whole = await newArchive()
  for (const [i, name] of whole.names.entries())
    for (const at of [0.001, 0.3, 0.8, 0.98]) {
      const folder = newPath()
      cpSync(whole.folder, folder, { recursive: true })
      flipBit(folder, name, at)
      const {
        bad: [bad],
      } = await checkedFiles(await listOf(folder))
      assert.equal(bad?.name, name, `${name} at ${at}`)
      // `restored` compares the file with the state of the txid that it claims.
      const far = await restored(folder, { txid: 105 }, true).catch((error) => keyOf(error))
      if (typeof far === 'object' && i < 4) assert.ok(far.txid < 105, name)
      rmSync(folder, { recursive: true })
    }
})

test('the error names the bad file and both sides, and the last before it can be had', async () => {
  const { folder, names } = await newArchive()
  flipBit(folder, names[2], 0.99)
  const error = await refusal(folder, { txid: 104 })
  assert.equal(error.key, 'ARCHIVE_GAP')
  const sides = /the last position before is 1-102 of .*, the first one after is 2-106 of /
  assert.match(error.message, sides)
  assert.match(error.message, /104-1{16}\.wca is not sound: /)
  assert.match(error.cure, /--as-far-as-possible restores 1-102/)
  const far = await restored(folder, { txid: 104 }, true)
  assert.deepEqual([far.txid, far.bad, far.isCutOff], [102, [names[2]], true])
  assert.equal((await refusal(folder, { atMs: timeOfTxid(103) })).key, 'ARCHIVE_GAP')
  assert.equal((await restored(folder, {})).txid, 107, 'by the snapshot behind it')
})

test('of a file with a bad end all before it can be had', async () => {
  const { folder, names } = await newArchive([
    FILES[0],
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3, 4] },
  ])
  flipBit(folder, names[1], 0.7)
  const far = await restored(folder, {}, true)
  assert.ok(far.txid > 100 && far.txid < 104, String(far.txid))
  assert.deepEqual(far.bad, [names[1]])
  const error = await refusal(folder, {})
  assert.match(error.cure, new RegExp(`restores 1-${far.txid}`))
})

test('what is missing or cannot be read at the end is not passed over', async () => {
  const { folder, names } = await newArchive(FILES.slice(0, 4))
  cpSync(join(folder, names[3]), join(root, 'kept.wca'))
  flipBit(folder, names[3], 0.0)
  assert.equal((await refusal(folder, {})).key, 'ARCHIVE_GAP')
  assert.equal((await restored(folder, {}, true)).txid, 104)
  assert.equal((await restored(folder, { txid: 104 })).txid, 104)
  copyFileSync(join(root, 'kept.wca'), join(folder, names[3]))
  rmSync(join(folder, names[2]))
  const error = await refusal(folder, {})
  assert.match(error.message, /the changes from txid 102 to 104 are missing/)
  assert.match(error.cure, /restores 1-102/)
  assert.equal((await restored(folder, {}, true)).txid, 102)
  rmSync(join(folder, names[0]))
  assert.match((await refusal(folder, {}, true)).message, /no position before is left/)
})

test('a file under the name of another one is not taken for it', async () => {
  const { folder, names } = await newArchive(FILES.slice(0, 3))
  copyFileSync(join(folder, names[1]), join(folder, names[2]))
  const error = await refusal(folder, {})
  assert.match(error.message, /holds something else than its name says/)
})

test('archives of two clusters in one place are told apart', async () => {
  const { folder } = await newArchive(FILES.slice(0, 2))
  await writeArchive(folder, states, PAGE_SIZE, [
    { kind: 'snapshot', incarnation: TWO, epoch: 5, states: [3], cluster: 'cluster-b' },
  ])
  const error = await refusal(folder, {})
  assert.equal(error.key, 'ARCHIVE_SEVERAL')
  assert.match(error.message, /cluster-a and cluster-b|cluster-b and cluster-a/)
  assert.equal((await restored(folder, { cluster: 'cluster-a' })).txid, 102)
  assert.equal((await restored(folder, { cluster: 'cluster-b' })).txid, 103)
  assert.equal((await refusal(folder, { cluster: 'cluster-c' })).key, 'CLUSTER_NOT_ARCHIVED')
  assert.equal((await refusal(join(folder, 'changes'), {})).key, 'NO_ARCHIVE')
})

async function summary(folder: string): Promise<ArchiveSummary> {
  return summaryOf(await clusterArchive(await listOf(folder), undefined, new Map()), new Map())
}

function textOf({ histories }: ArchiveSummary): string[] {
  return histories.flatMap(({ stretches, gaps, snapshots }) => [
    ...stretches.map(({ from, to, everyMs }) => `${from.txid}-${to.txid} every ${everyMs}`),
    ...gaps.map((gap) => `gap ${gap.after?.txid} to ${gap.before?.txid}`),
    `snapshots ${snapshots.map(({ txid }) => txid).join(' ')}`,
  ])
}

test('the summary tells stretches, gaps and snapshots', async () => {
  const { folder, names } = await newArchive()
  assert.deepEqual(textOf(await summary(folder)), ['100-107 every 0', 'snapshots 100 106'])
  rmSync(join(folder, names[2]))
  assert.deepEqual(textOf(await summary(folder)), [
    ...['100-102 every 0', '106-107 every 0', 'gap 102 to 106', 'snapshots 100 106'],
  ])
  const coarse = await newArchive([
    FILES[0],
    { kind: 'changes', incarnation: ONE, from: 0, states: [2], level: 4 },
    { kind: 'changes', incarnation: ONE, from: 2, states: [4], level: 4 },
    { kind: 'changes', incarnation: ONE, from: 4, states: [5] },
    { kind: 'changes', incarnation: ONE, from: 5, states: [6] },
    { kind: 'changes', incarnation: TWO, epoch: 2, from: 5, after: ONE, states: [7] },
  ])
  assert.deepEqual(textOf(await summary(coarse.folder)), [
    ...['100-100 every 0', '102-104 every 120000', '105-107 every 0', 'snapshots 100'],
    ...['106-106 every 0', 'snapshots '],
  ])
  const merged = await newArchive([
    FILES[0],
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3, 4], level: 2 },
    { kind: 'changes', incarnation: ONE, from: 4, states: [5] },
  ])
  assert.deepEqual(textOf(await summary(merged.folder)), ['100-105 every 0', 'snapshots 100'])
})

test('what a restore reads is not removed under it, and is free afterwards', async () => {
  const { folder } = await newArchive()
  const store = await openStore(folder, systemFileOps)
  const { signal } = new AbortController()
  const removal = () => storedFiles(store).then((all) => removeFiles(store, all, wallMs(), signal))
  let left: string[] = []
  const run = new ArchiveRestore({
    wanted: { txid: states[4].txid },
    isAsFarAsPossible: false,
    list: async (found) => clusterArchive(await listOf(folder), undefined, found),
    held: new HeldFiles(store, (error) => assert.fail(error)),
  })
  let plan: PlannedRestore | undefined
  const approve = async () => {
    await removal()
    left = (await storedFiles(store)).map(({ name }) => formatArchiveName(name))
  }
  await run.run(newPath(), { approve }, systemFileOps, (begun) => {
    plan = begun
  })
  const read = plan?.files.map(({ name }) => formatArchiveName(name)) ?? []
  assert.ok(read.length > 1)
  assert.deepEqual(left.toSorted(), read.toSorted())
  await removal()
  assert.deepEqual(await storedFiles(store), [])
})

test('a store that cannot be written to is read without a pin', async () => {
  const { folder } = await newArchive()
  const ops = createFileOps((op) => {
    if (op.startsWith('archive.')) throw new WalcastError('WRITE_FAILED', { path: 'a', detail: op })
  })
  const told: string[] = []
  const run = new ArchiveRestore({
    wanted: {},
    isAsFarAsPossible: false,
    list: async (found) => clusterArchive(await listOf(folder), undefined, found),
    held: new HeldFiles(await openStore(folder, ops), ({ key }) => told.push(key)),
  })
  const { txid } = await run.run(newPath(), {}, systemFileOps, () => {})
  assert.deepEqual([txid, told], [states[7].txid, ['WRITE_FAILED']])
})

/**
 * Leaders that branch off inside files of changes: every position of every branch restores, as long
 * as it is promised, whatever is merged, thinned and made into snapshots meanwhile.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Archive } from '../../src/backup/archive.ts'
import { ArchiveCompactor } from '../../src/backup/archiveCompactor.ts'
import { ArchiveRestore } from '../../src/backup/archiveRestore.ts'
import { summaryOf } from '../../src/backup/archiveSummary.ts'
import { PastArchive } from '../../src/backup/past/pastArchive.ts'
import { clusterArchive, type Wanted } from '../../src/backup/restoreTarget.ts'
import { DAY_MS, HOUR_MS } from '../../src/backup/retention/periods.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { parseKeep } from '../../src/options/keepPolicy.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { ONE, TWO } from '../support/archives.ts'
import {
  branchOf,
  checksumAt,
  type Moment,
  momentsOf,
  putChanges,
  putSnapshot,
  randomSteps,
} from '../support/longArchives.ts'
import { propertyRuns } from '../support/propertyRuns.ts'
import { seededRandom } from '../support/seededRandom.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-forks-'))
after(() => rmSync(root, { recursive: true, force: true }))

const PAGE = 512
const THREE = '3333333333333333'
const T = Date.UTC(2026, 0, 5, 22)
const signal = new AbortController().signal
let made = 0

interface Branches {
  readonly store: DirectoryStore
  /** The trunk, and two histories: the second goes on from the trunk, the third from the second. */
  readonly all: readonly (readonly Moment[])[]
  /** Where each but the first goes on: its place among the moments before. */
  readonly forks: readonly number[]
}

/** A trunk of 24 moments; what branches off has half as many, at most `back` moments before. */
function branches(stepMs: number, next: () => number, back = Infinity): Branches {
  const path = join(root, `${++made}`)
  const store = new DirectoryStore(path, systemFileOps)
  const about = (incarnation: string, epoch: number, timeMs: number) => {
    let at = timeMs
    return () => {
      at += 1 + Math.floor(next() * stepMs)
      return { incarnation, epoch, timeMs: at }
    }
  }
  const trunk = momentsOf(`${path}.1`, PAGE, randomSteps(24, next), about(ONE, 1, T))
  const all = [trunk]
  const forks: number[] = []
  for (const [i, id] of [TWO, THREE].entries()) {
    const before = all[i]
    const fork = before.length - 2 - Math.floor(next() * Math.min(before.length - 1, back))
    const steps = randomSteps(1 + 12 / (i + 1), next).slice(1)
    const times = about(id, i + 2, before[before.length - 1].timeMs)
    all.push(branchOf(`${path}.${i + 2}`, before[fork], PAGE, steps, times))
    forks.push(fork)
  }
  return { store, all, forks }
}

/** Writes the moments of a branch in files that know nothing of where others branch off. */
async function write(it: Branches, branch: number, next: () => number): Promise<void> {
  const own = it.all[branch]
  const line = branch === 0 ? own : [it.all[branch - 1][it.forks[branch - 1]], ...own]
  for (let at = 0; at < line.length - 1; ) {
    const to = Math.min(line.length - 1, at + 1 + Math.floor(next() * 6))
    // Only a position that is larger than a file goes over several.
    const parts = to === at + 1 && next() < 0.5 ? 2 : 1
    await putChanges(it.store, line.slice(at, to + 1), PAGE, parts)
    at = to
  }
}

function compactor(it: Branches, nowMs: number, keep?: string): ArchiveCompactor {
  const snapshots = { changeFactor: 0.7, leastBytes: 1000, ageMs: DAY_MS, files: 12 }
  const options = { keep: keep ? parseKeep(keep) : undefined, snapshots, node: 'n', writer: 't' }
  return new ArchiveCompactor(it.store, { nowMs: () => nowMs }, options)
}

async function compact(it: Branches, nowMs: number, keep?: string): Promise<void> {
  const own = compactor(it, nowMs, keep)
  let last = ''
  for (let round = 0; round < 20; round++) {
    const { merged, thinned, snapshot, removed, problems } = await own.run(signal)
    assert.deepEqual(problems, [])
    last = JSON.stringify({ merged, thinned, snapshot, removed })
    if (merged.length + thinned.length + removed.length === 0 && !snapshot) return
  }
  assert.fail(`rounds never come to an end: ${last}`)
}

async function requireAll(it: Branches, moments: readonly Moment[]): Promise<void> {
  for (const moment of moments)
    assert.equal(
      await checksumAt(it.store, moment, root),
      moment.checksum,
      `${moment.incarnation} ${moment.txid}`,
    )
}

/** As `walcast restore` does it. */
async function restored(it: Branches, wanted: Wanted): Promise<string> {
  const bad: string[] = []
  const run = new ArchiveRestore({
    wanted,
    isAsFarAsPossible: false,
    list: async (found) => clusterArchive(await Archive.list(it.store), undefined, found),
    onBad: (name) => bad.push(name),
  })
  const path = join(root, 'restored.db')
  const { checksum } = await run.run(path, {}, systemFileOps, () => {})
  rmSync(path)
  assert.deepEqual(bad, [])
  return checksum
}

async function seeded(runs: number, body: (next: () => number) => Promise<void>): Promise<void> {
  for (let run = 0; run < propertyRuns(runs); run++) {
    const seed = randomBytes(4).readUInt32LE()
    try {
      await body(seededRandom(seed))
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}

test('every position of every branch restores, merged before the fork and after it', () =>
  seeded(4, async (next) => {
    const it = branches(next() < 0.5 ? 20_000 : HOUR_MS, next)
    await putSnapshot(it.store, it.all[0][0], PAGE)
    for (let branch = 0; branch < it.all.length; branch++) {
      await write(it, branch, next)
      const nowMs = (it.all[branch].at(-1)?.timeMs ?? T) + 1
      if (next() < 0.7) await compact(it, nowMs)
    }
    await requireAll(it, it.all.flat())
    assert.ok((await storedFiles(it.store)).length > 3)
    const [trunk, second, third] = it.all
    const ends = [trunk, second, third].map((branch) => branch[branch.length - 1])
    assert.equal(await restored(it, {}), ends[2].checksum)
    for (const { incarnation, checksum } of ends)
      assert.equal(await restored(it, { incarnation }), checksum)
    const shared = trunk[it.forks[0]]
    assert.equal(await restored(it, { txid: shared.txid }), shared.checksum)
  }))

test('the past of the newest branch is asked and listed without a gap', () =>
  seeded(2, async (next) => {
    const it = branches(20_000, next)
    await putSnapshot(it.store, it.all[0][0], PAGE)
    for (let branch = 0; branch < it.all.length; branch++) await write(it, branch, next)
    const [trunk, second, third] = it.all
    const line = [...trunk.slice(0, it.forks[0] + 1), ...second.slice(0, it.forks[1] + 1), ...third]
    const past = await PastArchive.open(it.store)
    for (const { txid, checksum } of line) {
      const found = await past.find({ kind: 'txid', txid })
      assert.equal(found.position.checksum, checksum)
      await (await past.pages(found)).prove()
    }
    await past.close()
    const own = await clusterArchive(await Archive.list(it.store), undefined, new Map())
    const { histories } = await summaryOf(own, new Map())
    assert.deepEqual(histories[0].gaps, [])
    const [stretch, ...others] = histories[0].stretches
    assert.deepEqual([stretch.from.txid, stretch.to.txid], [line[0].txid, line.at(-1)?.txid])
    assert.deepEqual([others, stretch.everyMs], [[], 0])
  }))

test('thinning and removal keep what a branch goes on from', () =>
  seeded(3, async (next) => {
    // Nobody goes on from what has been thinned: it is days old.
    const it = branches(8 * HOUR_MS, next, 3)
    await putSnapshot(it.store, it.all[0][0], PAGE)
    for (let branch = 0; branch < it.all.length; branch++) {
      await write(it, branch, next)
      const nowMs = (it.all[branch].at(-1)?.timeMs ?? T) + 1
      await compact(it, nowMs, '2d:all,30d:daily')
      const line = it.all.slice(0, branch + 1).flatMap((own, i) => {
        return i === branch ? own : own.slice(0, it.forks[i] + 1)
      })
      await requireAll(
        it,
        line.filter(({ timeMs }) => nowMs - timeMs < 2 * DAY_MS),
      )
    }
    const newest = it.all[2]
    const last = newest[newest.length - 1]
    await compact(it, last.timeMs + 2 * DAY_MS, '1d:all,30d:daily')
    await requireAll(it, [last])
    assert.equal(await restored(it, {}), last.checksum)
    await compact(it, last.timeMs + 20 * DAY_MS, '1d:all,2d:daily')
    await requireAll(it, [last])
    assert.equal(await restored(it, {}), last.checksum)
  }))

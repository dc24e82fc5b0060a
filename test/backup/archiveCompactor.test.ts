/**
 * An archive that grows while rounds of compaction run on it: what is promised restores at any
 * time, whatever step a process dies at, and however many processes do it.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveCompactor, type CompactorOptions } from '../../src/backup/archiveCompactor.ts'
import { ArchiveFiles } from '../../src/backup/archiveFiles.ts'
import { planRestore } from '../../src/backup/restorePlan.ts'
import { forgetPoint, namePoint } from '../../src/backup/retention/namedPoints.ts'
import { DAY_MS, HOUR_MS, periodStart } from '../../src/backup/retention/periods.ts'
import { Pin } from '../../src/backup/retention/pins.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { WalcastError } from '../../src/errors.ts'
import { parseKeep } from '../../src/options/keepPolicy.ts'
import { createFileOps, type FileOp, systemFileOps } from '../../src/platform/fileOps.ts'
import { ONE, TWO } from '../support/archives.ts'
import { spoilFirstBlock } from '../support/damage.ts'
import {
  checksumAt,
  type Moment,
  momentsOf,
  putChanges,
  putSnapshot,
  randomSteps,
} from '../support/longArchives.ts'
import { propertyRuns } from '../support/propertyRuns.ts'
import { seededRandom } from '../support/seededRandom.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-compactor-'))
after(() => rmSync(root, { recursive: true, force: true }))

const signal = new AbortController().signal
const T = Date.UTC(2026, 0, 5, 22)
const OPTIONS: CompactorOptions = {
  keep: undefined,
  snapshots: { changeFactor: 0.7, leastBytes: 1000, ageMs: DAY_MS, files: 40 },
  node: 'node-b',
  writer: 'test',
}

let made = 0
interface Site {
  readonly folder: string
  readonly store: DirectoryStore
  readonly moments: readonly Moment[]
  readonly pageSize: number
  /** Moments that the archive has by now. */
  count: number
  nowMs: number
}

/** Moments `stepMs` apart, about; half of them of a second incarnation. */
async function site(
  pageSize: number,
  count: number,
  stepMs: number,
  next: () => number,
): Promise<Site> {
  const folder = join(root, String(++made))
  const store = new DirectoryStore(folder, systemFileOps)
  let timeMs = T
  const moments = momentsOf(join(root, `${made}.db`), pageSize, randomSteps(count, next), (i) => {
    timeMs += Math.floor(next() * 2 * stepMs)
    return { incarnation: i < count / 2 ? ONE : TWO, timeMs }
  })
  await putSnapshot(store, moments[0], pageSize)
  return { ...{ folder, store, moments, pageSize }, count: 1, nowMs: moments[0].timeMs }
}

/** Archives the next moments: files end at the end of a day, and at that of an incarnation. */
async function grow(it: Site, most: number, next: () => number): Promise<void> {
  const end = Math.min(it.moments.length, it.count + most)
  while (it.count < end) {
    let to = it.count
    const wanted = Math.min(end - 1, to + Math.floor(next() * 3))
    while (to < wanted && isOneFile(it.moments[to], it.moments[to + 1])) to++
    const parts = next() < 0.1 ? 2 : 1
    await putChanges(it.store, it.moments.slice(it.count - 1, to + 1), it.pageSize, parts)
    it.count = to + 1
    it.nowMs = it.moments[to].timeMs + 1
  }
}

function isOneFile(one: Moment, other: Moment): boolean {
  return (
    one.incarnation === other.incarnation &&
    periodStart('day', one.timeMs) === periodStart('day', other.timeMs)
  )
}

function compactor(it: Site, keep: string | undefined, store = it.store): ArchiveCompactor {
  const clock = { nowMs: () => it.nowMs }
  return new ArchiveCompactor(store, clock, {
    ...OPTIONS,
    keep: keep ? parseKeep(keep) : undefined,
  })
}

async function requireRestored({ store }: Site, moment: Moment): Promise<void> {
  const date = new Date(moment.timeMs).toISOString()
  assert.equal(await checksumAt(store, moment, root), moment.checksum, `${moment.txid}, ${date}`)
}

/** What `7d:all,30d:daily` promises of what the archive has. */
function promised({ moments, count, nowMs }: Site): readonly Moment[] {
  const there = moments.slice(0, count)
  const lastOfDay = new Map(there.map((each) => [periodStart('day', each.timeMs), each]))
  return there.filter((moment, i) => {
    const ageMs = nowMs - moment.timeMs
    const isLast = lastOfDay.get(periodStart('day', moment.timeMs)) === moment
    return ageMs <= 7 * DAY_MS || (isLast && ageMs <= 30 * DAY_MS) || i === count - 1
  })
}

/** Some of them in fact, and a way to all of them. */
async function requirePromised(it: Site, next: () => number, share: number): Promise<void> {
  const files = await storedFiles(it.store)
  const wanted = promised(it)
  for (const moment of wanted) {
    assert.ok(planRestore(files, moment), `no way to ${moment.txid}`)
    if (next() < share || moment === wanted[0]) await requireRestored(it, moment)
  }
}

const KEEP = '7d:all,30d:daily'

for (const pageSize of [512, 4096])
  test(`what is promised restores after any rounds, pages of ${pageSize} bytes`, async () => {
    for (let run = 0; run < propertyRuns(5); run++) {
      const seed = randomBytes(4).readUInt32LE()
      const next = seededRandom(seed)
      try {
        const it = await site(pageSize, 120, 8 * HOUR_MS, next)
        let own = compactor(it, KEEP)
        while (it.count < it.moments.length) {
          await grow(it, 5 + Math.floor(next() * 30), next)
          if (next() < 0.3) own = compactor(it, KEEP)
          const { problems, refused } = await own.run(signal)
          assert.deepEqual([problems, refused], [[], undefined])
          await requirePromised(it, next, 0.05)
        }
        await settle(own)
        await requirePromised(it, next, 0.2)
        const files = await storedFiles(it.store)
        assert.ok(files.length < 60, `${files.length} files`)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
  })

/** Rounds until one has nothing left to do. */
async function settle(own: ArchiveCompactor): Promise<void> {
  for (let round = 0; round < 30; round++) {
    const { merged, thinned, snapshot, removed, problems } = await own.run(signal)
    assert.deepEqual(problems, [])
    if (merged.length + thinned.length + removed.length === 0 && !snapshot) return
  }
  assert.fail('rounds never come to an end')
}

test('without a policy every position stays, in few files', async () => {
  const next = seededRandom(4)
  const it = await site(512, 70, 30_000, next)
  await grow(it, 70, next)
  const before = (await storedFiles(it.store)).length
  const own = compactor(it, undefined)
  await settle(own)
  const files = await storedFiles(it.store)
  assert.ok(files.length < before / 4, `${files.length} of ${before}`)
  assert.ok(it.moments.every((moment) => planRestore(files, moment)))
  for (const moment of it.moments) if (next() < 0.25) await requireRestored(it, moment)
})

test('a process that dies at any step leaves every promised position', async () => {
  const next = seededRandom(8)
  const it = await site(512, 54, 8 * HOUR_MS, next)
  const steps: FileOp[] = ['archive.write', 'archive.sync', 'copy.publish', 'archive.erase']
  let deaths = 0
  while (it.count < it.moments.length) {
    await grow(it, 18, next)
    for (const step of steps)
      for (const nth of [1, 2, 7]) {
        let left = nth
        const ops = createFileOps((op) => {
          // A dead process takes no further step.
          if (left <= 0 || (op === step && --left === 0))
            throw new WalcastError('WRITE_FAILED', { path: 'a', detail: step })
        })
        const store = new DirectoryStore(it.folder, ops)
        await compactor(it, KEEP, store).run(signal)
        if (left <= 0) deaths++
        await requirePromised(it, next, nth === 2 ? 0.05 : 0)
      }
  }
  assert.ok(deaths > 15, `${deaths} deaths`)
  await settle(compactor(it, KEEP))
  await requirePromised(it, next, 0.3)
})

test('two processes at one archive do no harm', async () => {
  const next = seededRandom(15)
  const it = await site(512, 54, 8 * HOUR_MS, next)
  const both = [compactor(it, KEEP), compactor(it, KEEP)]
  while (it.count < it.moments.length) {
    await grow(it, 30, next)
    await Promise.all(both.map((each) => each.run(signal)))
    await requirePromised(it, next, 0.1)
  }
  await settle(compactor(it, KEEP))
  await requirePromised(it, next, 0.2)
})

test('what a restore has pinned, and what has a name, stays', async () => {
  const next = seededRandom(16)
  const it = await site(512, 60, 8 * HOUR_MS, next)
  await grow(it, 20, next)
  const clock = { nowMs: () => it.nowMs }
  const plan = planRestore(await storedFiles(it.store), it.moments[9])
  assert.ok(plan)
  const pin = await Pin.of(it.store, [...plan.snapshot, ...plan.changes], clock)
  const named = it.moments[5]
  await namePoint(it.store, { ...named, name: 'before-migration', namedMs: it.nowMs })
  await grow(it, 40, next)
  it.nowMs += HOUR_MS / 2
  await pin.renew()
  const own = compactor(it, '1d:all')
  await settle(own)
  const there = () =>
    storedFiles(it.store).then((all) => all.map(({ name }) => formatArchiveName(name)))
  const pinned = [...plan.snapshot, ...plan.changes].map(({ name }) => formatArchiveName(name))
  const left = new Set(await there())
  assert.deepEqual(
    pinned.filter((name) => !left.has(name)),
    [],
  )
  await requireRestored(it, named)
  await pin.renew()
  await pin.release()
  await settle(own)
  await requireRestored(it, named)
  const without = new Set(await there())
  assert.ok(pinned.some((name) => !without.has(name)))
  await forgetPoint(it.store, 'before-migration')
  await settle(own)
  assert.equal(await checksumAt(it.store, named, root), undefined)
  await requireRestored(it, it.moments[59])
})

test('a broken file stops the merge that needs it, and nothing is lost for it', async () => {
  const next = seededRandom(17)
  const it = await site(512, 30, 30_000, next)
  await grow(it, 30, next)
  const [broken] = await it.store.list('changes/0')
  await it.store.remove(broken.name)
  await it.store.create(broken.name, (append) => append(Buffer.alloc(broken.bytes, 1)))
  const { problems, removed } = await compactor(it, '1h:all,1GiB').run(signal)
  assert.ok(
    problems.some(
      ({ key, message }) => key === 'ARCHIVE_BROKEN' && message.includes(broken.name.slice(10)),
    ),
  )
  assert.ok(!removed.includes(broken.name))
  const bad = /-(\d{15})-/.exec(broken.name)?.[1]
  for (const moment of it.moments.filter(({ txid }) => txid < Number(bad) - 2))
    await requireRestored(it, moment)
})

/** Makes no snapshot itself. */
function mergerOf(it: Site): ArchiveCompactor {
  const snapshots = { changeFactor: 1000, leastBytes: 1e9, ageMs: 1000 * DAY_MS, files: 1000 }
  const clock = { nowMs: () => it.nowMs }
  return new ArchiveCompactor(it.store, clock, {
    ...{ ...OPTIONS, snapshots },
    keep: parseKeep('7d:all'),
  })
}

/** Spoils a block of one of the first files: its ends can be read as before. */
async function spoilBlock({ store, folder }: Site): Promise<string> {
  const files = (await storedFiles(store)).filter(({ name }) => name.kind === 'changes')
  const [{ name }] = files.slice(2, 9).toSorted((a, b) => b.bytes - a.bytes)
  spoilFirstBlock(join(folder, formatArchiveName(name)))
  await (await new ArchiveFiles(store).open(name)).close()
  return formatArchiveName(name)
}

for (const when of ['all along', 'over restarts'])
  test(`a snapshot behind a broken file stays, ${when}`, async () => {
    const next = seededRandom(20)
    const it = await site(512, 60, 2 * HOUR_MS, next)
    await grow(it, 20, next)
    const broken = await spoilBlock(it)
    let own = mergerOf(it)
    // Hours are merged before days.
    const found = [await own.run(signal), await own.run(signal)].flatMap((each) => each.problems)
    assert.ok(found.some(({ message }) => message.includes(broken)))
    const behind = it.count - 1
    await putSnapshot(it.store, it.moments[behind], it.pageSize)
    while (it.count < it.moments.length) {
      await grow(it, 10, next)
      await putSnapshot(it.store, it.moments[it.count - 1], it.pageSize)
      if (when === 'over restarts') own = mergerOf(it)
      for (let round = 0; round < 3; round++) await own.run(signal)
    }
    const snapshots = await it.store.list('snapshots')
    assert.ok(snapshots.length < 6, `${snapshots.length} snapshots`)
    await it.store.remove(broken)
    for (const moment of it.moments.slice(behind)) await requireRestored(it, moment)
  })

test('a later process merges around what is noted as broken, and does not read it', async () => {
  const next = seededRandom(22)
  const it = await site(512, 70, 8000, next)
  await grow(it, 60, next)
  const broken = await spoilBlock(it)
  const { problems } = await mergerOf(it).run(signal)
  assert.ok(problems.some(({ message }) => message.includes(broken)))
  await grow(it, 10, next)
  const later = mergerOf(it)
  const rounds = [await later.run(signal), await later.run(signal)]
  assert.deepEqual(
    rounds.flatMap((each) => each.problems),
    [],
  )
  const there = await storedFiles(it.store)
  assert.ok(there.some(({ name }) => formatArchiveName(name) === broken))
  const merged = there.filter(({ name }) => name.kind === 'changes' && name.level > 0)
  assert.ok(merged.length > 1, `${merged.length} merged files`)
  assert.deepEqual(
    rounds[0].noted.map(({ message }) => message.includes(broken)),
    [true],
  )
})

test('a file that cannot be read is looked at once in a round', async () => {
  const next = seededRandom(21)
  const it = await site(512, 20, 30_000, next)
  await grow(it, 20, next)
  const [broken] = await it.store.list('changes/0')
  writeFileSync(join(it.folder, broken.name), Buffer.alloc(broken.bytes, 1))
  const own = mergerOf(it)
  for (let round = 0; round < 2; round++) {
    const { problems } = await own.run(signal)
    assert.equal(problems.filter(({ message }) => message.includes(broken.name)).length, 1)
  }
})

test('a clock that jumps removes nothing that was promised', async () => {
  const next = seededRandom(18)
  const it = await site(512, 40, 4 * HOUR_MS, next)
  await grow(it, 40, next)
  await settle(compactor(it, KEEP))
  const rightMs = it.nowMs
  it.nowMs = Date.UTC(2038, 0, 19)
  await settle(compactor(it, KEEP))
  it.nowMs = rightMs
  await requirePromised(it, next, 0.2)
  it.nowMs = Date.UTC(2020, 0, 1)
  const { refused, removed } = await compactor(it, KEEP).run(signal)
  assert.match(refused ?? '', /the newest file is of/)
  assert.deepEqual(removed, [])
})

test('a round lists the place once, and once more before it removes something', async () => {
  const next = seededRandom(19)
  const it = await site(512, 60, 30_000, next)
  await grow(it, 60, next)
  const lists: string[] = []
  const own = compactor(it, KEEP, new CountingStore(it.folder, (prefix) => lists.push(prefix)))
  const counts: number[] = []
  for (let isQuiet = false; !isQuiet; ) {
    const { merged, removed, snapshot } = await own.run(signal)
    isQuiet = merged.length + removed.length === 0 && !snapshot
    counts.push(lists.splice(0).length)
  }
  const quiet = counts.pop()
  assert.equal(quiet, 14)
  assert.ok(counts.length > 0)
  assert.ok(Math.max(...counts) <= 30, String(counts))
})

class CountingStore extends DirectoryStore {
  readonly #onList: (prefix: string) => void

  constructor(folder: string, onList: (prefix: string) => void) {
    super(folder, systemFileOps)
    this.#onList = onList
  }

  override list(prefix: string) {
    this.#onList(prefix)
    return super.list(prefix)
  }
}

/**
 * An encrypted archive is kept small by a node that cannot read it: it merges what it wrote lately,
 * asks for snapshots of the database, and removes whole files for their age.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ArchiveCompactor } from '../../src/backup/archiveCompactor.ts'
import type { Sealing } from '../../src/backup/archiveFiles.ts'
import type { SnapshotBounds } from '../../src/backup/compaction/dueSnapshot.ts'
import { RecentKeys } from '../../src/backup/recentKeys.ts'
import { planRestore } from '../../src/backup/restorePlan.ts'
import { DAY_MS, HOUR_MS } from '../../src/backup/retention/periods.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { parseKeep } from '../../src/options/keepPolicy.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { newIdentity } from '../../src/security/backupKeys.ts'
import { ONE } from '../support/archives.ts'
import { spoilFirstBlock } from '../support/damage.ts'
import {
  checksumAt,
  type Moment,
  momentsOf,
  putChanges,
  putSnapshot,
  randomSteps,
} from '../support/longArchives.ts'
import { seededRandom } from '../support/seededRandom.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-encrypted-upkeep-'))
after(() => rmSync(root, { recursive: true, force: true }))

const OWN = newIdentity()
const PAGE = 512
const T = Date.UTC(2026, 0, 5, 22)
const SNAPSHOTS = { changeFactor: 0.7, leastBytes: 1000, ageMs: DAY_MS, files: 40 }
/** No snapshot stays for what it saves, and none is due. */
const RARE = { changeFactor: 1000, leastBytes: 1e9, ageMs: 1000 * DAY_MS, files: 1000 }
const signal = new AbortController().signal
let made = 0

/** A node that writes a file for each moment, and begins anew now and then. */
class Node {
  readonly store: DirectoryStore
  readonly moments: readonly Moment[]
  readonly #keep: string
  readonly #snapshots: SnapshotBounds
  #count = 1
  #sealing: Sealing
  #compactor: ArchiveCompactor

  private constructor(
    store: DirectoryStore,
    moments: readonly Moment[],
    keep: string,
    snapshots: SnapshotBounds,
  ) {
    this.store = store
    this.moments = moments
    this.#keep = keep
    this.#snapshots = snapshots
    this.#sealing = this.#newSealing()
    this.#compactor = this.#newCompactor()
  }

  static async begin(
    keep: string,
    count: number,
    stepMs: number,
    snapshots = SNAPSHOTS,
  ): Promise<Node> {
    const path = join(root, `${++made}.db`)
    const steps = randomSteps(count, seededRandom(made))
    const moments = momentsOf(path, PAGE, steps, (i) => {
      return { incarnation: ONE, timeMs: T + i * stepMs }
    })
    const store = new DirectoryStore(join(root, `${made}`), systemFileOps)
    const node = new Node(store, moments, keep, snapshots)
    await node.snapshot()
    return node
  }

  get present(): Moment {
    return this.moments[this.#count - 1]
  }

  get isAtEnd(): boolean {
    return this.#count === this.moments.length
  }

  restart(): void {
    this.#sealing = this.#newSealing()
    this.#compactor = this.#newCompactor()
  }

  /** `count` moments, and a round. */
  async archive(count: number) {
    await this.grow(count)
    const report = await this.round()
    assert.deepEqual([report.problems, report.refused], [[], undefined])
    if (report.isSnapshotDue) await this.snapshot()
    return report
  }

  async grow(count: number): Promise<void> {
    for (let i = 0; i < count && !this.isAtEnd; i++) {
      this.#count++
      const run = this.moments.slice(this.#count - 2, this.#count)
      await putChanges(this.store, run, PAGE, 1, this.#sealing)
    }
  }

  /** Spoils one of the first files of changes: its ends can be read as before. */
  async spoil(): Promise<string> {
    const files = await this.store.list('changes/0')
    const early = files.toSorted((a, b) => (a.name < b.name ? -1 : 1)).slice(2, 12)
    const [{ name }] = early.toSorted((a, b) => b.bytes - a.bytes)
    spoilFirstBlock(join(this.store.name, name))
    return name
  }

  round() {
    return this.#compactor.run(signal)
  }

  /** Of the database itself, without its key: nothing here reads it. */
  async snapshot(): Promise<void> {
    await putSnapshot(this.store, this.present, PAGE, { recipients: [OWN.recipient] })
  }

  async files(): Promise<number> {
    return (await storedFiles(this.store)).length
  }

  async requireRestored(moment: Moment): Promise<void> {
    const checksum = await checksumAt(this.store, moment, root, [OWN])
    assert.equal(checksum, moment.checksum, `${moment.txid} of ${this.present.txid}`)
  }

  #newSealing(): Sealing {
    return { recipients: [OWN.recipient], keys: new RecentKeys(() => this.present.timeMs) }
  }

  #newCompactor(): ArchiveCompactor {
    const clock = { nowMs: () => this.present.timeMs + 1 }
    const keep = parseKeep(this.#keep)
    const about = { node: 'node-b', writer: 'test', sealing: this.#sealing }
    return new ArchiveCompactor(this.store, clock, { keep, snapshots: this.#snapshots, ...about })
  }
}

test('what a node encrypted lately is merged, and every position restores', async () => {
  const node = await Node.begin('7d:all', 90, 90_000)
  let merged = 0
  while (!node.isAtEnd) merged += (await node.archive(10)).merged.length
  assert.ok(merged > 1, `${merged} merged files`)
  const files = await node.files()
  assert.ok(files < 50, `${files} files of 90`)
  const there = await storedFiles(node.store)
  for (const [i, moment] of node.moments.entries()) {
    assert.ok(planRestore(there, moment), `no way to ${moment.txid}`)
    if (i % 7 === 0) await node.requireRestored(moment)
  }
  await assert.rejects(checksumAt(node.store, node.present, root), { key: 'ARCHIVE_LOCKED' })
})

test('after restarts what is left goes for its age, and the promised rest restores', async () => {
  const node = await Node.begin('1d:all,4d:daily', 72, 2 * HOUR_MS)
  let removed = 0
  while (!node.isAtEnd) {
    node.restart()
    removed += (await node.archive(5)).removed.length
    const nowMs = node.present.timeMs
    const young = node.moments.filter(({ timeMs }) => timeMs > nowMs - DAY_MS && timeMs <= nowMs)
    for (const moment of [young[0], young[young.length - 1]]) await node.requireRestored(moment)
  }
  assert.ok(removed > 20, `${removed} removed`)
  assert.ok((await node.files()) < 45, `${await node.files()} files`)
})

test('of an old day whose files cannot be thinned a snapshot stays alone', async () => {
  const node = await Node.begin('1d:all,30d:daily', 96, 3 * HOUR_MS)
  while (!node.isAtEnd) await node.archive(3)
  const there = await storedFiles(node.store)
  const days = new Set(
    there.flatMap(({ name }) => {
      const moment = node.moments.find(({ txid }) => name.kind === 'snapshot' && txid === name.txid)
      return moment ? [Math.floor(moment.timeMs / DAY_MS)] : []
    }),
  )
  assert.ok(days.size > 6, `snapshots of ${days.size} days`)
  const changes = there.filter(({ name }) => name.kind === 'changes').length
  assert.ok(changes < 40, `${changes} files of changes`)
  for (const { name } of there) {
    const moment = node.moments.find(({ txid }) => name.kind === 'snapshot' && txid === name.txid)
    if (moment) await node.requireRestored(moment)
  }
})

test('what was found broken stays known to a node that cannot read it any more', async () => {
  const node = await Node.begin('7d:all', 90, 90_000, RARE)
  await node.grow(45)
  const name = await node.spoil()
  const found = [await node.round(), await node.round()].flatMap(({ problems }) => problems)
  assert.ok(found.some(({ message }) => message.includes(name)))
  const behind = node.moments.indexOf(node.present)
  await node.snapshot()
  while (!node.isAtEnd) {
    await node.grow(10)
    await node.snapshot()
    node.restart()
    for (let round = 0; round < 3; round++) {
      const { problems, noted } = await node.round()
      assert.deepEqual([problems, noted], [[], []])
    }
  }
  const snapshots = await node.store.list('snapshots')
  assert.ok(snapshots.length < 4, `${snapshots.length} snapshots`)
  await node.store.remove(name)
  for (const moment of node.moments.slice(behind)) await node.requireRestored(moment)
})

test('a node that starts anew wants a snapshot behind what was found broken', async () => {
  const node = await Node.begin('7d:all', 45, 90_000, RARE)
  await node.grow(44)
  const name = await node.spoil()
  for (let round = 0; round < 2; round++) await node.round()
  node.restart()
  const { noted } = await node.round()
  assert.deepEqual(
    noted.map(({ key, message }) => [key, message.includes(name)]),
    [['ARCHIVE_BROKEN', true]],
  )
  await node.snapshot()
  assert.deepEqual((await node.round()).noted, [])
  await node.store.remove(name)
  await node.round()
  assert.equal((await node.store.list('broken')).length, 0)
})

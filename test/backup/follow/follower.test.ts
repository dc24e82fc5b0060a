/** A database file that follows an archive in a folder, with a reader open throughout. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import { pino } from 'pino'
import { FollowedArchive } from '../../../src/backup/follow/followedArchive.ts'
import { FollowedFile } from '../../../src/backup/follow/followedFile.ts'
import { Follower, type OverReason } from '../../../src/backup/follow/follower.ts'
import type { FollowStep, Steps } from '../../../src/backup/follow/steps.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { keyOf, messageOf, type WalcastError } from '../../../src/errors.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { type FolderFile, flipBit, writeArchive } from '../../support/archiveFolders.ts'
import { ONE, type State, statesOf, TWO } from '../../support/archives.ts'
import { restoreFrom } from '../../support/restoring.ts'
import { until, within } from '../../support/until.ts'

const PAGE_SIZE = 1024
const LOG = pino({ level: 'silent' })

class World {
  readonly folder: string
  readonly path: string
  readonly archive: string
  readonly states: readonly State[]
  readonly steps: FollowStep[] = []
  readonly overs: OverReason[] = []
  readonly bad: string[] = []
  readonly waits: WalcastError[] = []
  levels = 0
  #running: Promise<void> | undefined
  #file: FollowedFile | undefined
  #follower: Follower | undefined

  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'walcast-follow-'))
    t.after(async () => {
      await this.end()
      rmSync(this.folder, { recursive: true, force: true })
    })
    this.path = join(this.folder, 'app.db')
    this.archive = join(this.folder, 'archive')
    this.states = statesOf(join(this.folder, 'source.db'), PAGE_SIZE)
  }

  add(...files: readonly FolderFile[]): Promise<string[]> {
    return writeArchive(this.archive, this.states, PAGE_SIZE, files)
  }

  /** A file at the first state, and a look at it that has found nothing newer. */
  async begin(): Promise<void> {
    await this.add({ kind: 'snapshot', incarnation: ONE, states: [0] })
    const { txid } = this.states[0]
    const first = await restoreFrom(this.archive, { incarnation: ONE, txid }, this.path)
    FollowedFile.record(this.path, first, systemFileOps)
    await this.start()
    await until('a look', () => this.levels > 0)
  }

  async start(isForced = false): Promise<void> {
    const file = await FollowedFile.open(this.path, systemFileOps, LOG)
    const store = new DirectoryStore(this.archive, systemFileOps)
    this.#file = file
    this.#follower = new Follower({
      ...{ file, isForced, everyMs: 5, archive: new FollowedArchive(store, [], undefined) },
      over: (reason, steps) => this.#over(reason, steps),
      onStart() {},
      onStep: (step) => this.steps.push(step),
      onBad: (name) => this.bad.push(name),
      onWaiting: (error) => this.waits.push(error),
      onLevel: () => this.levels++,
    })
    this.#running = this.#follower.run()
    this.#running.catch(() => {})
  }

  /** The last state, when a snapshot of it is there. */
  async #over(reason: OverReason, steps: Steps): Promise<FollowStep | undefined> {
    const { txid } = this.states[this.states.length - 1]
    const side = join(this.folder, 'side.db')
    for (const incarnation of [TWO, ONE])
      try {
        const restored = await restoreFrom(this.archive, { incarnation, txid }, side)
        this.overs.push(reason)
        return await steps.takeAll(side, restored)
      } catch (error) {
        if (keyOf(error) !== undefined) throw error
      }
    return undefined
  }

  async end(): Promise<void> {
    this.#follower?.stop()
    await this.#running?.catch(() => {})
    await this.#file?.close()
    this.#file = undefined
  }

  get running(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  /** Waits for the state at this place. */
  async isAt(i: number): Promise<void> {
    const { txid, checksum } = this.states[i]
    const has = () => this.steps.some((step) => step.txid === txid && step.checksum === checksum)
    await until(`txid ${txid}`, has)
  }

  /** After `end`: what the file itself holds. */
  requireState(i: number): void {
    assert.ok(readFileSync(this.path).equals(this.states[i].bytes), `state ${i}`)
  }
}

test('each file of changes is one step for a reader that stays open', async (t) => {
  const world = new World(t)
  await world.begin()
  const reader = new Database(world.path, { readonly: true })
  const rows = reader.prepare('SELECT count(*) AS n FROM a').pluck()
  assert.equal(rows.get(), 1)
  await world.add({ kind: 'changes', incarnation: ONE, from: 0, states: [1, 2] })
  await world.isAt(2)
  assert.equal(rows.get(), 61)
  // A failover at that position, a database that shrinks, and two files at once.
  await world.add(
    { kind: 'changes', incarnation: TWO, epoch: 2, from: 2, after: ONE, states: [3, 4] },
    { kind: 'changes', incarnation: TWO, epoch: 2, from: 4, states: [5] },
  )
  await world.isAt(5)
  assert.equal(rows.get(), 20)
  assert.equal(reader.pragma('integrity_check', { simple: true }), 'ok')
  assert.throws(() => new Database(world.path, { timeout: 0 }).exec('DELETE FROM a'), /locked/)
  reader.close()
  assert.deepEqual(
    world.steps.map(({ txid, positions }) => [txid - world.states[0].txid, positions]),
    [
      [2, 2],
      [4, 2],
      [5, 1],
    ],
  )
  await world.end()
  world.requireState(5)
  assert.deepEqual([world.overs, world.bad, world.waits], [[], [], []])
})

test('merged files take the place of those that were planned', async (t) => {
  const world = new World(t)
  await world.begin()
  await world.add({ kind: 'changes', incarnation: ONE, from: 0, states: [1, 2] })
  await world.isAt(2)
  await world.end()
  rmSync(join(world.archive, 'changes'), { recursive: true })
  await world.add({ kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3, 5], level: 1 })
  await world.start()
  await world.isAt(5)
  assert.deepEqual(world.steps.at(-1)?.positions, 2)
  await world.end()
  rmSync(join(world.archive, 'changes'), { recursive: true })
  await world.add({ kind: 'changes', incarnation: ONE, from: 2, states: [7], level: 4 })
  await world.start()
  await world.isAt(7)
  await world.end()
  world.requireState(7)
  assert.deepEqual(world.overs, [])
})

test('a broken file is named once; a snapshot behind it is gone over to', async (t) => {
  const world = new World(t)
  await world.begin()
  const [name] = await world.add({ kind: 'changes', incarnation: ONE, from: 0, states: [1] })
  await world.isAt(1)
  await world.add({ kind: 'snapshot', incarnation: ONE, states: [7] })
  const broken = await writeBroken(world)
  await world.isAt(7)
  assert.deepEqual([world.overs, world.bad, world.waits], [['gap'], [broken], []])
  assert.notEqual(name, broken)
  await world.end()
  world.requireState(7)
})

/** Under its name it never is whole. */
async function writeBroken({ archive, folder, states }: World): Promise<string> {
  const aside = join(folder, 'aside')
  const [name] = await writeArchive(aside, states, PAGE_SIZE, [
    { kind: 'changes', incarnation: ONE, from: 1, states: [2, 3] },
  ])
  flipBit(aside, name, 0.3)
  const bytes = readFileSync(join(aside, name))
  await new DirectoryStore(archive, systemFileOps).create(name, (append) => append(bytes))
  return name
}

test('without a snapshot it waits before a gap, and says so', async (t) => {
  const world = new World(t)
  await world.begin()
  await world.add({ kind: 'changes', incarnation: ONE, from: 0, states: [1] })
  await world.isAt(1)
  await world.add({ kind: 'changes', incarnation: ONE, from: 2, states: [3] })
  await until('it waits', () => world.waits.length > 0)
  assert.equal(keyOf(world.waits[0]), 'ARCHIVE_GAP')
  await world.add({ kind: 'changes', incarnation: ONE, from: 1, states: [2] })
  await world.isAt(3)
  await world.end()
  world.requireState(3)
  assert.equal(world.waits.length, 1)
})

test('a position that a failover left behind is given up for the newest history', async (t) => {
  const world = new World(t)
  await world.begin()
  await world.add({ kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3] })
  await world.isAt(3)
  await world.add({
    ...{ kind: 'changes', incarnation: TWO, epoch: 2, from: 0, after: ONE },
    states: [7],
  })
  await world.isAt(7)
  assert.deepEqual(world.overs, ['left'])
  await world.end()
  world.requireState(7)
})

test('an archive of another database takes over no file, unless that is forced', async (t) => {
  const world = new World(t)
  await world.begin()
  await world.end()
  rmSync(world.archive, { recursive: true })
  await world.add({ kind: 'snapshot', incarnation: TWO, cluster: 'other', states: [7] })
  await world.start()
  await assert.rejects(within('it ends', world.running), (error) => {
    assert.match(messageOf(error), /archive has nothing of its history/)
    return keyOf(error) === 'FOLLOWED_CHANGED'
  })
  await world.end()
  world.requireState(0)
  await world.start(true)
  await world.isAt(7)
  await world.end()
  world.requireState(7)
  assert.deepEqual(world.overs, ['foreign'])
})

test('what another program wrote is kept, unless that is forced', async (t) => {
  const world = new World(t)
  await world.begin()
  await world.end()
  const other = new Database(world.path)
  other.exec('INSERT INTO a (b) VALUES (99)')
  other.close()
  const changed = readFileSync(world.path)
  await world.add(
    { kind: 'changes', incarnation: ONE, from: 0, states: [1] },
    { kind: 'snapshot', incarnation: ONE, states: [7] },
  )
  for (let round = 0; round < 2; round++) {
    await world.start()
    await assert.rejects(
      within('it ends', world.running),
      (error) => keyOf(error) === 'FOLLOWED_CHANGED',
    )
    await world.end()
    assert.ok(readFileSync(world.path).equals(changed))
  }
  await world.start(true)
  await world.isAt(7)
  await world.end()
  world.requireState(7)
  assert.deepEqual(world.overs, ['forced'])
})

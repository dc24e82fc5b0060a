/**
 * Starts a clone of a leader's files beside the leader. It has the leader's id, so it must end
 * before it serves. With a new id it is a replica like any other.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import { contentOfFiles } from '../support/content.ts'
import { type Lab, nodeArguments, requireSame } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { TOTAL } from '../support/workload.ts'
import type { Random } from './random.ts'
import { copyDatabase, copyFolder, removeDatabase, removeFolder } from './snapshots.ts'
import { startWriters, stopWriters, type World } from './world.ts'

/** Between processes started within a second, chance decides which one ends. */
const FIRST_MS = 1500
let clones = 0

export interface CloneParts {
  readonly lab: Lab
  readonly random: Random
  readonly leader: TestNode
  /** HOST:PORT of the leader. */
  readonly address: string
  /** The sum of all balances in a sound copy. */
  readonly total: number
}

/** `asReplica` checks a clone that follows the leader with an id of its own. */
export async function cloneBeside(
  { lab, random, leader, address, total }: CloneParts,
  asReplica: (clone: TestNode) => Promise<void>,
): Promise<void> {
  const db = lab.path(`clone${++clones}.db`)
  try {
    copyDatabase(leader.db, db, random() < 0.5 ? ['', '-wal'] : ['', '-wal', '-shm'])
    copyFolder(leader.db, db)
    // Torn, as a copy of a running database may be.
    if ((await contentOfFiles(lab, db, total)).problem !== '') return
    await until('the leader has been up for a while', async () => {
      const { upMs } = JSON.parse((await leader.get('/leader')).text)
      return upMs > FIRST_MS
    })
    const { environment = {} } = leader.options
    await requireTaken(lab, leader, { db, address, environment })
    if (random() < 0.5) return
    const made = lab.cli(['new-identity', '--db', db])
    made.expectEnd()
    assert.equal((await made.ended).code, 0, made.tail())
    const flags = ['--reconnect-max', '200ms', '--max-diverged', '1000']
    const clone = await (await lab.replica(db, address, { flags, environment })).ready()
    assert.notEqual((await clone.status()).node, (await leader.status()).node)
    await asReplica(clone)
    await clone.stop(random() < 0.5 ? 'SIGTERM' : 'SIGKILL')
  } finally {
    removeDatabase(db)
    removeFolder(db)
    rmSync(`${db}.new`, { force: true })
  }
}

/** A clone started unchanged ends and says why; the leader goes on. */
async function requireTaken(
  lab: Lab,
  leader: TestNode,
  clone: {
    readonly db: string
    readonly address: string
    readonly environment: Readonly<Record<string, string>>
  },
): Promise<void> {
  const before = await leader.status()
  const args = nodeArguments('replica', {
    db: clone.db,
    port: await freePort(),
    leader: clone.address,
  })
  const child = lab.cli(args, clone.environment)
  child.expectEnd()
  const { code } = await within('the clone ends by itself', child.ended)
  assert.equal(code, 1, child.tail())
  assert.ok(
    child.err.some((line) => line.startsWith('WALCAST_NODE_ID_TAKEN')),
    child.tail(),
  )
  // A leader that stood still on a busy machine asks the others first.
  await until(
    'the leader of a clone leads on',
    async () => (await leader.get('/leader')).status === 200,
  )
  assert.equal(
    (await leader.status()).epoch,
    before.epoch,
    'a clone made its leader begin an epoch',
  )
}

export async function cloneLeader(world: World): Promise<void> {
  const { lab, random, leader } = world
  await cloneBeside(
    { lab, random, leader, address: leader.address, total: TOTAL },
    async (clone) => {
      await stopWriters(world)
      await requireSame(lab, leader, clone)
      startWriters(world)
    },
  )
}

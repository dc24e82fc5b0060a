/** A replica dies at each step of the apply, and comes back intact. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../src/cli/freePorts.ts'
import type { FileOp } from '../../src/platform/fileOps.ts'
import type { Child } from '../support/child.ts'
import { type Lab, nodeArguments, requireSame } from '../support/lab.ts'
import type { SqlSession } from '../support/sqlSession.ts'
import { TestNode } from '../support/testNode.ts'
import { within } from '../support/until.ts'
import { makeDatabase, numbers } from '../support/workload.ts'

/**
 * Each step, with the occurrences at which the process dies: the first after its start, and a later
 * one once it is level.
 */
export const APPLY_STEPS: readonly (readonly [FileOp, number | undefined])[] = [
  ['wal.header', 2],
  ['wal.append', 12],
  ['index.grow', undefined],
  ['index.pages', 9],
  ['index.hash', 20],
  ['index.publish', 7],
  ['position.append', 9],
]

/** A replica dies at each of these steps, in the middle of writes. */
export async function applyCrashes(
  lab: Lab,
  steps: readonly (readonly [FileOp, number | undefined])[],
): Promise<void> {
  const crash = await startForCrash(lab, 1000)
  await (await lab.replica(crash.path, crash.leader, { port: crash.port }))
    .ready()
    .then((node) => node.stop())
  for (const [op, later] of steps) await crashesAt(lab, crash, op, later)
}

/**
 * Two crashes at `op`. The process that survives the first, once proven sound, dies of the second.
 */
async function crashesAt(
  lab: Lab,
  crash: Crash,
  op: FileOp,
  later: number | undefined,
): Promise<void> {
  const { leader, path, port } = crash
  const args = nodeArguments('replica', {
    db: path,
    port,
    leader: leader.address,
    flags: crashFlags(op),
  })
  const first = lab.program('replicaAt', { args, op, count: 1 })
  await dies(lab, crash, op, first)
  if (later !== undefined) {
    const from = lab.path(`from-${op}`)
    const second = lab.program('replicaAt', { args, op, count: later, from })
    await requireSame(lab, leader, new TestNode('replica', { db: path, port }, second))
    writeFileSync(from, '')
    await dies(lab, crash, op, second)
  }
  const replica = await lab.replica(path, leader, { port })
  await requireSame(lab, leader, replica)
  assert.equal(await replica.metric('walcast_syncs_total'), 0, `${op}: it went on where it was`)
  await replica.stop()
}

async function dies(lab: Lab, { writing, path }: Crash, op: FileOp, child: Child): Promise<void> {
  child.expectEnd()
  await workUntilEnd(writing, child.ended)
  assert.equal((await child.ended).signal, 'SIGKILL', `${op}: ${child.tail()}`)
  await requireSound(lab, path)
}

export interface Crash {
  readonly leader: TestNode
  readonly writing: SqlSession
  /** Of the replica. */
  readonly path: string
  readonly port: number
}

export async function startForCrash(lab: Lab, rows: number): Promise<Crash> {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { pageSize: 1024, rows })
  const leader = await lab.leader(db)
  return {
    leader,
    writing: lab.modernSql(db),
    path: lab.path('replica.db'),
    port: await freePort(),
  }
}

/** The index grows past its first 32 KiB only when the WAL does. */
function crashFlags(op: FileOp): readonly string[] {
  return op === 'index.grow'
    ? ['--replica-wal', '64MiB', '--idle', '60s']
    : ['--replica-wal', '64KiB', '--idle', '50ms']
}

async function workUntilEnd(
  writing: { rows(sql: string): Promise<unknown> },
  ended: Promise<unknown>,
): Promise<void> {
  let hasEnded = false
  void ended.then(() => {
    hasEnded = true
  })
  for (let i = 0; i < 400 && !hasEnded; i++) {
    await writing.rows(
      numbers(
        20,
        'UPDATE mixed SET body = randomblob(700) WHERE id IN (SELECT abs(random()) % 1000 ' +
          'FROM numbers)',
      ),
    )
    if (i % 20 === 19) await writing.rows('UPDATE mixed SET body = randomblob(600)')
    await delay(3)
  }
  await within('the replica ends', ended)
}

/** Another SQLite version opens what the crash left, recovers it and finds it sound. */
async function requireSound(lab: Lab, path: string): Promise<void> {
  const session = lab.sql(path, { readOnly: true })
  assert.equal(await session.value('PRAGMA integrity_check'), 'ok')
  assert.equal(await session.value('SELECT sum(balance) FROM accounts'), 100_000)
  await session.close()
}

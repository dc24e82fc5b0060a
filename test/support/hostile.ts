/**
 * Everything at once: writers of two SQLite versions, a hostile checkpointer and readers of the
 * replica. At the end, proof that leader and replica are equal.
 */
import assert from 'node:assert/strict'
import { type Lab, requireSame } from './lab.ts'
import type { TestNode } from './testNode.ts'
import { makeDatabase, Reader, type Shape, Writer } from './workload.ts'

export interface HostileOptions {
  readonly shape: Shape
  /** Commits that each writer makes at least. */
  readonly commits: number
  readonly seed: number
  readonly leaderFlags?: readonly string[]
  readonly replicaFlags?: readonly string[]
  /** Checkpoints by the application's own connections too, after so many frames. */
  readonly autocheckpoint?: number
  /** A hostile checkpointer on the replica's copy too. */
  readonly onReplica?: boolean
}

const MODES = ['PASSIVE', 'RESTART', 'TRUNCATE', 'PASSIVE', 'TRUNCATE', 'FULL']

export async function hostileRun(
  lab: Lab,
  options: HostileOptions,
): Promise<{ leader: TestNode; replica: TestNode }> {
  const { shape, commits, seed, autocheckpoint = 0 } = options
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, shape)
  const leader = await lab.leader(db, { flags: options.leaderFlags ?? [] })
  const replica = await lab.replica(lab.path('replica.db'), leader, {
    flags: options.replicaFlags ?? [],
  })
  await replica.ready()
  const readers = [
    new Reader(lab, { path: replica.db, seed, holdMs: 150, readOnly: true }),
    new Reader(lab, { path: replica.db, seed: seed + 1, reopen: 0.3, mmap: true }),
  ]
  const checkpointers = [db, ...(options.onReplica ? [replica.db] : [])].map((path) => {
    const child = lab.program('checkpointer', { path, timeoutMs: 1, pauseMs: 3, modes: MODES })
    return child
  })
  const writers = [
    new Writer(lab, 'node', { path: db, name: 'a', seed: seed + 2, autocheckpoint }),
    new Writer(lab, 'python', { path: db, name: 'b', seed: seed + 3 }),
    new Writer(lab, 'node', { path: db, name: 'c', seed: seed + 4, pauseMs: 5, autocheckpoint }),
  ]
  await Promise.all([
    ...writers.map((writer) => writer.advance(commits)),
    // Its turn comes by chance, and without it nothing is tested.
    checkpointers[0].line((line) => line.includes('emptied')),
  ])
  for (const reader of readers) reader.check()
  await Promise.all(writers.map((writer) => writer.stop()))
  for (const child of checkpointers) {
    child.expectEnd()
    child.write('stop')
    await child.line((line) => line.includes('counts'))
    await child.ended
  }
  await requireSame(lab, leader, replica)
  for (const reader of readers) assert.ok((await reader.stop()).passes > 5)
  assert.equal((await replica.status()).epoch, (await leader.status()).epoch)
  return { leader, replica }
}

/**
 * What a round of torture works on, and the programs around the nodes, which end and begin again
 * when a state is put back.
 */
import type { Child } from '../support/child.ts'
import type { Lab } from '../support/lab.ts'
import type { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { within } from '../support/until.ts'
import { Reader, Writer } from '../support/workload.ts'
import type { PositionLedger } from './positionLedger.ts'
import { pick, type Random } from './random.ts'
import type { Snapshots } from './snapshots.ts'

export interface World {
  readonly lab: Lab
  readonly random: Random
  readonly db: string
  readonly proxy: TcpProxy
  leader: TestNode
  readonly replicas: TestNode[]
  writers: Writer[]
  readers: Reader[]
  /** On the leader's database. */
  checkpointer: Child
  readonly told: Map<string, number>
  readonly snapshots: Snapshots
  readonly ledger: PositionLedger
  /** One more with each put-back. */
  history: number
  commits: number
  passes: number
}

export type Fault = (world: World) => Promise<unknown>

const MODES = ['PASSIVE', 'RESTART', 'TRUNCATE', 'FULL', 'PASSIVE', 'TRUNCATE']
const WRITERS = 3

export function startWriters(world: World): void {
  world.writers = Array.from({ length: WRITERS }, (_, i) => newWriter(world, i))
}

export async function stopWriters(world: World): Promise<void> {
  const all = await Promise.all(world.writers.map((writer) => writer.stop()))
  world.commits += all.reduce((sum, { commits }) => sum + commits, 0)
  world.writers = []
}

export function newWriter(
  { lab, random, db }: Pick<World, 'lab' | 'random' | 'db'>,
  i: number,
): Writer {
  const autocheckpoint = i === 1 ? 0 : pick(random, [0, 50, 1000])
  const seed = Math.floor(random() * 1e9)
  const options = {
    path: db,
    name: `w${i}x${seed}`,
    seed,
    pauseMs: pick(random, [1, 5]),
    autocheckpoint,
  }
  return new Writer(lab, i === 1 ? 'python' : 'node', options)
}

export function startReaders(world: World): void {
  world.readers = world.replicas.flatMap(({ db }, i) => [
    new Reader(world.lab, { path: db, seed: i, pauseMs: 1, holdMs: 300, readOnly: true }),
    new Reader(world.lab, { path: db, seed: i + 9, pauseMs: 1, reopen: 0.3, mmap: i === 0 }),
  ])
}

export async function stopReaders(world: World): Promise<void> {
  const all = await Promise.all(world.readers.map((reader) => reader.stop()))
  world.passes += all.reduce((sum, { passes }) => sum + passes, 0)
  world.readers = []
}

export function newCheckpointer(
  { lab, random }: Pick<World, 'lab' | 'random'>,
  path: string,
): Child {
  const [timeoutMs, pauseMs] = [pick(random, [0, 1, 5]), pick(random, [1, 3, 20])]
  return lab.program('checkpointer', { path, timeoutMs, pauseMs, modes: MODES })
}

export async function stopCheckpointer(child: Child): Promise<void> {
  child.expectEnd()
  child.write('stop')
  await within('a checkpointer ends', child.ended)
}

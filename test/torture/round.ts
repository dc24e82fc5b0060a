/** One round of torture: everything in it follows from the random numbers it is given. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../src/cli/freePorts.ts'
import type { FileOp } from '../../src/platform/fileOps.ts'
import { type Lab, nodeArguments, requireSame } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase, numbers, TOTAL } from '../support/workload.ts'
import { cloneLeader } from './clones.ts'
import { PositionLedger } from './positionLedger.ts'
import { putBackLeader } from './putBack.ts'
import { pick, type Random, spread, type Weighted } from './random.ts'
import { Snapshots } from './snapshots.ts'
import {
  type Fault,
  newCheckpointer,
  newWriter,
  startReaders,
  startWriters,
  stopCheckpointer,
  stopReaders,
  stopWriters,
  type World,
} from './world.ts'

const OPS: readonly FileOp[] = [
  'wal.header',
  'wal.append',
  'index.grow',
  'index.pages',
  'index.hash',
  'index.publish',
  'position.append',
]
const REPLICAS = 2
const FAULTS = 10
const SNAPSHOT_CHANCE = 0.3

/** Throws when anything is wrong. Returns the faults of the round. */
export async function runRound(lab: Lab, random: Random): Promise<string> {
  const pageSize = pick(random, [512, 1024, 4096, 4096, 8192, 65536])
  const db = lab.path('leader.db')
  const journalMode = pick(random, ['wal', 'delete'] as const)
  await makeDatabase(lab, db, {
    pageSize,
    journalMode,
    autoVacuum: pick(random, ['none', 'full', 'incremental']),
    rows: 300,
  })
  const leader = await lab.leader(db, { flags: leaderFlags(random) })
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const replicas: TestNode[] = []
  const isRelayed = random() < 0.35
  for (let i = 0; i < REPLICAS; i++) {
    const direct = isRelayed ? replicas[0]?.address : leader.address
    const address = i === 0 ? proxy.address : direct
    const flags = [
      '--reconnect-max',
      '200ms',
      '--replica-wal',
      pick(random, ['32KiB', '256KiB', '4MiB']),
      '--idle',
      pick(random, ['50ms', '1s']),
      // No bundle is to go before it was looked at.
      '--max-diverged',
      '1000',
    ]
    replicas.push(await (await lab.replica(lab.path(`replica${i}.db`), address, { flags })).ready())
  }
  const world: World = {
    lab,
    random,
    db,
    proxy,
    leader,
    replicas,
    writers: [],
    readers: [],
    checkpointer: newCheckpointer({ lab, random }, db),
    told: new Map(),
    snapshots: new Snapshots(lab, random, 'leader', TOTAL),
    ledger: new PositionLedger(),
    history: 0,
    commits: 0,
    passes: 0,
  }
  const checkpointers = replicas.map((replica) => newCheckpointer(world, replica.db))
  startReaders(world)
  startWriters(world)
  await takeSnapshot(world)
  for (let i = 0; i < FAULTS; i++) {
    await delay(random() * 700)
    if (random() < SNAPSHOT_CHANCE) await takeSnapshot(world)
    const [name, fault] = pick(random, WEIGHTED)
    world.told.set(name, (world.told.get(name) ?? 0) + 1)
    await fault(world)
    for (const reader of world.readers) reader.check()
  }

  proxy.tamper = (bytes) => bytes
  for (const child of [world.checkpointer, ...checkpointers]) await stopCheckpointer(child)
  await stopWriters(world)
  for (const replica of world.replicas) await requireSame(lab, world.leader, replica)
  for (const node of [world.leader, ...world.replicas]) await world.ledger.ask(node)
  world.ledger.settle()
  await stopReaders(world)
  const { epoch, txid } = await world.leader.status()
  const faults = [...world.told].map(([name, count]) => `${count} ${name}`).join(', ')
  return (
    `pages of ${pageSize}, ${world.commits} commits, ${world.passes} ` +
    `reads, at ${epoch}-${txid}; ${faults}`
  )
}

async function takeSnapshot(world: World): Promise<void> {
  await world.snapshots.takeRunning(world.db, async () => {
    const { txid } = await world.leader.status()
    return { history: world.history, txid }
  })
}

function leaderFlags(random: Random): string[] {
  const soft = pick(random, [50, 200, 750])
  const hard = pick(random, [200, 850, 5000])
  return [
    ['--soft-wal', String(soft)],
    ['--hard-wal', String(Math.max(soft, hard))],
    ['--history', pick(random, ['256KiB', '4MiB', '32MiB'])],
    ['--batch', pick(random, ['64KiB', '1MiB'])],
  ].flat()
}

const FAULTS_BY_WEIGHT: Weighted<Fault> = [
  ['leader killed', 3, async (world) => restartLeader(world, 'SIGKILL')],
  ['leader stopped', 2, async (world) => restartLeader(world, 'SIGTERM')],
  ['replica killed', 3, async (world) => restartReplica(world, 'SIGKILL')],
  ['replica stopped', 1, async (world) => restartReplica(world, 'SIGTERM')],
  ['replica written to while down', 1, async (world) => restartReplica(world, 'SIGKILL', stray)],
  ['replica dead in a step', 3, dieInStep],
  ['writer killed', 2, killWriter],
  [
    'replica frozen',
    1,
    async ({ replicas, random }) => freeze(pick(random, replicas), 300 + random() * 1500),
  ],
  ['leader frozen', 1, async ({ leader, random }) => freeze(leader, 300 + random() * 1000)],
  ['connection cut', 2, async ({ proxy }) => proxy.cutAll()],
  ['bit flipped', 2, flipOnWire],
  ['VACUUM', 1, vacuum],
  ['large transaction', 1, large],
  ['leader put back', 6, putBackLeader],
  ['leader cloned', 2, cloneLeader],
]
const WEIGHTED = spread(FAULTS_BY_WEIGHT)

async function restartLeader(world: World, signal: NodeJS.Signals): Promise<void> {
  const { txid } = await world.leader.status()
  await world.leader.stop(signal)
  await delay(world.random() * 300)
  world.leader = await world.lab.restart(world.leader)
  const now = (await world.leader.status()).txid
  assert.ok(now >= txid, `txid went back from ${txid} to ${now}`)
}

async function restartReplica(
  world: World,
  signal: NodeJS.Signals,
  meanwhile?: (path: string, world: World) => Promise<void>,
): Promise<void> {
  const i = Math.floor(world.random() * world.replicas.length)
  await world.replicas[i].stop(signal)
  await meanwhile?.(world.replicas[i].db, world)
  world.replicas[i] = await world.lab.restart(world.replicas[i])
}

/** Something that breaks no invariant of the readers, which go on reading. */
async function stray(path: string, { lab }: World): Promise<void> {
  const session = lab.sql(path)
  await session.attempt('CREATE TABLE IF NOT EXISTS stray (a)')
  await session.attempt(numbers(50, 'INSERT INTO stray SELECT randomblob(500) FROM numbers'))
  await session.close()
}

async function dieInStep(world: World): Promise<void> {
  const { lab, random } = world
  const i = Math.floor(random() * world.replicas.length)
  const { db, leader = '', flags = [] } = world.replicas[i].options
  await world.replicas[i].stop('SIGTERM')
  const args = nodeArguments('replica', { db, leader, flags, port: await freePort() })
  const child = lab.program('replicaAt', {
    args,
    op: pick(random, OPS),
    count: 1 + Math.floor(random() * 30),
  })
  child.expectEnd()
  await Promise.race([child.ended, delay(5000)])
  if (!child.end) await child.stop('SIGKILL')
  world.replicas[i] = await lab.restart(world.replicas[i])
}

async function killWriter(world: World): Promise<void> {
  const i = Math.floor(world.random() * world.writers.length)
  await world.writers[i].child.stop('SIGKILL')
  world.writers[i] = newWriter(world, i)
}

async function freeze(node: TestNode, ms: number): Promise<void> {
  node.kill('SIGSTOP')
  await delay(ms)
  node.kill('SIGCONT')
}

async function flipOnWire({ proxy, random }: World): Promise<void> {
  let flipped = false
  proxy.tamper = (bytes, toReplica) => {
    if (!toReplica || flipped || bytes.length < 200) return bytes
    flipped = true
    const changed = Buffer.from(bytes)
    changed[Math.floor(random() * bytes.length)] ^= 1 << Math.floor(random() * 8)
    return changed
  }
  await Promise.race([until('a bit is flipped', () => flipped, 3000).catch(() => {}), delay(3000)])
}

async function vacuum({ lab, db }: World): Promise<void> {
  const session = lab.modernSql(db)
  await session.attempt('VACUUM')
  await session.close()
}

async function large({ lab, db, random }: World): Promise<void> {
  const session = pick(random, [lab.modernSql, lab.sql]).call(lab, db)
  await session.attempt('PRAGMA cache_size=10')
  await session.attempt(
    numbers(3000, 'INSERT INTO mixed (grp, body) SELECT n % 500, randomblob(2000) FROM numbers'),
  )
  await session.close()
}

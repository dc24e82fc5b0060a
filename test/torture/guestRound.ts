/** One round beside an application that the nodes must not disturb. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type Lab, requireSame } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { makeDatabase, Reader, Writer } from '../support/workload.ts'
import { pick, type Random, spread, type Weighted } from './random.ts'

const FAULTS = 8
const BETWEEN_MS = 1500
/** The user `nobody`, on any Linux. */
const STRANGER = { uid: 65534, gid: 65534 }

interface Guest {
  readonly lab: Lab
  readonly random: Random
  readonly proxy: TcpProxy
  leader: TestNode
  replica: TestNode
}

/**
 * Throws when a transaction was refused or anything else is wrong. Returns the faults of the round.
 */
export async function runGuestRound(lab: Lab, random: Random): Promise<string> {
  const pageSize = pick(random, [1024, 4096])
  chmodSync(lab.folder, 0o755)
  for (const name of ['leader', 'replica']) mkdirSync(lab.path(name), { mode: 0o755 })
  const db = lab.path('leader/app.db')
  await makeDatabase(lab, db, { pageSize, rows: 300 })
  const leader = await lab.leader(db)
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const flags = ['--reconnect-max', '200ms', '--max-diverged', '1000', '--copy-mode', '0644']
  const replica = await (
    await lab.replica(lab.path('replica/app.db'), proxy.address, { flags })
  ).ready()
  const guest: Guest = { lab, random, proxy, leader, replica }
  const readers = [
    new Reader(lab, {
      path: replica.db,
      seed: 1,
      pauseMs: 1,
      holdMs: 300,
      readOnly: true,
      ...STRANGER,
    }),
    new Reader(lab, {
      path: replica.db,
      seed: 2,
      pauseMs: 1,
      reopen: 0.3,
      readOnly: true,
      ...STRANGER,
    }),
  ]
  const language = pick(random, ['node', 'python'] as const)
  const autocheckpoint = pick(random, [0, 1000])
  const seed = Math.floor(random() * 1e9)
  const writer = new Writer(lab, language, {
    ...{ path: db, name: 'w', seed, autocheckpoint },
    pauseMs: pick(random, [2, 5]),
    isDeferred: true,
  })
  const told = new Map<string, number>()
  for (let i = 0; i < FAULTS; i++) {
    await delay(random() * BETWEEN_MS)
    const [name, fault] = pick(random, WEIGHTED)
    told.set(name, (told.get(name) ?? 0) + 1)
    const { busy } = writer.counts
    await fault(guest)
    await writer.advance(20)
    const refused = writer.counts.busy - busy
    assert.equal(refused, 0, `${refused} transactions were refused: ${name}`)
    for (const reader of readers) reader.check()
  }
  const { commits, busy } = await writer.stop()
  const fences = await guest.leader.metric('walcast_checkpoint_pause_seconds_count')
  assert.equal(busy, 0, `${busy} transactions were refused, ${commits} were not; ${fences} fences`)
  await requireSame(lab, guest.leader, guest.replica)
  const passes = await Promise.all(readers.map((reader) => reader.stop()))
  const faults = [...told].map(([name, count]) => `${count} ${name}`).join(', ')
  return (
    `pages of ${pageSize}, ${language}, ${commits} commits, ` +
    `${passes.map((each) => each.passes).join(' + ')} reads; ${faults}`
  )
}

type Fault = (guest: Guest) => Promise<unknown>

const FAULTS_BY_WEIGHT: Weighted<Fault> = [
  ['leader killed', 3, (guest) => restartLeader(guest, 'SIGKILL')],
  ['leader stopped', 3, (guest) => restartLeader(guest, 'SIGTERM')],
  ['replica killed', 2, (guest) => restartReplica(guest, 'SIGKILL')],
  ['replica stopped', 1, (guest) => restartReplica(guest, 'SIGTERM')],
  ['replica frozen', 2, ({ replica, random }) => freeze(replica, 300 + random() * 3000)],
  ['leader frozen', 2, ({ leader, random }) => freeze(leader, 300 + random() * 1000)],
  ['connection cut', 2, async ({ proxy }) => proxy.cutAll()],
]
const WEIGHTED = spread(FAULTS_BY_WEIGHT)

async function restartLeader(guest: Guest, signal: NodeJS.Signals): Promise<void> {
  await guest.leader.stop(signal)
  await delay(guest.random() * 300)
  guest.leader = await guest.lab.restart(guest.leader)
}

async function restartReplica(guest: Guest, signal: NodeJS.Signals): Promise<void> {
  await guest.replica.stop(signal)
  guest.replica = await guest.lab.restart(guest.replica)
}

async function freeze(node: TestNode, ms: number): Promise<void> {
  node.kill('SIGSTOP')
  await delay(ms)
  node.kill('SIGCONT')
}

/**
 * How long clients wait when a leader is lost and another node takes over by itself.
 *
 * Three nodes with a lease in etcd (`--ttl 3s`), each with its application in a network namespace
 * of its own, etcd in a fourth, the clients in a fifth. This wants root, `ip` and Debian's
 * `etcd-server`. A client writes every 10 ms through the three proxies in turn, with
 * `Walcast-Ack: one`, and does not wait for the answers before. Only acknowledged writes count.
 * `--rounds` times each; the lost node returns before the next round, which loses the leader of
 * then.
 *
 * - `machine`: the leader's cable is cut, then all processes of its machine get SIGKILL.
 * - `process`: the node's process alone gets SIGKILL, with `--guard`; skipped where a node has no
 *   such option.
 * - `planned`: `walcast switchover`.
 * - `stop`: the leader's node gets SIGTERM.
 *
 * The times of `machine` and `process` are from just before the loss to the first write answered
 * through another node's proxy that began when the leader was gone for certain. Those of `planned`
 * and `stop` are the longest time without an acknowledged write; for `stop` through the others'
 * proxies. `lost` counts acknowledged writes that are not in the file at the end, when all nodes
 * hold the same rows, or there are no numbers. `rest` counts requests by etcd's own metrics, for
 * 20 s.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openForReading } from '../clients/sqlite.ts'
import {
  lostOf,
  outageMs,
  pauseMs,
  percentilesOfMs,
  requestsPerSecond,
  type Write,
} from '../failoverLog.ts'
import { debianProgram, NotAvailable } from '../install.ts'
import { type Child, pause } from '../processes.ts'
import type { Row } from '../result.ts'
import { nowMs } from '../roleLog.ts'
import type { Context, Suite } from '../suite.ts'
import { FailoverCluster, type FailoverNode, TTL_SECONDS } from '../systems/failoverCluster.ts'
import { walcast } from '../systems/walcast.ts'

type Part = 'machine' | 'process' | 'planned' | 'stop'

const AIMS_MS: Partial<Record<Part, number>> = {
  machine: (TTL_SECONDS + 1) * 1000,
  process: 500,
}
const PERIOD_MS = 10
const REST_SECONDS = 20
/**
 * Between a settled cluster and the loss, and a random part of that more: the leader has published
 * whose confirmations count.
 */
const CALM_MS = 1500
/** After another one leads, until the next step. */
const AFTER_MS = 500
const LOAD_TIMEOUT_MS = 60_000

/** Measures one loss, in ms, once the log is there. */
type Measure = (writes: readonly Write[]) => number

export const failover: Suite = {
  note:
    `Three nodes with a lease of ${TTL_SECONDS} s in etcd, each on a machine of its own ` +
    `(network namespaces), a write every ${PERIOD_MS} ms with Walcast-Ack: one. ` +
    'machine, process: from the loss of the leader to the first write answered elsewhere; ' +
    'planned, stop: the longest time without an acknowledged write. ' +
    'lost: acknowledged writes missing at the end.',
  hasPeers: false,
  async run(context) {
    try {
      const etcd = await debianProgram('etcd', 'etcd-server', () => [], context.progress)
      return await rowsOf(context, etcd)
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error
      return [{ system: walcast.name, rounds: 0, skipped: error.message }]
    }
  },
}

async function rowsOf(context: Context, etcd: string): Promise<Row[]> {
  const hasGuard = knowsGuard(context.root)
  const rows: Row[] = []
  const cluster = await FailoverCluster.start(context, etcd, hasGuard ? ['--guard'] : [])
  try {
    rows.push(await rest(context, cluster))
    rows.push(await measure(context, cluster, 'machine'))
    rows.push(
      hasGuard
        ? await measure(context, cluster, 'process')
        : skipped(walcast.name, 'process', 'walcast node has no --guard'),
    )
    rows.push(await measure(context, cluster, 'planned'))
    rows.push(await measure(context, cluster, 'stop'))
  } finally {
    await cluster.stop()
  }
  const missing = 'this suite does not measure it yet'
  return [...rows, skipped('rqlite', 'machine', missing), skipped('patroni', 'machine', missing)]
}

const skipped = (system: string, part: Part, why: string): Row => ({
  system,
  part,
  rounds: 0,
  skipped: why,
})

function knowsGuard(root: string): boolean {
  const args = [join(root, 'dist/bundle/cli/main.js'), 'node', '--help', '--all']
  return /^\s*--guard\b/m.test(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

async function rest(context: Context, cluster: FailoverCluster): Promise<Row> {
  context.progress('failover: at rest')
  await cluster.settled()
  const before = await cluster.etcdRequests()
  const fromMs = nowMs()
  await pause(REST_SECONDS * 1000)
  const counts = [before, await cluster.etcdRequests()] as const
  const perSecond = requestsPerSecond(counts, nowMs() - fromMs, cluster.nodes.length)
  return { system: walcast.name, part: 'rest', rounds: 1, requestsPerSecond: perSecond }
}

async function measure(context: Context, cluster: FailoverCluster, part: Part): Promise<Row> {
  const { rounds } = context.options
  const log = join(context.processes.newFolder(), 'writes.json')
  const load = await startLoad(context, cluster, log)
  const measures: Measure[] = []
  for (let round = 1; round <= rounds; round++) {
    const leader = await cluster.settled()
    context.progress(`failover: ${part}, round ${round}: ${leader.name} leads`)
    await pause(CALM_MS + Math.random() * CALM_MS)
    measures.push(await STEPS[part](cluster, leader))
    await cluster.restart(leader)
  }
  await cluster.settled()
  load.go()
  await load.result(LOAD_TIMEOUT_MS)
  await cluster.verify()
  const writes = JSON.parse(readFileSync(log, 'utf8')) as Write[]
  const { p50Ms, p99Ms, maxMs } = percentilesOfMs(measures.map((of) => of(writes)))
  return {
    system: walcast.name,
    part,
    rounds,
    p50Ms,
    p99Ms,
    maxMs,
    aimMs: AIMS_MS[part],
    writes: writes.length,
    lost: lostOf(writes, rowsIn(cluster.nodes[0].db)),
    identical: true,
  }
}

async function startLoad(context: Context, cluster: FailoverCluster, log: string): Promise<Child> {
  const script = join(context.root, 'dist/bench/programs/failoverLoad.js')
  const flags = ['--doors', JSON.stringify(cluster.proxies), '--period-ms', String(PERIOD_MS)]
  const first = String(Math.max(0, ...rowsIn(cluster.nodes[0].db)) + 1)
  const command = [process.execPath, script, ...flags, '--log', log, '--first-id', first]
  const [file, ...args] = [...cluster.machines.clients.prefix, ...command]
  const load = context.processes.start({ name: 'load', file, args })
  await load.ready(LOAD_TIMEOUT_MS)
  load.go()
  await load.says('running', LOAD_TIMEOUT_MS)
  return load
}

type Step = (cluster: FailoverCluster, leader: FailoverNode) => Promise<Measure>

const STEPS: Readonly<Record<Part, Step>> = {
  async machine(cluster, leader) {
    const { cutMs, goneMs } = await cluster.lose(leader)
    await replaced(cluster, leader)
    const gone = { fromMs: cutMs, goneMs, door: cluster.nodes.indexOf(leader) }
    return (writes) => outageMs(writes, gone)
  },
  async process(cluster, leader) {
    const fromMs = nowMs()
    leader.child.kill()
    await leader.child.ended
    const gone = { fromMs, goneMs: nowMs(), door: cluster.nodes.indexOf(leader) }
    await replaced(cluster, leader)
    return (writes) => outageMs(writes, gone)
  },
  async planned(cluster, leader) {
    const fromMs = nowMs()
    const to = cluster.nodes[(cluster.nodes.indexOf(leader) + 1) % cluster.nodes.length]
    await cluster.switchOver(leader, to)
    await replaced(cluster, leader)
    const window = { fromMs, toMs: nowMs() - AFTER_MS / 2 }
    return (writes) => pauseMs(writes, window)
  },
  async stop(cluster, leader) {
    const fromMs = nowMs()
    await leader.child.stop()
    await replaced(cluster, leader)
    const window = { fromMs, toMs: nowMs() - AFTER_MS / 2 }
    return (writes) => pauseMs(writes, window, cluster.nodes.indexOf(leader))
  },
}

async function replaced(cluster: FailoverCluster, leader: FailoverNode): Promise<void> {
  await cluster.ledByOther(leader)
  await pause(AFTER_MS)
}

function rowsIn(path: string): ReadonlySet<number> {
  const db = openForReading(path)
  const ids = new Set(db.prepare<[], number>('SELECT id FROM t').pluck().all())
  db.close()
  return ids
}

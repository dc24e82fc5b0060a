/**
 * What each further replica costs the leader and the others: all fed by the leader, and on two
 * levels.
 *
 * One leader feeds, in turns within each round, `--replicas` of them. A writer makes `--rates`
 * small commits a second for `--seconds`, after `--warmup` seconds at the same rate.
 *
 * So many replicas do not fit as processes of their own, in memory or on the cores. They are
 * embedded nodes (`openReplica`), `--per-process` in one process (programs/replicaGroup.ts). Each
 * has a database file, a port and a connection to the leader of its own. The leader does for each
 * what it always does. The leader is a process of its own.
 *
 * CPU is taken from the scheduler's nanoseconds between the writer's start and its end, while no
 * program asks the nodes anything.
 *
 * - `leaderUsPerBatch`: all of the leader's by batch, heartbeats and acknowledgements included. At
 *   20 a second these are a good part of it.
 * - `leaderUsPerBatchAndReplica`: what it is more than in the first row, by each replica more that
 *   the leader feeds.
 * - `replicaUsPerBatchAndReplica`: all replica processes, by batch and replica. Nodes of one
 *   process share its code and its wakes.
 * - `leaderCpuPercent`, `replicasCpuPercent` (all together): percent of one core. Where the second
 *   comes near what the machine has, lag is mostly waiting.
 * - `messagesPerBatch`: what the leader encoded (`walcast_capture_batches_total`) by what one
 *   replica applied. It is 1 when a batch is encoded once, however many replicas there are.
 * - `sentPerEncoded`: bytes handed to sockets (`walcast_send_bytes_total`) by replica and byte
 *   encoded. What is above 1 is heartbeats.
 * - `leaderRssMb`: VmHWM. `replicaRssMb`: that of all replica processes by replica.
 * - `lagP50Ms` to `lagMaxMs`: of the median replica, each figure for itself; `slowestP99Ms`: the
 *   largest p99 of any. From the return of COMMIT in the writer to the event with which an embedded
 *   node tells its position, noted within its process. The warm-up is not in it.
 * - `ownP99Ms`, `ownSlowestP99Ms`: the same two by the replicas' own `/_walcast/lag`, from the
 *   leader's file event to the commit being visible. They are of the last minute, warm-up included.
 *
 * On few cores `slowestP99Ms` of many replicas is mostly how long the last of them waits for a
 * core. Replicas that applications embed have machines of their own.
 *
 * `two levels`: as many replicas as the largest of `--replicas`, but the leader feeds `--relays` of
 * them, which feed the rest, the same number each. Whether a replica can feed replicas is tried
 * first; where it cannot the row says why it was skipped. `leaderUsPerBatchAndReplica` counts those
 * that the leader feeds.
 */
import { join } from 'node:path'
import {
  joinById,
  median,
  type Percentiles,
  percentiles,
  type Spread,
  spread,
} from '../arithmetic.ts'
import { readWritten } from '../eventLog.ts'
import type { PinSetup } from '../options.ts'
import { cpuMsOf, memoryOf } from '../procfs.ts'
import type { Row, SuiteResult } from '../result.ts'
import { type Context, newSetup, resultOf, type Suite, startProgram, warmUp } from '../suite.ts'
import type { Setup } from '../system.ts'
import { verifySame } from '../systems/content.ts'
import { type OwnLag, ReplicaGroups } from '../systems/replicaGroups.ts'
import { type RunningWalcast, startWalcast, walcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'

const LEVEL_TIMEOUT_MS = 60_000
/** How long a replica of a replica may take for its copy, if replicas can feed replicas. */
const PROBE_MS = 8000
/** Of a replica, beside those of the commits. */
const SPARE_POSITIONS = 1000

/**
 * `flat`: the leader feeds every replica. `two levels`: it feeds `relays`, each of which feeds
 * `leavesEach`.
 */
interface Shape {
  readonly topology: 'flat' | 'two levels'
  readonly replicas: number
  readonly relays: number
  readonly leavesEach: number
}

interface Case extends Shape {
  readonly pin: PinSetup
  readonly rate: number
}

interface Counters {
  readonly batches: number
  readonly encodedBytes: number
  readonly sentBytes: number
  readonly applied: number
}

interface Round {
  readonly processes: number
  readonly commits: number
  /** Of the writer, from the first commit to the last. */
  readonly elapsedMs: number
  /** Within the measurement. */
  readonly grown: Counters
  readonly leaderCpuMs: number
  readonly replicasCpuMs: number
  readonly leaderRssMb: number
  readonly replicasRssMb: number
  /** One for each replica. */
  readonly lags: readonly Percentiles[]
  readonly ownLags: readonly OwnLag[]
}

export const fanout: Suite = {
  note:
    'All replicas are embedded nodes, several to a process. ' +
    'leaderUsPerBatch: CPU of the leader by batch; ' +
    'leaderUsPerBatchAndReplica: what each replica beyond those of the first row adds. ' +
    'messagesPerBatch: batches that the leader encoded by batches that one replica applied: 1 ' +
    'however many there are. sentPerEncoded: bytes sent to each replica it feeds by bytes ' +
    'encoded. ' +
    'lag: from the return of COMMIT to the position of the embedded node, ' +
    "of the median replica; slowestP99Ms: of the slowest. own: by the nodes' /_walcast/lag, " +
    'warm-up included. two levels: the leader feeds relays, which feed the rest.',
  hasPeers: false,
  async run(context) {
    const shapes = shapesOf(context.options)
    const skipped = shapes.some(({ topology }) => topology === 'two levels')
      ? await whyNoCascade(context)
      : undefined
    const able = shapes.filter(({ topology }) => topology === 'flat' || skipped === undefined)
    const rows: Row[] = []
    const ratios: Record<string, Spread> = {}
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      for (const rate of context.options.ratesPerSecond) {
        const cases = able.map((shape) => ({ ...shape, pin, rate }))
        const rounds = await takeRounds(context, cases)
        rows.push(...cases.map((each, i) => toRow(each, rounds[i], cases[0], rounds[0])))
        for (const shape of shapes)
          if (!able.includes(shape)) rows.push(skippedRow({ ...shape, pin, rate }, skipped ?? ''))
        Object.assign(ratios, ratiosOf(cases, rounds))
      }
    }
    return { rows, ratios } satisfies SuiteResult
  },
}

/**
 * Every number of replicas, and as many as the largest on two levels where that leaves some for the
 * second.
 */
export function shapesOf(options: {
  readonly replicas: readonly number[]
  readonly relays: number
}): Shape[] {
  const most = Math.max(...options.replicas)
  const relays = Math.min(options.relays, Math.floor(most / 2))
  const flat = options.replicas.map((replicas) => ({
    topology: 'flat' as const,
    replicas,
    relays: 0,
    leavesEach: 0,
  }))
  if (relays === 0) return flat
  const leavesEach = Math.floor(most / relays) - 1
  return [
    ...flat,
    { topology: 'two levels', replicas: relays * (1 + leavesEach), relays, leavesEach },
  ]
}

/** Why replicas cannot be fed by replicas; undefined when they can. */
async function whyNoCascade(context: Context): Promise<string | undefined> {
  const { running, groups } = await startNodes(context, [1], 1)
  try {
    await groups.add(groups.addresses, PROBE_MS)
    return undefined
  } catch (error) {
    const lines = error instanceof Error ? error.message.trimEnd().split('\n') : [String(error)]
    return `a replica of a replica does not become ready: ${lines.at(-1)}`
  } finally {
    await groups.stop()
    await running.stop()
  }
}

/** Rounds by case; each round begins with another case. */
async function takeRounds(context: Context, cases: readonly Case[]): Promise<Round[][]> {
  const rounds = cases.map((): Round[] => [])
  for (let i = 0; i < context.options.rounds; i++)
    for (let k = 0; k < cases.length; k++) {
      const at = (i + k) % cases.length
      const { topology, replicas, rate, pin } = cases[at]
      context.progress(
        `fanout: ${replicas} replicas, ${topology}, ${rate}/s, pin ${pin.text}, round ${i + 1}`,
      )
      rounds[at].push(await measure(context, cases[at]))
    }
  return rounds
}

interface Nodes {
  readonly setup: Setup
  readonly running: RunningWalcast
  readonly groups: ReplicaGroups
}

/** A leader, and replicas of it in groups of these sizes. */
async function startNodes(
  context: Context,
  fed: readonly number[],
  perProcess: number,
): Promise<Nodes> {
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'rows', 0)
  const running = await startWalcast(setup)
  const { seconds, warmupSeconds, ratesPerSecond } = context.options
  const maxPositions =
    SPARE_POSITIONS + Math.ceil((seconds + warmupSeconds) * Math.max(...ratesPerSecond))
  const groups = new ReplicaGroups(setup, { perProcess, maxPositions })
  for (const count of fed) await groups.add(Array(count).fill(running.leaderAddress))
  return { setup, running, groups }
}

async function measure(context: Context, each: Case): Promise<Round> {
  const { options } = context
  const fed = each.topology === 'flat' ? each.replicas : each.relays
  const { setup, running, groups } = await startNodes(context, [fed], options.replicasPerProcess)
  const relays = groups.addresses.slice(0, each.relays)
  await groups.add(relays.flatMap((relay) => Array(each.leavesEach).fill(relay)))
  const [leader] = running.nodes
  const level = async (id: number) => {
    await running.whenLevel(id, LEVEL_TIMEOUT_MS)
    await groups.whenLevel(await running.leaderStatus(), LEVEL_TIMEOUT_MS)
  }
  const { txid: firstTxid } = await running.leaderStatus()
  const child = await startWriter(context, setup, running, each.rate)
  const maxSeconds = options.warmupSeconds + options.seconds + LEVEL_TIMEOUT_MS / 1000
  let before = NOTHING
  await warmUp(child, maxSeconds, async () => {
    await level(Math.ceil(each.rate * options.warmupSeconds))
    before = await countersOf(running, groups)
  })
  const cpu = () => ({ leaderMs: cpuMsOf(leader.pid), replicasMs: groups.cpuMs() })
  const cpuBefore = cpu()
  const { ids, commits, elapsedMs } = await resultOf(child, maxSeconds * 1000, [
    'ids',
    'commits',
    'elapsedMs',
  ])
  const cpuAfter = cpu()
  await level(ids)
  const round = {
    processes: groups.processes,
    commits,
    elapsedMs,
    grown: growth(before, await countersOf(running, groups)),
    leaderCpuMs: cpuAfter.leaderMs - cpuBefore.leaderMs,
    replicasCpuMs: cpuAfter.replicasMs - cpuBefore.replicasMs,
    leaderRssMb: memoryOf(leader.pid).peakRssBytes / 1e6,
    replicasRssMb: groups.peakRssBytes() / 1e6,
    ownLags: await groups.lags(),
  }
  await verifySame(setup, [running.primary, ...groups.places])
  await groups.stop()
  await running.stop()
  return { ...round, lags: lagsOf(setup, groups, firstTxid, ids - commits) }
}

/** Of each replica, of the commits after the warm-up. */
function lagsOf(
  setup: Setup,
  groups: ReplicaGroups,
  firstTxid: number,
  warmupCount: number,
): Percentiles[] {
  const written = readWritten(logPath(setup)).filter(({ id }) => id > warmupCount)
  return groups.positions().map((positions) => {
    const seen = positions.map(({ maxId, seenNs }) => ({ maxId: maxId - firstTxid, seenNs }))
    const { fromCommitNs, missing } = joinById(written, seen)
    if (missing > 0) throw new Error(`${missing} commits were never seen on a replica`)
    return percentiles(fromCommitNs)
  })
}

const logPath = (setup: Setup) => join(setup.folder, 'written')

function startWriter(context: Context, setup: Setup, running: RunningWalcast, rate: number) {
  const { warmupSeconds, seconds } = context.options
  const pace = {
    warmupPerSecond: rate,
    warmupCount: Math.ceil(rate * warmupSeconds),
    ratePerSecond: rate,
    count: Math.ceil(rate * seconds),
    pages: 1,
  }
  const writing = { kind: 'paced', ...pace, log: logPath(setup) } as const
  return startProgram(context, 'writer', writer(running.primary, writing))
}

const NOTHING: Counters = { batches: 0, encodedBytes: 0, sentBytes: 0, applied: 0 }

async function countersOf(running: RunningWalcast, groups: ReplicaGroups): Promise<Counters> {
  const figures = await running.figures()
  const figure = (name: string) => figures[`leader.walcast_${name}`] ?? Number.NaN
  return {
    batches: figure('capture_batches_total'),
    encodedBytes: figure('capture_bytes_total'),
    sentBytes: figure('send_bytes_total'),
    applied: await groups.appliedBatches(),
  }
}

function growth(before: Counters, after: Counters): Counters {
  return {
    batches: after.batches - before.batches,
    encodedBytes: after.encodedBytes - before.encodedBytes,
    sentBytes: after.sentBytes - before.sentBytes,
    applied: after.applied - before.applied,
  }
}

/** Replicas that the leader itself feeds. */
const fedOf = ({ relays, replicas }: Shape) => relays || replicas

const leaderUs = ({ leaderCpuMs, grown }: Round) => (1000 * leaderCpuMs) / grown.batches

const slowest = ({ lags }: Round) => Math.max(...lags.map(({ p99Ms }) => p99Ms))

/** `first` and `firsts` are the case that what each further replica adds is counted from. */
function toRow(each: Case, rounds: readonly Round[], first: Case, firsts: readonly Round[]): Row {
  const of = (pick: (round: Round) => number) => spread(rounds.map(pick))
  const medianLag = (pick: (lag: Percentiles) => number) => of(({ lags }) => median(lags.map(pick)))
  const further = fedOf(each) - fedOf(first)
  const added = rounds.map((round, i) => (leaderUs(round) - leaderUs(firsts[i])) / further)
  return {
    ...caseColumns(each),
    processes: rounds[0].processes,
    rounds: rounds.length,
    commits: of(({ commits }) => commits),
    batches: of(({ grown }) => grown.batches),
    messagesPerBatch: of(({ grown }) => grown.batches / grown.applied),
    sentBytes: of(({ grown }) => grown.sentBytes),
    sentPerEncoded: of(({ grown }) => grown.sentBytes / grown.encodedBytes / fedOf(each)),
    leaderUsPerBatch: of(leaderUs),
    leaderUsPerBatchAndReplica: further > 0 ? spread(added) : null,
    replicaUsPerBatchAndReplica: of(
      ({ replicasCpuMs, grown }) => (1000 * replicasCpuMs) / grown.batches / each.replicas,
    ),
    leaderCpuPercent: of(({ leaderCpuMs, elapsedMs }) => (100 * leaderCpuMs) / elapsedMs),
    replicasCpuPercent: of(({ replicasCpuMs, elapsedMs }) => (100 * replicasCpuMs) / elapsedMs),
    leaderRssMb: of(({ leaderRssMb }) => leaderRssMb),
    replicaRssMb: of(({ replicasRssMb }) => replicasRssMb / each.replicas),
    lagP50Ms: medianLag(({ p50Ms }) => p50Ms),
    lagP99Ms: medianLag(({ p99Ms }) => p99Ms),
    lagMaxMs: medianLag(({ maxMs }) => maxMs),
    slowestP99Ms: of(slowest),
    ownP99Ms: of(({ ownLags }) => median(ownLags.map(({ p99Ms }) => p99Ms))),
    ownSlowestP99Ms: of(({ ownLags }) => Math.max(...ownLags.map(({ p99Ms }) => p99Ms))),
    identical: true,
  }
}

function caseColumns({ topology, replicas, relays, rate, pin }: Case) {
  return { system: walcast.name, topology, replicas, relays, rate, pin: pin.text }
}

function skippedRow(each: Case, reason: string): Row {
  return { ...caseColumns(each), rounds: 0, identical: null, skipped: reason }
}

/** p99 of the slowest replica by that with fewer replicas, round by round. */
function ratiosOf(
  cases: readonly Case[],
  rounds: readonly (readonly Round[])[],
): Record<string, Spread> {
  const ratios: Record<string, Spread> = {}
  for (const [i, each] of cases.entries())
    for (const [k, fewer] of cases.entries()) {
      if (fewer.topology !== 'flat' || (k >= i && each.topology === 'flat')) continue
      if (k === i) continue
      const levels = each.topology === 'flat' ? '' : ' on two levels'
      const pin = each.pin.text === 'none' ? '' : ` pin ${each.pin.text}`
      const name = `slowest p99 ${each.replicas}${levels}/${fewer.replicas}@${each.rate}${pin}`
      ratios[name] = spread(rounds[i].map((round, at) => slowest(round) / slowest(rounds[k][at])))
    }
  return ratios
}

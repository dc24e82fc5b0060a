/**
 * What the proxy costs a read, what a forwarded write waits for, and the lag while a replica's
 * proxy serves all the reads it can.
 *
 * Leader and replica run with `--proxy` and `--upstream`, each before an application of its own:
 * `node:http` and one better-sqlite3 handle (programs/httpApp.ts) on the 100,000 rows of
 * readers.ts. Requests come from autocannon in a process of its own. Without that package the row
 * says why it was skipped; an installed walcast has none (`npm install autocannon@9` brings it).
 *
 * Each connection sends its next request after the answer to the one before. Latency is taken from
 * each answer, since autocannon's own histogram has whole milliseconds. The first answer on a
 * connection does not count. What is compared is asked in turns of half a second, in one process,
 * in another order each time round, for `--seconds` each. Any answer but 200 ends the run.
 *
 * `read`: GET of a random row through the replica's proxy, and of its application directly
 * (`direct...`), on 1 and 16 `--connections`. `overheadP50Ms` is the difference of the two p50, not
 * the p50 of differences. The client keeps no cookies, so every answer of the proxy sets one; a
 * browser gets it only when the position is new.
 *
 * `write`: POST on one connection. It updates one row.
 *
 * - `direct`: to the leader's application.
 * - `leader`: through the leader's proxy, which also reads the WAL to its end.
 * - without a prefix: through the replica's proxy, which forwards it and answers when the commit is
 *   in its own copy.
 * - `nothing`: the same request and the same answer without a commit, so there is nothing to wait
 *   for.
 * - `waitP50Ms`: what a commit adds at the replica's proxy less what it adds at the leader's, (p50
 *   - nothing) - (leader - leaderNothing). It comes from four medians and is as uncertain as all of
 *   them together. It is the whole cost of read-your-writes for the client: the wait, and the work
 *   of applying that comes before the answer in the same thread.
 * - `waitMeanMs`: the time that answers really waited, the growth of the replica's
 *   `walcast_write_wait_seconds_sum` by forwarded commit. It is smaller, since the commit is mostly
 *   there before the leader's answer.
 * - `late`: answers given up waiting for. It is 0, or the rest means nothing.
 *
 * `lag`: fresh nodes. A writer on the leader's file makes `rate` commits a second. Meanwhile
 * autocannon asks the replica's proxy for reads on the largest of `--connections`, as fast as it
 * answers (`perSecond`, `p99Ms` are those reads').
 *
 * - `lagP50Ms` to `lagMaxMs`: the replica's `/_walcast/lag`, by the nodes' clocks from the leader's
 *   file event to the commit being visible. It does not begin at COMMIT, as in lag.ts. Its window
 *   holds the warm-up of the writer too (`inWindow`), which has the same rate and the same reads
 *   beside it.
 * - `commits` (those that fall together are one), `above5msPercent`: without the warm-up, from the
 *   node's histogram. p99 is below 5 ms when the second is below 1.
 * - `noticedP99Ms` to `appliedP99Ms`: each stage by itself.
 */
import { join } from 'node:path'
import { type Spread, spread } from '../arithmetic.ts'
import { type Answers, Load, requireAutocannon, type Target } from '../httpLoad.ts'
import { NotAvailable } from '../install.ts'
import type { PinSetup } from '../options.ts'
import { type Row, STAGE_NAMES, type SuiteResult } from '../result.ts'
import {
  type Context,
  newSetup,
  resultOf,
  type Suite,
  startProgram,
  warmUp,
  watchCpu,
} from '../suite.ts'
import { type ProxiedWalcast, startProxied } from '../systems/proxiedWalcast.ts'
import { walcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'

/** 100,000 rows of 100 bytes, see makeDatabase. */
const LOOKUP_MB = 11.3
const LEVEL_TIMEOUT_MS = 60_000
/**
 * Writes are asked for one after the other: what waits behind another write is no cost of the way.
 */
const WRITE_CONNECTIONS = 1
/** For which reads go on beyond the writer's time. */
const MARGIN_SECONDS = 3
/** Of the lag under reads; a boundary of the node's own histogram. */
const LAG_GOAL_SECONDS = 0.005

interface Reads {
  readonly connections: number
  readonly direct: Answers
  readonly proxy: Answers
}

interface Writes {
  readonly direct: Answers
  readonly leader: Answers
  readonly leaderNothing: Answers
  readonly forwarded: Answers
  readonly forwardedNothing: Answers
  /** Of one forwarded commit, by the node's metric. */
  readonly waitMeanMs: number
  /** Answers given before the write was there. */
  readonly late: number
}

interface LagUnderReads {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** In the node's window, which the warm-up is part of. */
  readonly inWindow: number
  readonly commits: number
  readonly abovePercent: number
  readonly stagesP99Ms: readonly number[]
  readonly readsPerSecond: number
  readonly readP99Ms: number
  readonly leaderCpuPercent: number
  readonly replicaCpuPercent: number
}

interface Round {
  readonly reads: readonly Reads[]
  readonly writes: Writes
  /** In the order of --rates. */
  readonly lags: readonly LagUnderReads[]
}

type Figures = Readonly<Record<string, number>>

export const http: Suite = {
  note:
    "read: GET through the replica's proxy against the same local application asked directly; " +
    'overhead: the difference. ' +
    'write: a POST that commits, one after the other: to the application directly, ' +
    'through the proxy of the leader, through that of the replica (p50, forwarded); ' +
    'nothing: the same without a commit. ' +
    "waitP50Ms: what a commit adds at the replica's proxy less what it adds at the leader's; " +
    "waitMeanMs: the node's own walcast_write_wait_seconds. " +
    "lag: the replica's /_walcast/lag, warm-up included, while its proxy serves as many reads " +
    'as it can; above5msPercent: without the warm-up.',
  hasPeers: false,
  async run(context) {
    try {
      requireAutocannon()
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error
      return [{ system: walcast.name, rounds: 0, identical: null, skipped: error.message }]
    }
    const rows: Row[] = []
    const ratios: Record<string, Spread> = {}
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      const rounds: Round[] = []
      for (let i = 1; i <= context.options.rounds; i++) rounds.push(await measure(context, pin, i))
      rows.push(...rowsOf(context, pin, rounds))
      Object.assign(ratios, ratiosOf(context, pin, rounds))
    }
    return { rows, ratios } satisfies SuiteResult
  },
}

async function measure(context: Context, pin: PinSetup, round: number): Promise<Round> {
  const { connections, ratesPerSecond } = context.options
  const tell = (what: string) => context.progress(`http: ${what}, pin ${pin.text}, round ${round}`)
  const reads: Reads[] = []
  const writes = await withProxied(context, async (proxied) => {
    for (const count of connections) {
      tell(`reads, connections ${count}`)
      reads.push(await measureReads(context, proxied, count))
    }
    tell('writes')
    return measureWrites(context, proxied)
  })
  const lags: LagUnderReads[] = []
  for (const rate of ratesPerSecond) {
    tell(`lag under reads, ${rate}/s`)
    // Fresh nodes, since their percentiles cover the last minute.
    lags.push(
      await withProxied(context, (proxied, folder) => measureLag(context, proxied, folder, rate)),
    )
  }
  return { reads, writes, lags }
}

/** Fresh nodes with their applications; the copies are compared at the end. */
async function withProxied<Result>(
  context: Context,
  use: (proxied: ProxiedWalcast, folder: string) => Promise<Result>,
): Promise<Result> {
  const setup = newSetup(context, 1)
  await walcast.prepare(setup, 'lookup', LOOKUP_MB)
  const proxied = await startProxied(context, setup)
  const result = await use(proxied, setup.folder)
  await proxied.running.verify()
  await proxied.stop()
  return result
}

async function measureReads(
  context: Context,
  proxied: ProxiedWalcast,
  connections: number,
): Promise<Reads> {
  const targets = [
    { name: 'direct', kind: 'read', origin: proxied.replicaApp },
    { name: 'proxy', kind: 'read', origin: proxied.replicaProxy },
  ] as const satisfies Target[]
  const load = await Load.warm(context, targets, connections, context.options.seconds)
  load.go()
  return { connections, ...(await load.answers()) }
}

async function measureWrites(context: Context, proxied: ProxiedWalcast): Promise<Writes> {
  const { running, leaderApp, leaderProxy, replicaProxy } = proxied
  const targets = [
    { name: 'direct', kind: 'write', origin: leaderApp },
    { name: 'leader', kind: 'write', origin: leaderProxy },
    { name: 'leaderNothing', kind: 'nothing', origin: leaderProxy },
    { name: 'forwarded', kind: 'write', origin: replicaProxy },
    { name: 'forwardedNothing', kind: 'nothing', origin: replicaProxy },
  ] as const satisfies Target[]
  const load = await Load.warm(context, targets, WRITE_CONNECTIONS, context.options.seconds)
  const before = await running.figures()
  load.go()
  const answers = await load.answers()
  const grown = growth(before, await running.figures())
  const waitedMs = 1000 * grown('replica1.walcast_write_wait_seconds_sum')
  return {
    ...answers,
    // Requests that change nothing do not wait: they are in the metric's count, but not in its sum.
    waitMeanMs: waitedMs / answers.forwarded.count,
    late: grown('replica1.walcast_write_waits_failed_total'),
  }
}

/** Reads run during the writer's warm-up too, which is in the node's window. */
async function measureLag(
  context: Context,
  { running, replicaProxy }: ProxiedWalcast,
  folder: string,
  ratePerSecond: number,
): Promise<LagUnderReads> {
  const { seconds, warmupSeconds, connections } = context.options
  const warmupCount = Math.ceil(ratePerSecond * warmupSeconds)
  const count = Math.ceil(ratePerSecond * seconds)
  const pace = { warmupPerSecond: ratePerSecond, warmupCount, ratePerSecond, count, pages: 1 }
  const writing = { kind: 'paced', ...pace, log: join(folder, 'written') } as const
  const targets = [
    { name: 'proxy', kind: 'read', origin: replicaProxy },
  ] as const satisfies Target[]
  const readSeconds = warmupSeconds + seconds + MARGIN_SECONDS
  const load = await Load.warm(context, targets, Math.max(...connections), readSeconds)
  const child = await startProgram(context, 'writer', writer(running.primary, writing))
  load.go()
  let before: Figures = {}
  await warmUp(child, warmupSeconds + LEVEL_TIMEOUT_MS / 1000, async () => {
    await running.whenLevel(warmupCount, LEVEL_TIMEOUT_MS)
    before = await running.figures()
  })
  const cpu = watchCpu(running)
  const { ids } = await resultOf(child, seconds * 1000 + LEVEL_TIMEOUT_MS, ['ids'])
  const [leaderCpuPercent, replicaCpuPercent] = cpu.percents()
  if (!load.isRunning) throw new Error('the reads ended before the writer did')
  await running.whenLevel(ids, LEVEL_TIMEOUT_MS)
  const after = await running.figures()
  const { proxy } = await load.answers()
  const grown = growth(before, after)
  const commits = grown('replica1.walcast_visible_lag_seconds_count')
  const within = grown(`replica1.walcast_visible_lag_seconds_bucket{le="${LAG_GOAL_SECONDS}"}`)
  return {
    p50Ms: figureOf(after, 'replica1.lag.p50Ms'),
    p99Ms: figureOf(after, 'replica1.lag.p99Ms'),
    maxMs: figureOf(after, 'replica1.lag.maxMs'),
    inWindow: figureOf(after, 'replica1.lag.count'),
    commits,
    abovePercent: 100 * (1 - within / commits),
    stagesP99Ms: STAGE_NAMES.map((stage) => figureOf(after, `replica1.lag.stages.${stage}.p99Ms`)),
    readsPerSecond: proxy.perSecond,
    readP99Ms: proxy.p99Ms,
    leaderCpuPercent,
    replicaCpuPercent,
  }
}

const figureOf = (figures: Figures, name: string) => figures[name] ?? Number.NaN

/** A counter that has not counted yet may be missing. */
const growth = (before: Figures, after: Figures) => (name: string) =>
  figureOf(after, name) - (before[name] ?? 0)

function rowsOf({ options }: Context, pin: PinSetup, rounds: readonly Round[]): Row[] {
  const shared = { pin: pin.text, rounds: rounds.length, identical: true }
  const row = (kind: string, connections: number, figures: Omit<Row, 'system'>): Row => ({
    ...{ system: walcast.name, case: kind, connections },
    ...figures,
    ...shared,
  })
  const reads = options.connections.map((connections, i) =>
    row('read', connections, readFigures(rounds.map((round) => round.reads[i]))),
  )
  const writes = row('write', WRITE_CONNECTIONS, writeFigures(rounds.map((round) => round.writes)))
  const lags = options.ratesPerSecond.map((rate, i) =>
    row('lag', Math.max(...options.connections), {
      rate,
      ...lagFigures(rounds.map(({ lags }) => lags[i])),
    }),
  )
  return [...reads, writes, ...lags]
}

function readFigures(rounds: readonly Reads[]) {
  const of = (pick: (reads: Reads) => number) => spread(rounds.map(pick))
  return {
    directP50Ms: of(({ direct }) => direct.p50Ms),
    directP99Ms: of(({ direct }) => direct.p99Ms),
    p50Ms: of(({ proxy }) => proxy.p50Ms),
    p99Ms: of(({ proxy }) => proxy.p99Ms),
    overheadP50Ms: of(({ proxy, direct }) => proxy.p50Ms - direct.p50Ms),
    overheadP99Ms: of(({ proxy, direct }) => proxy.p99Ms - direct.p99Ms),
    directPerSecond: of(({ direct }) => direct.perSecond),
    perSecond: of(({ proxy }) => proxy.perSecond),
  }
}

function writeFigures(rounds: readonly Writes[]) {
  const of = (pick: (writes: Writes) => number) => spread(rounds.map(pick))
  const late = rounds.reduce((sum, writes) => sum + writes.late, 0)
  return {
    directP50Ms: of(({ direct }) => direct.p50Ms),
    directP99Ms: of(({ direct }) => direct.p99Ms),
    leaderP50Ms: of(({ leader }) => leader.p50Ms),
    leaderNothingP50Ms: of(({ leaderNothing }) => leaderNothing.p50Ms),
    p50Ms: of(({ forwarded }) => forwarded.p50Ms),
    p99Ms: of(({ forwarded }) => forwarded.p99Ms),
    nothingP50Ms: of(({ forwardedNothing }) => forwardedNothing.p50Ms),
    waitP50Ms: of(waitOf),
    waitMeanMs: of(({ waitMeanMs }) => waitMeanMs),
    late,
    directPerSecond: of(({ direct }) => direct.perSecond),
    perSecond: of(({ forwarded }) => forwarded.perSecond),
  }
}

/**
 * What a commit adds to a forwarded request, minus what it adds at the leader: the commit itself
 * and its position.
 */
function waitOf({ forwarded, forwardedNothing, leader, leaderNothing }: Writes): number {
  return forwarded.p50Ms - forwardedNothing.p50Ms - (leader.p50Ms - leaderNothing.p50Ms)
}

function lagFigures(rounds: readonly LagUnderReads[]) {
  const of = (pick: (lag: LagUnderReads) => number) => spread(rounds.map(pick))
  return {
    perSecond: of(({ readsPerSecond }) => readsPerSecond),
    p99Ms: of(({ readP99Ms }) => readP99Ms),
    lagP50Ms: of(({ p50Ms }) => p50Ms),
    lagP99Ms: of(({ p99Ms }) => p99Ms),
    lagMaxMs: of(({ maxMs }) => maxMs),
    inWindow: of(({ inWindow }) => inWindow),
    commits: of(({ commits }) => commits),
    above5msPercent: of(({ abovePercent }) => abovePercent),
    ...Object.fromEntries(
      STAGE_NAMES.map((stage, i) => [`${stage}P99Ms`, of(({ stagesP99Ms }) => stagesP99Ms[i])]),
    ),
    leaderCpuPercent: of(({ leaderCpuPercent }) => leaderCpuPercent),
    replicaCpuPercent: of(({ replicaCpuPercent }) => replicaCpuPercent),
  }
}

function ratiosOf(
  { options }: Context,
  pin: PinSetup,
  rounds: readonly Round[],
): Record<string, Spread> {
  const suffix = pin.text === 'none' ? '' : ` pin ${pin.text}`
  const ratios: Record<string, Spread> = {}
  const set = (name: string, of: (round: Round) => number) => {
    ratios[name + suffix] = spread(rounds.map(of))
  }
  for (const [i, connections] of options.connections.entries()) {
    set(
      `read p50 proxy/direct connections ${connections}`,
      ({ reads }) => reads[i].proxy.p50Ms / reads[i].direct.p50Ms,
    )
    set(
      `reads a second proxy/direct connections ${connections}`,
      ({ reads }) => reads[i].proxy.perSecond / reads[i].direct.perSecond,
    )
  }
  set('write p50 leader proxy/direct', ({ writes }) => writes.leader.p50Ms / writes.direct.p50Ms)
  set(
    'write p50 forwarded/leader proxy',
    ({ writes }) => writes.forwarded.p50Ms / writes.leader.p50Ms,
  )
  return ratios
}

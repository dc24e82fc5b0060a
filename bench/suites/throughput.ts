/**
 * What replication costs a writer, and how soon the replica is level after it.
 *
 * A writer inserts one small row a commit for `--seconds`, as fast as it can (`full`) or at a
 * steady rate. It does so alone (A) and replicated (B), A and B alternating.
 *
 * - `ratio`: B by A of the same round. A steady rate that both keep gives 1; `commitUs` says more
 *   there.
 * - `commitUs`: the mean time in one commit.
 * - `levelMs`: from the end of the last COMMIT until the replica has every commit. It is polled, so
 *   a few ms too large.
 *
 * `--autocheckpoint 1000,0` compares writers that checkpoint with writers that leave it to the
 * node. Without a node, a writer of the second kind only lets its WAL grow.
 */
import { join } from 'node:path'
import { type Spread, spread } from '../arithmetic.ts'
import type { PinSetup } from '../options.ts'
import type { Row, SuiteResult } from '../result.ts'
import {
  type Context,
  newSetup,
  resultOf,
  type Suite,
  startProgram,
  warmUp,
  watchCpu,
} from '../suite.ts'
import type { RunningPrimary, System } from '../system.ts'
import { walcast } from '../systems/walcast.ts'
import { type Turns, takeTurns } from '../turns.ts'
import { type Writing, writer } from '../writing.ts'

const LEVEL_TIMEOUT_MS = 60_000
const KEYS = ['commits', 'elapsedMs', 'endNs', 'busyMs'] as const

export interface WriterCase {
  readonly pin: PinSetup
  /** Infinity: as many as possible. */
  readonly rate: number
  readonly autocheckpoint: number
  readonly hasPeers: boolean
}

interface Alone {
  readonly commitsPerSecond: number
  /** Mean time in one commit. */
  readonly commitUs: number
}

interface Replicated extends Alone {
  readonly framesPerSecond: number
  readonly pagesPerSecond: number
  readonly megabytesPerSecond: number
  readonly levelMs: number
  readonly leaderCpuPercent: number
  readonly replicaCpuPercent: number
  /** Of all nodes, for each commit, until nothing more follows from them. */
  readonly cpuUs: number
  readonly pauses: number
  readonly pauseMs: number
}

export const throughput: Suite = {
  note:
    'Small commits, alone (A) and replicated (B), alternating, each on a fresh database; ' +
    'ratio B/A round by round. commitUs: mean time in one commit. ' +
    'frames: read from the WAL; pages: sent, the newest image of each page in a batch. ' +
    'levelMs: from the last COMMIT until the replica has it. ' +
    'pauses: times writers were stopped for a checkpoint.',
  hasPeers: true,
  async run(context) {
    const rows: Row[] = []
    const ratios: Record<string, Spread> = {}
    for (const each of casesOf(context)) {
      context.processes.pinning = each.pin.pinning
      const { rounds, failed } = await measureCase(context, each)
      for (const [system, measured] of rounds) {
        const row = toRow(system, each, context.options.replicas[0], measured)
        rows.push(row)
        const pin = each.pin.text === 'none' ? '' : ` pin ${each.pin.text}`
        ratios[`writer ${system.name}@${row.rate} autocheckpoint ${each.autocheckpoint}${pin}`] =
          row.ratio
      }
      const skipped = each.hasPeers ? [...context.skipped, ...failed] : []
      for (const [name, reason] of skipped)
        rows.push({ system: name, ...columnsOf(each), rounds: 0, identical: null, skipped: reason })
    }
    return { rows, ratios } satisfies SuiteResult
  },
}

/** Peers and further values of --autocheckpoint are measured at the first rate only. */
function casesOf({ options }: Context): WriterCase[] {
  const { pins, ratesPerSecond, autocheckpoints } = options
  const [first, ...others] = ratesPerSecond
  return pins.flatMap((pin) => [
    { pin, rate: first, autocheckpoint: autocheckpoints[0], hasPeers: true },
    ...others.map((rate) => ({ pin, rate, autocheckpoint: autocheckpoints[0], hasPeers: false })),
    ...autocheckpoints
      .slice(1)
      .map((autocheckpoint) => ({ pin, rate: first, autocheckpoint, hasPeers: false })),
  ])
}

interface Round {
  readonly alone: Alone
  readonly replicated: Replicated
}

function measureCase(context: Context, each: WriterCase): Promise<Turns<Round>> {
  const { rate, autocheckpoint } = columnsOf(each)
  const systems = context.systems.filter((system) => system === walcast || each.hasPeers)
  const label = `throughput: ${rate}/s, autocheckpoint ${autocheckpoint}, pin ${each.pin.text}`
  return takeTurns(context, label, systems, async (system) => ({
    alone: await measureAlone(context, system, each),
    replicated: await measureReplicated(context, system, each),
  }))
}

function writingOf(
  { options }: Context,
  { rate, autocheckpoint }: WriterCase,
  folder: string,
): Writing {
  const { seconds, warmupPerSecond, warmupSeconds } = options
  if (rate === Infinity) return { kind: 'full', seconds, autocheckpoint }
  const pace = { ratePerSecond: rate, count: Math.ceil(rate * seconds), pages: 1 }
  const warmup = { warmupPerSecond, warmupCount: Math.ceil(warmupPerSecond * warmupSeconds) }
  return { kind: 'paced', ...warmup, ...pace, log: join(folder, 'written') }
}

export async function measureAlone(
  context: Context,
  system: System,
  each: WriterCase,
): Promise<Alone> {
  const setup = newSetup(context, 0)
  await system.prepare(setup, 'rows', 0)
  const running = await system.startAlone(setup)
  const { rates } = await write(context, running, writingOf(context, each, setup.folder))
  await running.stop()
  return rates
}

export async function measureReplicated(
  context: Context,
  system: System,
  each: WriterCase,
): Promise<Replicated> {
  const setup = newSetup(context, context.options.replicas[0])
  await system.prepare(setup, 'rows', 0)
  const running = await system.start(setup)
  const writing = writingOf(context, each, setup.folder)
  const whenArrived = (id: number) => running.whenLevel(id, LEVEL_TIMEOUT_MS)
  const { rates, result, begunMs, before, cpu, cpuPercents } = await write(
    context,
    running,
    writing,
    {
      whenArrived,
      figures: () => running.figures(),
    },
  )
  await whenArrived(result.ids)
  const levelMs = Number(process.hrtime.bigint()) / 1e6 - result.endNs / 1e6
  const counters = grown(before, await running.figures(), performance.now() - begunMs)
  await running.whenSettled?.()
  const cpuMs = cpu.ms().reduce((sum, ms) => sum + ms, 0)
  await running.verify()
  await running.stop()
  return {
    ...rates,
    // Of a peer it would also hold how long its writer takes to close and a new reader to open.
    levelMs: system === walcast ? levelMs : Number.NaN,
    leaderCpuPercent: cpuPercents[0] ?? Number.NaN,
    replicaCpuPercent: cpuPercents.length > 1 ? Math.max(...cpuPercents.slice(1)) : Number.NaN,
    cpuUs: (1000 * cpuMs) / result.commits,
    ...counters,
  }
}

const ALONE = {
  whenArrived: async (_id: number) => {},
  figures: async (): Promise<Figures> => ({}),
}

/** CPU and counters are taken from where the rows that count begin. */
async function write(
  context: Context,
  running: RunningPrimary,
  writing: Writing,
  replicated = ALONE,
) {
  const child = await startProgram(context, 'writer', writer(running.primary, writing))
  const maxSeconds = context.options.seconds + context.options.warmupSeconds + 60
  if (writing.kind === 'paced')
    await warmUp(child, maxSeconds, () => replicated.whenArrived(writing.warmupCount))
  else child.go()
  const begunMs = performance.now()
  const cpu = watchCpu(running)
  const before = await replicated.figures()
  const result = await resultOf(child, maxSeconds * 1000, [...KEYS, 'ids'])
  const cpuPercents = cpu.percents()
  const commitsPerSecond = rate(result.commits, result.elapsedMs)
  const rates = { commitsPerSecond, commitUs: (1000 * result.busyMs) / result.commits }
  return { result, begunMs, before, cpu, cpuPercents, rates }
}

type Figures = Readonly<Record<string, number>>

/** What walcast's leader counted meanwhile; NaN for peers. */
function grown(before: Figures, after: Figures, elapsedMs: number) {
  const leader = (name: string) => {
    const key = `leader.walcast_${name}`
    return (after[key] ?? Number.NaN) - (before[key] ?? 0)
  }
  return {
    framesPerSecond: rate(leader('capture_frames_total'), elapsedMs),
    pagesPerSecond: rate(leader('capture_pages_total'), elapsedMs),
    megabytesPerSecond: rate(leader('capture_bytes_total') / 1e6, elapsedMs),
    pauses: leader('checkpoint_pause_seconds_count'),
    pauseMs: leader('checkpoint_pause_seconds_sum') * 1000,
  }
}

const rate = (count: number, elapsedMs: number) => count / (elapsedMs / 1000)

const columnsOf = (each: WriterCase) => ({
  rate: each.rate === Infinity ? 'full' : each.rate,
  autocheckpoint: each.autocheckpoint,
  pin: each.pin.text,
})

function toRow(system: System, each: WriterCase, replicas: number, rounds: readonly Round[]) {
  const alone = rounds.map((round) => round.alone)
  const replicated = rounds.map((round) => round.replicated)
  const of = (pick: (round: Replicated) => number) => spread(replicated.map(pick))
  const own = (pick: (round: Replicated) => number) =>
    Number.isNaN(pick(replicated[0])) ? undefined : of(pick)
  return {
    system: system.name,
    ...columnsOf(each),
    replicas,
    rounds: replicated.length,
    aloneCommitsPerSecond: spread(alone.map((round) => round.commitsPerSecond)),
    commitsPerSecond: of((round) => round.commitsPerSecond),
    ratio: spread(replicated.map((round, i) => round.commitsPerSecond / alone[i].commitsPerSecond)),
    aloneCommitUs: spread(alone.map((round) => round.commitUs)),
    commitUs: of((round) => round.commitUs),
    levelMs: own((round) => round.levelMs),
    leaderCpuPercent: of((round) => round.leaderCpuPercent),
    replicaCpuPercent: of((round) => round.replicaCpuPercent),
    framesPerSecond: own((round) => round.framesPerSecond),
    pagesPerSecond: own((round) => round.pagesPerSecond),
    megabytesPerSecond: own((round) => round.megabytesPerSecond),
    pauses: own((round) => round.pauses),
    pauseMs: own((round) => round.pauseMs),
    identical: true,
  }
}

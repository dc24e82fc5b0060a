/** What replication costs a writer, at full speed and at a steady rate, and how soon the replica is level after it. */
import { join } from 'node:path'
import { type Spread, spread } from '../arithmetic.ts'
import type { PinSetup } from '../options.ts'
import type { Row, SuiteResult } from '../result.ts'
import { type Context, newSetup, resultOf, type Suite, startProgram, warmUp, watchCpu } from '../suite.ts'
import type { RunningPrimary, System } from '../system.ts'
import { type Writing, writer } from '../writing.ts'

const LEVEL_TIMEOUT_MS = 60_000
const KEYS = ['commits', 'elapsedMs', 'endNs', 'busyMs'] as const

interface Case {
  readonly pin: PinSetup
  /** Infinity: as many as possible. */
  readonly rate: number
  readonly autocheckpoint: number
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
  readonly pauses: number
  readonly pauseMs: number
}

export const throughput: Suite = {
  note:
    'Small commits, alone (A) and replicated (B), alternating, each on a fresh database; ratio B/A round by round. commitUs: mean time in one commit. ' +
    'frames: read from the WAL; pages: sent, the newest image of each page in a batch. levelMs: from the last COMMIT until the replica has it. ' +
    'pauses: times writers were stopped for a checkpoint.',
  hasPeers: true,
  async run(context) {
    const rows: Row[] = []
    const ratios: Record<string, Spread> = {}
    for (const each of casesOf(context)) {
      context.processes.pinning = each.pin.pinning
      for (const [system, [alone, replicated]] of await measureCase(context, each)) {
        const row = toRow(system, each, context.options.replicas[0], alone, replicated)
        rows.push(row)
        ratios[`writer ${system.name}@${row.rate} autocheckpoint ${each.autocheckpoint}`] = row.ratio
      }
      for (const [name, reason] of context.skipped)
        rows.push({ system: name, ...columnsOf(each), rounds: 0, identical: null, skipped: reason })
    }
    return { rows, ratios } satisfies SuiteResult
  },
}

/** Further values of --autocheckpoint are measured at the first rate only. */
function casesOf({ options }: Context): Case[] {
  const { pins, ratesPerSecond, autocheckpoints } = options
  return pins.flatMap((pin) => [
    ...ratesPerSecond.map((rate) => ({ pin, rate, autocheckpoint: autocheckpoints[0] })),
    ...autocheckpoints.slice(1).map((autocheckpoint) => ({ pin, rate: ratesPerSecond[0], autocheckpoint })),
  ])
}

async function measureCase(context: Context, each: Case) {
  const systems = context.systems.filter(
    (system) => system.hasPages || each.autocheckpoint === context.options.autocheckpoints[0],
  )
  const rounds = new Map(systems.map((system) => [system, [[] as Alone[], [] as Replicated[]] as const]))
  for (let i = 1; i <= context.options.rounds; i++) {
    for (const [system, [alone, replicated]] of rounds) {
      context.progress(
        `throughput: ${columnsOf(each).rate}/s, autocheckpoint ${each.autocheckpoint}, pin ${each.pin.text}, round ${i}, ${system.name}`,
      )
      alone.push(await measureAlone(context, system, each))
      replicated.push(await measureReplicated(context, system, each))
    }
  }
  return rounds
}

function writingOf({ options }: Context, { rate, autocheckpoint }: Case, folder: string): Writing {
  const { seconds, warmupPerSecond, warmupSeconds } = options
  if (rate === Infinity) return { kind: 'full', seconds, autocheckpoint }
  const pace = { ratePerSecond: rate, count: Math.ceil(rate * seconds), pages: 1 }
  const warmup = { warmupPerSecond, warmupCount: Math.ceil(warmupPerSecond * warmupSeconds) }
  return { kind: 'paced', ...warmup, ...pace, log: join(folder, 'written') }
}

async function measureAlone(context: Context, system: System, each: Case): Promise<Alone> {
  const setup = newSetup(context, 0)
  await system.prepare(setup, 'rows', 0)
  const running = await system.startAlone(setup)
  const { rates } = await write(context, running, writingOf(context, each, setup.folder))
  await running.stop()
  return rates
}

async function measureReplicated(context: Context, system: System, each: Case): Promise<Replicated> {
  const setup = newSetup(context, context.options.replicas[0])
  await system.prepare(setup, 'rows', 0)
  const running = await system.start(setup)
  const before = await running.figures()
  const cpu = watchCpu(running)
  const { rates, result, begunMs } = await write(
    context,
    running,
    writingOf(context, each, setup.folder),
    (id) => running.whenLevel(id, LEVEL_TIMEOUT_MS),
  )
  const cpuPercents = cpu.percents()
  await running.whenLevel(result.ids, LEVEL_TIMEOUT_MS)
  const levelMs = Number(process.hrtime.bigint()) / 1e6 - result.endNs / 1e6
  const counters = grown(before, await running.figures(), performance.now() - begunMs)
  await running.verify()
  await running.stop()
  return {
    ...rates,
    levelMs,
    leaderCpuPercent: cpuPercents[0] ?? Number.NaN,
    replicaCpuPercent: Math.max(0, ...cpuPercents.slice(1)),
    ...counters,
  }
}

async function write(
  context: Context,
  { primary }: RunningPrimary,
  writing: Writing,
  whenArrived: (id: number) => Promise<void> = async () => {},
) {
  const child = await startProgram(context, 'writer', writer(primary, writing))
  const maxSeconds = context.options.seconds + context.options.warmupSeconds + 60
  const timeoutMs = maxSeconds * 1000
  const begunMs = performance.now()
  if (writing.kind === 'paced') await warmUp(child, maxSeconds, () => whenArrived(writing.warmupCount))
  else child.go()
  const result = await resultOf(child, timeoutMs, [...KEYS, 'ids'])
  const commitsPerSecond = rate(result.commits, result.elapsedMs)
  return { result, begunMs, rates: { commitsPerSecond, commitUs: (1000 * result.busyMs) / result.commits } }
}

type Figures = Readonly<Record<string, number>>

/** What walcast's leader counted meanwhile, warm-up included; NaN for peers. */
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

const columnsOf = (each: Case) => ({
  rate: each.rate === Infinity ? 'full' : each.rate,
  autocheckpoint: each.autocheckpoint,
  pin: each.pin.text,
})

function toRow(
  system: System,
  each: Case,
  replicas: number,
  alone: readonly Alone[],
  replicated: readonly Replicated[],
) {
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
    levelMs: of((round) => round.levelMs),
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

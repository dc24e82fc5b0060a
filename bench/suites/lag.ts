/** From the return of COMMIT in a writer to a reader of the replica's file seeing the row. */
import { join } from 'node:path'
import { type Joined, joinById, type Percentiles, percentiles, spread } from '../arithmetic.ts'
import { readSeen, readWritten } from '../eventLog.ts'
import { pause } from '../processes.ts'
import { type Context, newSetup, type Row, resultOf, type Suite, startProgram, watchCpu } from '../suite.ts'
import type { RunningSystem } from '../system.ts'

/** The reader's sleep between two looks. */
const PAUSE_MS = 0.05
const STAGES = ['noticed', 'sent', 'received', 'applied'] as const

interface Round {
  readonly fromCommit: Percentiles
  readonly fromDue: Percentiles
  readonly beforeReturn: number
  readonly lookMs: number
  readonly leaderCpuPercent: number
  readonly replicaCpuPercent: number
  readonly stagesP50Ms: readonly number[]
}

export const lag: Suite = {
  note:
    'Lag in ms from the return of COMMIT (and from when the row was due) to the first look of a polling reader that saw it. ' +
    "lookMs: mean time between two looks, which the lag includes in part. stages: the node's own p50 of noticed + sent + received + applied.",
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      for (const rate of context.options.ratesPerSecond) {
        const rounds: Round[] = []
        for (let i = 1; i <= context.options.rounds; i++) {
          context.progress(`lag: ${rate}/s, pin ${pin.text}, round ${i}`)
          rounds.push(await measure(context, rate))
        }
        rows.push(toRow(context, pin.text, rate, rounds))
      }
    }
    return rows
  },
}

async function measure(context: Context, rate: number): Promise<Round> {
  const setup = newSetup(context)
  await context.system.prepare(setup, 'rows', 0)
  const running = await context.system.start(setup)
  const { warmupSeconds, warmupPerSecond, seconds } = context.options
  const warmupCount = Math.ceil(warmupPerSecond * warmupSeconds)
  const count = Math.ceil(rate * seconds)
  const maxSeconds = warmupSeconds + seconds + 20
  const log = join(setup.folder, 'written')
  const seenLogs = Array.from({ length: setup.replicas }, (_, i) => join(setup.folder, `seen${i + 1}`))
  const watching = { what: 'rows', until: warmupCount + count, maxSeconds, pauseMs: PAUSE_MS } as const
  const readers = await Promise.all(
    seenLogs.map((seenLog, i) =>
      startProgram(context, `reader${i + 1}`, running.reader({ ...watching, replica: i + 1, log: seenLog })),
    ),
  )
  const pace = { warmupPerSecond, warmupCount, ratePerSecond: rate, count }
  const writer = await startProgram(context, 'writer', running.writer({ kind: 'paced', ...pace, log }))
  for (const program of [...readers, writer]) program.go()
  await pause(warmupSeconds * 1000 + 100)
  const cpu = watchCpu(running)
  await resultOf(writer, maxSeconds * 1000, ['elapsedMs'])
  const cpuPercents = cpu.percents()
  const reads = await Promise.all(readers.map((reader) => resultOf(reader, 40_000, ['elapsedMs', 'looks'])))
  const stagesP50Ms = await readStages(running)
  await running.verify()
  await running.stop()
  const measured = readWritten(log).filter((write) => write.id > warmupCount)
  const joined = seenLogs.map((seenLog) => joinById(measured, readSeen(seenLog)))
  return { ...summarize(joined), lookMs: lookMs(reads), ...cpuOf(cpuPercents), stagesP50Ms }
}

function summarize(joined: readonly Joined[]) {
  const missing = joined.reduce((sum, each) => sum + each.missing, 0)
  if (missing > 0) throw new Error(`${missing} rows were never seen on a replica`)
  return {
    fromCommit: percentiles(joined.flatMap((each) => each.fromCommitNs)),
    fromDue: percentiles(joined.flatMap((each) => each.fromDueNs)),
    beforeReturn: joined.reduce((sum, each) => sum + each.beforeReturn, 0),
  }
}

function lookMs(reads: readonly { readonly elapsedMs: number; readonly looks: number }[]): number {
  return Math.max(...reads.map((read) => read.elapsedMs / read.looks))
}

function cpuOf([leader, ...replicas]: readonly number[]) {
  return { leaderCpuPercent: leader, replicaCpuPercent: Math.max(...replicas) }
}

async function readStages(running: RunningSystem): Promise<number[]> {
  const figures = await running.figures()
  return STAGES.map((stage) => figures[`replica1.lag.stages.${stage}.p50Ms`] ?? Number.NaN)
}

function toRow(context: Context, pin: string, rate: number, rounds: readonly Round[]): Row {
  const of = (pick: (round: Round) => number) => spread(rounds.map(pick))
  const stages = STAGES.map((_, i) => of((round) => round.stagesP50Ms[i]).median.toFixed(2)).join(' + ')
  return {
    system: context.system.name,
    pin,
    replicas: context.options.replicas,
    ratePerSecond: rate,
    p50Ms: of((round) => round.fromCommit.p50Ms),
    p90Ms: of((round) => round.fromCommit.p90Ms),
    p99Ms: of((round) => round.fromCommit.p99Ms),
    maxMs: of((round) => round.fromCommit.maxMs),
    fromDueP50Ms: of((round) => round.fromDue.p50Ms),
    fromDueP99Ms: of((round) => round.fromDue.p99Ms),
    beforeReturn: of((round) => round.beforeReturn).median,
    lookMs: of((round) => round.lookMs),
    leaderCpuPercent: of((round) => round.leaderCpuPercent),
    replicaCpuPercent: of((round) => round.replicaCpuPercent),
    stagesP50Ms: stages,
  }
}

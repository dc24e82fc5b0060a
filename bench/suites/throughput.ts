/** What replication costs a writer at full speed, and how soon the replica is level after it. */
import { spread } from '../arithmetic.ts'
import { type Context, newSetup, type Row, resultOf, type Suite, startProgram, watchCpu } from '../suite.ts'
import type { RunningSystem } from '../system.ts'

const LEVEL_TIMEOUT_MS = 60_000
const KEYS = ['commits', 'elapsedMs', 'endNs'] as const

interface Alone {
  readonly commitsPerSecond: number
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
    'Small commits at full speed, alone (A) and replicated (B), alternating, each on a fresh database; ratio B/A round by round. ' +
    'frames: read from the WAL; pages: sent, the newest image of each page in a batch. levelMs: from the last COMMIT until the replica has it. ' +
    'pauses: times writers were stopped for a checkpoint.',
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      for (const autocheckpoint of context.options.autocheckpoints) {
        const alone: Alone[] = []
        const replicated: Replicated[] = []
        for (let i = 1; i <= context.options.rounds; i++) {
          context.progress(`throughput: autocheckpoint ${autocheckpoint}, pin ${pin.text}, round ${i}`)
          alone.push(await measureAlone(context, autocheckpoint))
          replicated.push(await measureReplicated(context, autocheckpoint))
        }
        rows.push(toRow(context, pin.text, autocheckpoint, alone, replicated))
      }
    }
    return rows
  },
}

const writingOf = (context: Context, autocheckpoint: number) =>
  ({ kind: 'full', seconds: context.options.seconds, autocheckpoint }) as const

async function measureAlone(context: Context, autocheckpoint: number): Promise<Alone> {
  const setup = newSetup(context)
  await context.system.prepare(setup, 'rows', 0)
  const program = context.system.writerAlone(setup, writingOf(context, autocheckpoint))
  const writer = await startProgram(context, 'writer', program)
  writer.go()
  const result = await resultOf(writer, timeoutMs(context), KEYS)
  return { commitsPerSecond: rate(result.commits, result.elapsedMs) }
}

async function measureReplicated(context: Context, autocheckpoint: number): Promise<Replicated> {
  const setup = newSetup(context)
  await context.system.prepare(setup, 'rows', 0)
  const running = await context.system.start(setup)
  const { txid } = await running.position()
  const program = running.writer(writingOf(context, autocheckpoint))
  const writer = await startProgram(context, 'writer', program)
  const cpu = watchCpu(running)
  writer.go()
  const result = await resultOf(writer, timeoutMs(context), KEYS)
  const cpuPercents = cpu.percents()
  await running.whenLevel(txid + result.commits, LEVEL_TIMEOUT_MS)
  const levelMs = Number(process.hrtime.bigint()) / 1e6 - result.endNs / 1e6
  const counters = await readCounters(running, result.elapsedMs + levelMs)
  await running.verify()
  await running.stop()
  return {
    commitsPerSecond: rate(result.commits, result.elapsedMs),
    levelMs,
    leaderCpuPercent: cpuPercents[0],
    replicaCpuPercent: Math.max(...cpuPercents.slice(1)),
    ...counters,
  }
}

async function readCounters(running: RunningSystem, elapsedMs: number) {
  const figures = await running.figures()
  const leader = (name: string) => figures[`leader.walcast_${name}`] ?? 0
  return {
    framesPerSecond: rate(leader('capture_frames_total'), elapsedMs),
    pagesPerSecond: rate(leader('capture_pages_total'), elapsedMs),
    megabytesPerSecond: rate(leader('capture_bytes_total') / 1e6, elapsedMs),
    pauses: leader('checkpoint_pause_seconds_count'),
    pauseMs: leader('checkpoint_pause_seconds_sum') * 1000,
  }
}

const rate = (count: number, elapsedMs: number) => count / (elapsedMs / 1000)
const timeoutMs = (context: Context) => (context.options.seconds + 60) * 1000

function toRow(
  context: Context,
  pin: string,
  autocheckpoint: number,
  alone: readonly Alone[],
  replicated: readonly Replicated[],
): Row {
  const of = (pick: (round: Replicated) => number) => spread(replicated.map(pick))
  return {
    system: context.system.name,
    pin,
    replicas: context.options.replicas,
    autocheckpoint,
    aloneCommitsPerSecond: spread(alone.map((each) => each.commitsPerSecond)),
    commitsPerSecond: of((round) => round.commitsPerSecond),
    ratio: spread(replicated.map((each, i) => each.commitsPerSecond / alone[i].commitsPerSecond)),
    levelMs: of((round) => round.levelMs),
    framesPerSecond: of((round) => round.framesPerSecond),
    pagesPerSecond: of((round) => round.pagesPerSecond),
    megabytesPerSecond: of((round) => round.megabytesPerSecond),
    leaderCpuPercent: of((round) => round.leaderCpuPercent),
    replicaCpuPercent: of((round) => round.replicaCpuPercent),
    pauses: of((round) => round.pauses),
    pauseMs: of((round) => round.pauseMs),
  }
}

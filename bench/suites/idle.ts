/**
 * What leader and replica cost while nothing is written.
 *
 * CPU time of all threads of each node, after `--warmup` seconds: 25, since a process that has just
 * started still compiles and collects. It is taken from the scheduler's nanoseconds
 * (`/proc/PID/task/N/schedstat`, of all threads), and beside it from utime + stime (steps of 10
 * ms).
 */
import { spread } from '../arithmetic.ts'
import { pause } from '../processes.ts'
import { cpuMsOf, cpuTicksOf, memoryOf } from '../procfs.ts'
import type { Row } from '../result.ts'
import { type Context, newSetup, type Suite } from '../suite.ts'
import { walcast } from '../systems/walcast.ts'

const TICKS_PER_SECOND = 100

interface Usage {
  readonly node: string
  readonly cpuPercent: number
  readonly ticksPercent: number
  readonly rssMb: number
}

export const idle: Suite = {
  hasPeers: false,
  note:
    'CPU as percent of one core while nothing is written. ' +
    'cpuPercent: from the scheduler (schedstat, all threads); ' +
    'ticksPercent: utime + stime, in steps of 10 ms.',
  async run(context) {
    const rounds: Usage[][] = []
    for (let i = 1; i <= context.options.rounds; i++) {
      context.progress(`idle: round ${i}`)
      rounds.push(await measure(context))
    }
    return rounds[0].map((usage, at) =>
      toRow(
        usage.node,
        rounds.map((round) => round[at]),
      ),
    )
  },
}

async function measure(context: Context): Promise<Usage[]> {
  const { seconds, warmupSeconds, databaseMb } = context.options
  const setup = newSetup(context, context.options.replicas[0])
  await walcast.prepare(setup, 'blobs', databaseMb)
  const running = await walcast.start(setup)
  await pause(warmupSeconds * 1000)
  const fromMs = performance.now()
  const before = running.nodes.map((node) => ({
    cpuMs: cpuMsOf(node.pid),
    ticks: cpuTicksOf(node.pid),
  }))
  await pause(seconds * 1000)
  const elapsedMs = performance.now() - fromMs
  const usages = running.nodes.map((node, i) => ({
    node: node.name,
    cpuPercent: (100 * (cpuMsOf(node.pid) - before[i].cpuMs)) / elapsedMs,
    ticksPercent:
      (100 * (cpuTicksOf(node.pid) - before[i].ticks) * (1000 / TICKS_PER_SECOND)) / elapsedMs,
    rssMb: memoryOf(node.pid).rssBytes / 1e6,
  }))
  await running.verify()
  await running.stop()
  return usages
}

function toRow(node: string, usages: readonly Usage[]): Row {
  const of = (pick: (usage: Usage) => number) => spread(usages.map(pick))
  return {
    system: walcast.name,
    node,
    cpuPercent: of((usage) => usage.cpuPercent),
    ticksPercent: of((usage) => usage.ticksPercent),
    rssMb: of((usage) => usage.rssMb),
  }
}

/**
 * Point reads on a replica's file while it applies writes, against the same file at rest.
 *
 * 1 and 4 processes (better-sqlite3, read-only) select random rows by id from a table of 100,000
 * rows of 100 bytes. Each read is a transaction of its own.
 *
 * - `readsPerSecond`: of all processes together, while a writer on the leader makes `rate` small
 *   commits a second and the replica applies them.
 * - `atRestReadsPerSecond`: the same file with nodes running and nothing written. It is the mean of
 *   a time after the warm-up and one at the end.
 * - `ratio`: the one by the other. The writer and the nodes take cores from the readers.
 * - `cpuRatio`: the same for each second of CPU that the readers had. That is what remains on a
 *   machine with cores to spare.
 * - `busy`: every SQLITE_BUSY; the readers' busy time-out is 0. `errors`: anything else.
 */
import { join } from 'node:path'
import { type Spread, spread } from '../arithmetic.ts'
import type { PinSetup } from '../options.ts'
import { type Child, pause } from '../processes.ts'
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
import type { Place } from '../system.ts'
import { walcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'

/** Reader processes at once. */
const READER_COUNTS = [1, 4] as const
/** 100,000 rows of 100 bytes, see makeDatabase. */
const LOOKUP_MB = 11.3
const LEVEL_TIMEOUT_MS = 60_000
/** In which the writer writes, before and after reads are counted. */
const MARGIN_SECONDS = 1

interface Case {
  readonly pin: PinSetup
  readonly rate: number
  readonly readers: number
}

/** Of all readers together. */
interface Reads {
  readonly perSecond: number
  /** For each second of CPU that a reader had: what remains when others take cores from it. */
  readonly perCpuSecond: number
  readonly busy: number
  readonly errors: number
}

interface Round {
  readonly atRest: Reads
  readonly applying: Reads
  readonly commitsPerSecond: number
  readonly leaderCpuPercent: number
  readonly replicaCpuPercent: number
}

export const readers: Suite = {
  note:
    "Point SELECTs by random id on the replica's file, all readers together: at rest before " +
    'and after (mean), and while the replica applies `rate` commits a second. ' +
    'ratio: applying / at rest, round by round; ' +
    'cpuRatio: the same for each second of CPU that the readers had. ' +
    'busy: SQLITE_BUSY with a busy time-out of 0; errors: any other.',
  hasPeers: false,
  async run(context) {
    const rows: Row[] = []
    const ratios: Record<string, Spread> = {}
    for (const each of casesOf(context)) {
      context.processes.pinning = each.pin.pinning
      const rounds: Round[] = []
      for (let i = 1; i <= context.options.rounds; i++) {
        context.progress(
          `readers: ${each.rate}/s, readers ${each.readers}, pin ${each.pin.text}, round ${i}`,
        )
        rounds.push(await measure(context, each))
      }
      const row = toRow(each, rounds)
      rows.push(row)
      ratios[`reads ${row.system}@${each.rate} readers ${each.readers}`] = row.ratio
    }
    return { rows, ratios } satisfies SuiteResult
  },
}

function casesOf({ options }: Context): Case[] {
  return options.pins.flatMap((pin) =>
    READER_COUNTS.flatMap((count) =>
      options.ratesPerSecond.map((rate) => ({ pin, rate, readers: count })),
    ),
  )
}

async function measure(context: Context, each: Case): Promise<Round> {
  const { seconds, warmupSeconds, warmupPerSecond } = context.options
  const setup = newSetup(context, 1)
  await walcast.prepare(setup, 'lookup', LOOKUP_MB)
  const running = await walcast.start(setup)
  const [replica] = running.replicas
  const warmupCount = Math.ceil(warmupPerSecond * warmupSeconds)
  const count = Math.ceil(each.rate * (seconds + 2 * MARGIN_SECONDS))
  const pace = { warmupPerSecond, warmupCount, ratePerSecond: each.rate, count, pages: 1 }
  const writing = { kind: 'paced', ...pace, log: join(setup.folder, 'written') } as const
  const child = await startProgram(context, 'writer', writer(running.primary, writing))
  const atRest: Reads[] = []
  const readAtRest = async () =>
    void atRest.push(await read(context, await startReaders(context, replica, each.readers)))
  // Ready before the writer goes on: how long that takes is not in the writer's time.
  const beside = await startReaders(context, replica, each.readers)
  await warmUp(child, warmupSeconds + LEVEL_TIMEOUT_MS / 1000, async () => {
    await running.whenLevel(warmupCount, LEVEL_TIMEOUT_MS)
    await readAtRest()
  })
  await pause(MARGIN_SECONDS * 1000)
  const cpu = watchCpu(running)
  const applying = await read(context, beside)
  const [leaderCpuPercent, replicaCpuPercent] = cpu.percents()
  if (!child.isRunning) throw new Error('the writer ended before the readers did')
  const written = await resultOf(child, LEVEL_TIMEOUT_MS, ['commits', 'elapsedMs', 'ids'])
  await running.whenLevel(written.ids, LEVEL_TIMEOUT_MS)
  await readAtRest()
  await running.verify()
  await running.stop()
  const commitsPerSecond = (1000 * written.commits) / written.elapsedMs
  return { atRest: meanOf(atRest), applying, commitsPerSecond, leaderCpuPercent, replicaCpuPercent }
}

function startReaders(context: Context, replica: Place, count: number): Promise<Child[]> {
  const args = ['--file', replica.where, '--seconds', String(context.options.seconds)]
  const script = 'programs/pointReader.js'
  return Promise.all(
    Array.from({ length: count }, (_, i) =>
      startProgram(context, `reader${i + 1}`, { script, args }),
    ),
  )
}

async function read(context: Context, children: readonly Child[]): Promise<Reads> {
  for (const child of children) child.go()
  const timeoutMs = context.options.seconds * 1000 + LEVEL_TIMEOUT_MS
  const keys = ['reads', 'busy', 'errors', 'elapsedMs', 'cpuMs'] as const
  const results = await Promise.all(children.map((child) => resultOf(child, timeoutMs, keys)))
  const sum = (pick: (result: (typeof results)[number]) => number) =>
    results.reduce((total, result) => total + pick(result), 0)
  return {
    perSecond: sum(({ reads, elapsedMs }) => (1000 * reads) / elapsedMs),
    perCpuSecond: (1000 * sum(({ reads }) => reads)) / sum(({ cpuMs }) => cpuMs),
    busy: sum(({ busy }) => busy),
    errors: sum(({ errors }) => errors),
  }
}

/**
 * Rates are averaged, so that a machine that gets slower in a round does not count against either
 * side; failures are added.
 */
function meanOf(times: readonly Reads[]): Reads {
  const sum = (pick: (reads: Reads) => number) =>
    times.reduce((total, reads) => total + pick(reads), 0)
  return {
    perSecond: sum((reads) => reads.perSecond) / times.length,
    perCpuSecond: sum((reads) => reads.perCpuSecond) / times.length,
    busy: sum((reads) => reads.busy),
    errors: sum((reads) => reads.errors),
  }
}

function toRow(each: Case, rounds: readonly Round[]) {
  const of = (pick: (round: Round) => number) => spread(rounds.map(pick))
  const total = (pick: (round: Round) => number) =>
    rounds.reduce((sum, round) => sum + pick(round), 0)
  return {
    system: walcast.name,
    rate: each.rate,
    readers: each.readers,
    pin: each.pin.text,
    rounds: rounds.length,
    atRestReadsPerSecond: of((round) => round.atRest.perSecond),
    readsPerSecond: of((round) => round.applying.perSecond),
    ratio: of((round) => round.applying.perSecond / round.atRest.perSecond),
    cpuRatio: of((round) => round.applying.perCpuSecond / round.atRest.perCpuSecond),
    atRestBusy: total((round) => round.atRest.busy),
    busy: total((round) => round.applying.busy),
    errors: total((round) => round.applying.errors + round.atRest.errors),
    commitsPerSecond: of((round) => round.commitsPerSecond),
    leaderCpuPercent: of((round) => round.leaderCpuPercent),
    replicaCpuPercent: of((round) => round.replicaCpuPercent),
    identical: true,
  }
}

/**
 * How old is what a reader of the replica sees, for walcast and its peers.
 *
 * A writer inserts one row of 100 bytes a commit, at `--rates`, on an absolute schedule (open
 * loop). When it falls behind it does not skip, and nothing is dropped. It notes the monotonic
 * clock before and after each commit. A reader on the other side asks for `max(id)` again and
 * again, with a sleep of 0.05 ms between two looks. It notes when it first sees each id. The two
 * are joined by id; all processes of one machine share that clock.
 *
 * The same programs measure every system; only the client differs. Systems take turns in each
 * round.
 *
 * The warm-up (`--warmup` seconds at `--warmup-rate`) lets code get compiled. Then the writer waits
 * until everything has arrived: the backlog of a slow system must not count as lag of what comes
 * after.
 *
 * - `p50Ms` to `maxMs`: from the return of COMMIT.
 * - `fromBegun...`: from the begin of the transaction.
 * - `fromDue...`: from the moment the row was due. That includes the writer's own stalls: its
 *   checkpoints, its disk, its share of a core.
 * - `beforeReturn`: rows that were seen even before COMMIT returned. They count as 0.
 * - `lookMs`: the mean time between two looks. The lag includes half of it on average, and a client
 *   that asks a server looks less often than one that reads a file.
 * - `stagesP50Ms`: walcast's own report (noticed, sent, received, applied). Its window includes the
 *   warm-up.
 * - `floorMs`: one file event and one hop over loopback at the same rate, measured in the same run
 *   (see floor.ts). A replica fed through file events and a socket cannot beat that sum.
 * - `ratioToFloor`: `p50Ms` by it.
 *
 * Which start is fair depends on the system. Where COMMIT waits for a server, a disk or a replica,
 * part of the way is over when it returns, so `p50Ms` flatters it. `fromBegun` has no such side.
 *
 * Further values of `--pages`, `--replicas` and `--readers` are measured one at a time, at 200
 * commits a second. A commit of 100 pages changes 99 rows that fill a page each. `loaded` is one
 * more reader on each replica that never pauses.
 */
import { join } from 'node:path'
import {
  type Joined,
  joinById,
  type Percentiles,
  percentiles,
  type Spread,
  spread,
} from '../arithmetic.ts'
import { readSeen, readWritten } from '../eventLog.ts'
import { floorsOfLag, type LagFloors } from '../floors.ts'
import type { BenchOptions, PinSetup, Readers } from '../options.ts'
import type { Child } from '../processes.ts'
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
import { megabytesFor, type RunningSystem, type System } from '../system.ts'
import { walcast } from '../systems/walcast.ts'
import { type Turns, takeTurns } from '../turns.ts'
import { busyReader, reader, writer } from '../writing.ts'

/** The reader's sleep between two looks. */
const PAUSE_MS = 0.05
/** Further values of --pages, --replicas and --readers are measured at this rate only. */
const VARIED_RATE = 200
/** How long a slow system may take to show the last row. */
const PATIENCE_SECONDS = 45
const MIN_COMPARED_MS = 0.05

export type CaseOptions = Pick<
  BenchOptions,
  'pins' | 'ratesPerSecond' | 'peerRatesPerSecond' | 'pagesPerCommit' | 'replicas' | 'readers'
>

export interface LagCase {
  readonly pin: PinSetup
  readonly rate: number
  readonly pages: number
  readonly replicas: number
  readonly readers: Readers
  readonly hasPeers: boolean
}

export interface LagRound {
  readonly fromCommit: Percentiles
  readonly fromBegun: Percentiles
  readonly fromDue: Percentiles
  readonly beforeReturn: number
  readonly lookMs: number
  readonly leaderCpuPercent: number
  readonly replicaCpuPercent: number
  readonly stagesP50Ms: readonly number[]
}

export const lag: Suite = {
  note:
    'Lag in ms from the return of COMMIT (and from its begin, ' +
    'and from when the row was due) to the first look of a polling reader that saw it. ' +
    'lookMs: mean time between two looks, which the lag includes in part. ' +
    "stages: walcast's own p50 of noticed + sent + received + applied.",
  hasPeers: true,
  async run(context) {
    const rows: Row[] = []
    const ratios: Record<string, Spread> = {}
    const floors = new Map<string, LagFloors>()
    for (const each of casesOf(context.options)) {
      context.processes.pinning = each.pin.pinning
      const floor = each.pages === 1 ? await floorOf(context, each, floors) : undefined
      const { rounds, failed } = await measureCase(context, each)
      for (const [system, measured] of rounds) {
        const bound = system === walcast && floor ? boundOf(floor, measured) : {}
        rows.push({ ...toRow(system, each, measured), ...bound })
      }
      const skipped = each.hasPeers ? [...context.skipped, ...failed] : []
      for (const [name, reason] of skipped) rows.push(skippedRow(name, each, reason))
      Object.assign(ratios, ratiosOf(each, rounds))
    }
    return { rows, ratios } satisfies SuiteResult
  },
}

/**
 * Every rate with the first of the other lists; each further value of those alone, at one rate and
 * for walcast only.
 */
export function casesOf(options: CaseOptions): LagCase[] {
  const { pins, ratesPerSecond, peerRatesPerSecond, pagesPerCommit, replicas, readers } = options
  return pins.flatMap((pin) => {
    const first = { pin, pages: pagesPerCommit[0], replicas: replicas[0], readers: readers[0] }
    const rate = ratesPerSecond.includes(VARIED_RATE) ? VARIED_RATE : ratesPerSecond[0]
    const varied = { ...first, rate, hasPeers: false }
    return [
      ...ratesPerSecond.map((each) => ({
        ...first,
        rate: each,
        hasPeers: peerRatesPerSecond.includes(each),
      })),
      ...pagesPerCommit.slice(1).map((pages) => ({ ...varied, pages })),
      ...replicas.slice(1).map((count) => ({ ...varied, replicas: count })),
      ...readers.slice(1).map((each) => ({ ...varied, readers: each })),
    ]
  })
}

function measureCase(context: Context, each: LagCase): Promise<Turns<LagRound>> {
  const systems = context.systems.filter(
    (system) => system === walcast || (each.hasPeers && (each.pages === 1 || system.hasPages)),
  )
  return takeTurns(context, `lag: ${describe(each)}`, systems, (system) =>
    measureLag(context, system, each),
  )
}

function describe({ rate, pages, replicas, readers, pin }: LagCase): string {
  return `${rate}/s, pages ${pages}, replicas ${replicas}, readers ${readers}, pin ${pin.text}`
}

export async function measureLag(
  context: Context,
  system: System,
  each: LagCase,
): Promise<LagRound> {
  const setup = newSetup(context, each.replicas)
  const [kind, megabytes] =
    each.pages === 1 ? (['rows', 0] as const) : (['pages', megabytesFor(each.pages)] as const)
  await system.prepare(setup, kind, megabytes)
  const running = await system.start(setup)
  const { warmupSeconds, seconds } = context.options
  const warmupPerSecond = context.options.warmupPerSecond / each.pages
  const warmupCount = Math.ceil(warmupPerSecond * warmupSeconds)
  const count = Math.ceil(each.rate * seconds)
  const maxSeconds = warmupSeconds + seconds + 3 * PATIENCE_SECONDS
  const log = join(setup.folder, 'written')
  const seenLogs = running.replicas.map((_, i) => join(setup.folder, `seen${i + 1}`))
  const watching = { until: warmupCount + count, maxSeconds, pauseMs: PAUSE_MS }
  const pace = { warmupPerSecond, warmupCount, ratePerSecond: each.rate, count, pages: each.pages }
  const readers = await Promise.all(
    running.replicas.map((place, i) =>
      startProgram(context, `reader${i + 1}`, reader(place, { ...watching, log: seenLogs[i] })),
    ),
  )
  const load = each.readers === 'loaded' ? await startLoad(context, running) : []
  const writing = { kind: 'paced', ...pace, log } as const
  const writerChild = await startProgram(context, 'writer', writer(running.primary, writing))
  for (const program of [...readers, ...load]) program.go()
  await warmUp(
    writerChild,
    maxSeconds,
    () => running.whenLevel(warmupCount, PATIENCE_SECONDS * 1000),
    system.periodMs,
  )
  const cpu = watchCpu(running)
  await resultOf(writerChild, maxSeconds * 1000, ['elapsedMs'])
  const cpuPercents = cpu.percents()
  const reads = await Promise.all(
    readers.map((child) => resultOf(child, maxSeconds * 1000, ['elapsedMs', 'looks'])),
  )
  for (const child of load) await child.stop()
  const stagesP50Ms = await readStages(running)
  await running.verify()
  await running.stop()
  const measured = readWritten(log).filter((write) => write.id > warmupCount)
  const joined = seenLogs.map((seenLog) => joinById(measured, readSeen(seenLog)))
  return { ...summarize(joined), lookMs: lookMs(reads), ...cpuOf(cpuPercents), stagesP50Ms }
}

function startLoad(context: Context, running: RunningSystem): Promise<Child[]> {
  return Promise.all(
    running.replicas.map((place, i) => startProgram(context, `load${i + 1}`, busyReader(place))),
  )
}

function summarize(joined: readonly Joined[]) {
  const missing = joined.reduce((sum, each) => sum + each.missing, 0)
  if (missing > 0) throw new Error(`${missing} rows were never seen on a replica`)
  return {
    fromCommit: percentiles(joined.flatMap((each) => each.fromCommitNs)),
    fromBegun: percentiles(joined.flatMap((each) => each.fromBegunNs)),
    fromDue: percentiles(joined.flatMap((each) => each.fromDueNs)),
    beforeReturn: joined.reduce((sum, each) => sum + each.beforeReturn, 0),
  }
}

function lookMs(reads: readonly { readonly elapsedMs: number; readonly looks: number }[]): number {
  return Math.max(...reads.map((read) => read.elapsedMs / read.looks))
}

function cpuOf([leader = Number.NaN, ...replicas]: readonly number[]) {
  return {
    leaderCpuPercent: leader,
    replicaCpuPercent: replicas.length > 0 ? Math.max(...replicas) : Number.NaN,
  }
}

async function readStages(running: RunningSystem): Promise<number[]> {
  const figures = await running.figures()
  return STAGE_NAMES.map((stage) => figures[`replica1.lag.stages.${stage}.p50Ms`] ?? Number.NaN)
}

const caseColumns = ({ rate, pages, replicas, readers, pin }: LagCase) => ({
  rate,
  pages,
  replicas,
  readers,
  pin: pin.text,
})

function toRow(system: System, each: LagCase, rounds: readonly LagRound[]): Row {
  const of = (pick: (round: LagRound) => number) => spread(rounds.map(pick))
  const stages = STAGE_NAMES.map((_, i) =>
    of((round) => round.stagesP50Ms[i]).median.toFixed(2),
  ).join(' + ')
  return {
    system: system.name,
    ...caseColumns(each),
    rounds: rounds.length,
    p50Ms: of((round) => round.fromCommit.p50Ms),
    p90Ms: of((round) => round.fromCommit.p90Ms),
    p99Ms: of((round) => round.fromCommit.p99Ms),
    maxMs: of((round) => round.fromCommit.maxMs),
    fromBegunP50Ms: of((round) => round.fromBegun.p50Ms),
    fromBegunP99Ms: of((round) => round.fromBegun.p99Ms),
    fromDueP50Ms: of((round) => round.fromDue.p50Ms),
    fromDueP99Ms: of((round) => round.fromDue.p99Ms),
    beforeReturn: of((round) => round.beforeReturn).median,
    lookMs: of((round) => round.lookMs),
    leaderCpuPercent: of((round) => round.leaderCpuPercent),
    replicaCpuPercent: of((round) => round.replicaCpuPercent),
    stagesP50Ms: stages.includes('NaN') ? undefined : stages,
    identical: true,
  }
}

/** Of one commit of one page; measured once for each rate and set-up. */
async function floorOf(
  context: Context,
  { pin, rate }: LagCase,
  known: Map<string, LagFloors>,
): Promise<LagFloors> {
  const key = `${pin.text} ${rate}`
  const floor = known.get(key) ?? (await floorsOfLag(context, rate))
  known.set(key, floor)
  return floor
}

/** One file event and one hop over loopback: what walcast's way cannot be faster than. */
function boundOf({ floorMs }: LagFloors, rounds: readonly LagRound[]) {
  return { floorMs, ratioToFloor: spread(rounds.map((round) => round.fromCommit.p50Ms / floorMs)) }
}

function skippedRow(name: string, each: LagCase, reason: string): Row {
  const nothing = { rounds: 0, p50Ms: null, p99Ms: null, identical: null }
  return { system: name, ...caseColumns(each), ...nothing, skipped: reason }
}

/**
 * NaN against values shorter than a look: a system whose COMMIT waits for its replica shows almost
 * no lag after it.
 */
function ratio(oursMs: number, theirsMs: number): number {
  return theirsMs < MIN_COMPARED_MS ? Number.NaN : oursMs / theirsMs
}

/** The first system (walcast) against each other, round by round: below 1 is faster. */
function ratiosOf(
  each: LagCase,
  rounds: ReadonlyMap<System, readonly LagRound[]>,
): Record<string, Spread> {
  const [[first, ours] = [], ...others] = [...rounds]
  if (!first || !ours) return {}
  const against = (theirs: readonly LagRound[], pick: (round: LagRound) => number) =>
    spread(ours.map((round, i) => ratio(pick(round), pick(theirs[i]))))
  return Object.fromEntries(
    others.flatMap(([system, theirs]) => {
      const pin = each.pin.text === 'none' ? '' : ` pin ${each.pin.text}`
      const name = `${first.name}/${system.name}@${each.rate}${pin}`
      return [
        [`p50 ${name}`, against(theirs, (round) => round.fromCommit.p50Ms)],
        [`p50 from begun ${name}`, against(theirs, (round) => round.fromBegun.p50Ms)],
        [`p99 ${name}`, against(theirs, (round) => round.fromCommit.p99Ms)],
      ]
    }),
  )
}

/**
 * What archiving costs: the rate of a writer at full speed, and the lag of a replica's reader.
 *
 * Set-ups take turns in each round, each with a fresh database: no node at all, nodes without an
 * archive, the same nodes with one. `leader` is a leader alone; in `pair` it has a replica, which
 * is the one that archives.
 *
 * - `costPercent`: by how much the archive lowers the rate, round by round. Below 0: faster. Of a
 *   peer, against its writer alone.
 * - `archiveCpuUs`: CPU of all nodes for each commit with the archive, less that without, until the
 *   archive has the last commit. Where all cores are busy, a writer lacks what the archive takes.
 * - `... apart`: the writer has a core for itself and all nodes share another. What the archive
 *   costs there is not time on a core.
 * - `ofAlone`: rate with the archive by that of a writer with nothing beside it.
 * - `addedP50Ms`: p50 with the archive less p50 without, round by round.
 */
import { availableParallelism } from 'node:os'
import { type Spread, spread } from '../arithmetic.ts'
import { type PinSetup, parsePin } from '../optionValues.ts'
import type { Context } from '../suite.ts'
import type { System } from '../system.ts'
import { archivedWalcast } from '../systems/archivedWalcast.ts'
import { litestream } from '../systems/litestream.ts'
import { postgres } from '../systems/postgres.ts'
import { postgresReceiveWal } from '../systems/postgresBackup.ts'
import { walcast } from '../systems/walcast.ts'
import { measureLag } from './lag.ts'
import { peerCases, type RestoreCase } from './restoreCase.ts'
import { measureAlone, measureReplicated, type WriterCase } from './throughput.ts'

const AIM_COST_PERCENT = 5
const APART: PinSetup = parsePin('writer=0,leader=1,replica=1')
/** What two runs of the same differ by anyway. */
const AIM_ADDED_MS = 0.05
const LAG_RATES = [200, 1000]

interface Rate {
  readonly commitsPerSecond: number
  readonly leaderCpuPercent?: number
  readonly replicaCpuPercent?: number
  readonly cpuUs?: number
}

/** One of several that take turns. */
interface SetUp<Round> {
  readonly name: string
  measure(): Promise<Round>
}

export async function measureWriterCost(context: Context): Promise<RestoreCase[]> {
  return [
    await writerOfWalcast(context, 'leader', 0),
    await writerOfWalcast(context, 'pair', 1),
    ...(await writersApart(context)),
    ...(await peerCases(context, litestream.name, 'writer', 'replica in a folder', () =>
      writerOfPeer(context, litestream, litestream),
    )),
    ...(await peerCases(context, postgres.name, 'writer', 'pg_receivewal', () =>
      writerOfPeer(context, postgres, postgresReceiveWal),
    )),
  ]
}

/** None where --pin says what is measured, or there is one core. */
async function writersApart(context: Context): Promise<RestoreCase[]> {
  const { options, processes } = context
  if (options.pins[0].text !== 'none' || availableParallelism() < 2) return []
  processes.pinning = APART.pinning
  try {
    return [
      await writerOfWalcast(context, 'leader, apart', 0),
      await writerOfWalcast(context, 'pair, apart', 1),
    ]
  } finally {
    processes.pinning = options.pins[0].pinning
  }
}

export async function measureLagCost(context: Context): Promise<RestoreCase[]> {
  const cases: RestoreCase[] = []
  for (const rate of LAG_RATES) cases.push(await lagAt(context, rate))
  return cases
}

async function writerOfWalcast(
  context: Context,
  name: string,
  replicas: number,
): Promise<RestoreCase> {
  const [alone, plain, archived] = await inTurns(context, `writer, ${name}`, [
    aloneOf(context, walcast),
    besideOf(context, walcast, replicas),
    besideOf(context, archivedWalcast, replicas),
  ])
  const of = (pick: (round: Rate) => number | undefined) =>
    spread(archived.map((round) => pick(round) ?? Number.NaN))
  return {
    system: walcast.name,
    part: 'writer',
    case: name,
    figures: {
      aloneCommitsPerSecond: ratesOf(alone),
      plainCommitsPerSecond: ratesOf(plain),
      commitsPerSecond: ratesOf(archived),
      costPercent: costs(plain, archived),
      aimCostPercent: AIM_COST_PERCENT,
      ofAlone: shares(alone, archived),
      leaderCpuPercent: of((round) => round.leaderCpuPercent),
      replicaCpuPercent: replicas > 0 ? of((round) => round.replicaCpuPercent) : undefined,
      cpuUs: of((round) => round.cpuUs),
      archiveCpuUs: spread(archived.map((round, i) => cpuUsOf(round) - cpuUsOf(plain[i]))),
    },
    identical: true,
  }
}

const cpuUsOf = ({ cpuUs }: Rate) => cpuUs ?? Number.NaN

/** `archived`: the peer with what it has for an archive. */
async function writerOfPeer(context: Context, peer: System, archived: System) {
  const [alone, beside] = await inTurns(context, `writer, ${peer.name}`, [
    aloneOf(context, peer),
    besideOf(context, archived, 1),
  ])
  return {
    aloneCommitsPerSecond: ratesOf(alone),
    commitsPerSecond: ratesOf(beside),
    costPercent: costs(alone, beside),
    ofAlone: shares(alone, beside),
    leaderCpuPercent: spread(beside.map((round) => round.leaderCpuPercent ?? Number.NaN)),
  }
}

function aloneOf(context: Context, system: System): SetUp<Rate> {
  const each = fullSpeed(context)
  return { name: 'nothing beside it', measure: () => measureAlone(context, system, each) }
}

function besideOf(context: Context, system: System, replicas: number): SetUp<Rate> {
  const options = { ...context.options, replicas: [replicas] }
  const each = fullSpeed(context)
  return {
    name: system.name,
    measure: () => measureReplicated({ ...context, options }, system, each),
  }
}

function fullSpeed({ options }: Context): WriterCase {
  return { pin: options.pins[0], rate: Infinity, autocheckpoint: 1000, hasPeers: true }
}

async function lagAt(context: Context, rate: number): Promise<RestoreCase> {
  const pin = context.options.pins[0]
  const each = { pin, rate, pages: 1, replicas: 1, readers: 'idle', hasPeers: false } as const
  const [plain, archived] = await inTurns(
    context,
    `lag, ${rate}/s`,
    [walcast, archivedWalcast].map((system) => ({
      name: system.name,
      measure: () => measureLag(context, system, each),
    })),
  )
  const p50s = plain.map((round) => round.fromCommit.p50Ms)
  return {
    system: walcast.name,
    part: 'lag',
    case: `${rate}/s`,
    figures: {
      plainP50Ms: spread(p50s),
      p50Ms: spread(archived.map((round) => round.fromCommit.p50Ms)),
      addedP50Ms: spread(archived.map((round, i) => round.fromCommit.p50Ms - p50s[i])),
      aimAddedP50Ms: AIM_ADDED_MS,
      plainP99Ms: spread(plain.map((round) => round.fromCommit.p99Ms)),
      p99Ms: spread(archived.map((round) => round.fromCommit.p99Ms)),
      plainReplicaCpuPercent: spread(plain.map((round) => round.replicaCpuPercent)),
      replicaCpuPercent: spread(archived.map((round) => round.replicaCpuPercent)),
    },
    identical: true,
  }
}

/** What changes on the machine meanwhile falls on all; each round begins with another set-up. */
async function inTurns<Round>(
  { options, progress }: Context,
  label: string,
  setUps: readonly SetUp<Round>[],
): Promise<readonly (readonly Round[])[]> {
  const rounds = setUps.map((): Round[] => [])
  for (let round = 1; round <= options.rounds; round++)
    for (let i = 0; i < setUps.length; i++) {
      const at = (i + round) % setUps.length
      progress(`restore: ${label}, round ${round}, ${setUps[at].name}`)
      rounds[at].push(await setUps[at].measure())
    }
  return rounds
}

function ratesOf(rounds: readonly Rate[]): Spread {
  return spread(rounds.map((round) => round.commitsPerSecond))
}

function shares(alone: readonly Rate[], beside: readonly Rate[]): Spread {
  return spread(beside.map((each, i) => each.commitsPerSecond / alone[i].commitsPerSecond))
}

function costs(plain: readonly Rate[], archived: readonly Rate[]): Spread {
  const { median, min, max } = shares(plain, archived)
  const cost = (share: number) => 100 * (1 - share)
  return { median: cost(median), min: cost(max), max: cost(min) }
}

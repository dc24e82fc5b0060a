/**
 * How a replica gets what it lacks. It comes in three ways:
 *
 * - `first copy`: everything.
 * - `history`: the replica was stopped while `--catch-up-mb` of pages changed in 8 commits, and the
 *   leader still has the batches.
 * - `difference`: the replica was stopped while 104 pages changed, and the leader restarted
 *   meanwhile. Pages have to be compared.
 *
 * The columns:
 *
 * - `seconds`: from the start of the replica's process until it is level, with every page sent,
 *   verified, written and synced. A replica that returns reads its whole copy first.
 * - `cpSeconds`: `cp` and `sync` of the whole file just before, from the page cache.
 * - `loopbackRatio`: sent MB/s by what one plain TCP stream over loopback carries in the same
 *   round.
 * - RSS: the largest value of the process so far (`VmHWM`). Shared pages of the Node executable are
 *   in it (about 45 MB).
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { spread } from '../arithmetic.ts'
import { measureLoopback } from '../floors.ts'
import { UsageError } from '../options.ts'
import { memoryOf } from '../procfs.ts'
import type { Row } from '../result.ts'
import { type Context, newSetup, resultOf, type Suite, startProgram } from '../suite.ts'
import type { Setup } from '../system.ts'
import { leaderPath, type RunningWalcast, startWalcast, walcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'

const TIMEOUT_MS = 600_000
const PAGE_BYTES = 4096
/** Commits that make up what a returning replica lacks. */
const TRANSACTIONS = 8
/** Pages that differ when pages are compared. */
const DIFFERENT_PAGES = 104
/** Above every --catch-up-mb that makes sense, so that the history reaches back. */
const HISTORY = '256MiB'
const PARTS = ['first copy', 'history', 'difference'] as const
type Part = (typeof PARTS)[number]

interface Measured {
  readonly seconds: number
  readonly sentMb: number
  /** What the replica lacked, as pages. */
  readonly changedMb: number
  readonly leaderRssMb: number
  readonly replicaRssMb: number
}

interface Round {
  readonly fileMb: number
  readonly cpSeconds: number
  readonly loopbackMbPerSecond: number
  readonly parts: Readonly<Record<Part, Measured>>
}

export const catchup: Suite = {
  note:
    'seconds: from the start of the replica process until it is level with the leader, ' +
    'every page verified and synced (a replica that returns ' +
    'first reads its whole copy). sentMb: by the leader. ' +
    'cpSeconds: cp and sync of the whole file; cpRatio 1 is as fast as cp. ' +
    'loopbackRatio: sent MB/s against a plain TCP stream over loopback. ' +
    'difference: pages are compared, since the history does not reach back.',
  hasPeers: false,
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      const rounds: Round[] = []
      for (let i = 1; i <= context.options.rounds; i++) {
        context.progress(`catchup: ${context.options.databaseMb} MB, pin ${pin.text}, round ${i}`)
        rounds.push(await measure(context))
      }
      rows.push(...PARTS.map((part) => toRow(pin.text, part, rounds)))
    }
    return rows
  },
}

async function measure(context: Context): Promise<Round> {
  if (context.options.catchUpMb > context.options.databaseMb)
    throw new UsageError(`--mb: ${context.options.databaseMb} is less than --catch-up-mb`)
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'pages', context.options.databaseMb)
  const loopbackMbPerSecond = await measureLoopback(context)
  const cpSeconds = await timeCp(context, setup)
  const running = await startWalcast(setup, { leaderArgs: ['--history', HISTORY] })
  const first = await measureCatchUp(running, context.options.databaseMb, () =>
    running.addReplica(),
  )
  const parts = {
    'first copy': first,
    history: await measureReturn(context, setup, running, context.options.catchUpMb),
    difference: await measureDifference(context, setup, running),
  }
  await running.verify()
  await running.stop()
  const fileMb = (await stat(leaderPath(setup))).size / 1e6
  await context.processes.run({ name: 'rm', file: 'rm', args: ['-rf', setup.folder] }, TIMEOUT_MS)
  return { fileMb, cpSeconds, loopbackMbPerSecond, parts }
}

async function measureCatchUp(
  running: RunningWalcast,
  changedMb: number,
  start: () => Promise<void>,
): Promise<Measured> {
  const before = await sentBytes(running)
  const fromMs = performance.now()
  await start()
  await running.whenLevel(0, TIMEOUT_MS)
  const seconds = (performance.now() - fromMs) / 1000
  const sentMb = ((await sentBytes(running)) - before) / 1e6
  const [leaderRssMb, replicaRssMb] = running.nodes.map(
    (node) => memoryOf(node.pid).peakRssBytes / 1e6,
  )
  return { seconds, sentMb, changedMb, leaderRssMb, replicaRssMb }
}

/** A replica is away while `megabytes` of pages change. */
async function measureReturn(
  context: Context,
  setup: Setup,
  running: RunningWalcast,
  megabytes: number,
): Promise<Measured> {
  await running.stopLastReplica()
  const pages = Math.ceil((megabytes * 1e6) / PAGE_BYTES / TRANSACTIONS)
  const changedMb = await write(context, setup, 1, pages)
  return measureCatchUp(running, changedMb, () => running.startLastReplica())
}

/**
 * The leader restarts meanwhile, after its WAL was backfilled: nothing remains that says what
 * changed.
 */
async function measureDifference(
  context: Context,
  setup: Setup,
  running: RunningWalcast,
): Promise<Measured> {
  await running.stopLastReplica()
  const changedMb = await write(context, setup, 1 + TRANSACTIONS, DIFFERENT_PAGES / TRANSACTIONS)
  await running.restartLeader()
  return measureCatchUp(running, changedMb, () => running.startLastReplica())
}

/** Commits of `pages` pages each. Returns how many MB of pages really changed. */
async function write(
  context: Context,
  setup: Setup,
  firstId: number,
  pages: number,
): Promise<number> {
  const log = join(setup.folder, 'written')
  const size = { firstId, transactions: TRANSACTIONS, pages }
  const { primary } = await walcast.startAlone(setup)
  const writing = { kind: 'large', ...size, autocheckpoint: 1000, log } as const
  const child = await startProgram(context, 'writer', writer(primary, writing))
  child.go()
  const { changedPages } = await resultOf(child, TIMEOUT_MS, ['changedPages'])
  return (changedPages * PAGE_BYTES) / 1e6
}

async function sentBytes(running: RunningWalcast): Promise<number> {
  const figures = await running.figures()
  return figures['leader.walcast_send_bytes_total'] ?? Number.NaN
}

async function timeCp(context: Context, setup: Setup): Promise<number> {
  const { processes } = context
  const target = join(setup.folder, 'cp.db')
  const fromMs = performance.now()
  await processes.run({ name: 'cp', file: 'cp', args: [leaderPath(setup), target] }, TIMEOUT_MS)
  await processes.run({ name: 'sync', file: 'sync', args: [target] }, TIMEOUT_MS)
  const seconds = (performance.now() - fromMs) / 1000
  await processes.run({ name: 'rm', file: 'rm', args: [target] }, TIMEOUT_MS)
  return seconds
}

function toRow(pin: string, part: Part, rounds: readonly Round[]): Row {
  const of = (pick: (measured: Measured, round: Round) => number) =>
    spread(rounds.map((round) => pick(round.parts[part], round)))
  return {
    system: walcast.name,
    part,
    pin,
    rounds: rounds.length,
    fileMb: of((_, round) => round.fileMb).median,
    changedMb: of(({ changedMb }) => changedMb).median,
    seconds: of(({ seconds }) => seconds),
    sentMb: of(({ sentMb }) => sentMb),
    sentMbPerSecond: of(({ sentMb, seconds }) => sentMb / seconds),
    loopbackMbPerSecond: of((_, round) => round.loopbackMbPerSecond),
    loopbackRatio: of(({ sentMb, seconds }, round) => sentMb / seconds / round.loopbackMbPerSecond),
    cpSeconds: of((_, round) => round.cpSeconds),
    cpRatio: of(({ seconds }, round) => round.cpSeconds / seconds),
    leaderRssMb: of(({ leaderRssMb }) => leaderRssMb),
    replicaRssMb: of(({ replicaRssMb }) => replicaRssMb),
    identical: true,
  }
}

/**
 * Large transactions: how many megabytes of frames a second become visible on the replica.
 *
 * The rows of the database fill a page each. Each transaction changes about `--transaction-mb` of
 * pages spread over the whole file. All MB are frames (page and 24 bytes of header) as the writer
 * wrote them.
 *
 * - `aloneMbPerSecond`: the writer with no node.
 * - `visibleMbPerSecond`: from the first transaction seen on the replica to the last.
 * - `endToEndMbPerSecond`: from the first BEGIN.
 * - `catchUpMbPerSecond`: the replica's process is stopped (SIGSTOP) while `--catch-up-mb` are
 *   written, then goes on. It counts from then until the last of them is shown. That is as fast as
 *   the replica can receive, verify, write and publish with no writer beside it.
 * - `pagesSent`, `framesWritten`: the leader sends only the newest image of a page in a batch.
 *   Within one of these transactions no page repeats, so that saves nothing unless several
 *   transactions fall in one batch.
 */
import { join } from 'node:path'
import { median, megabytesPerSecond, type Seen, spread } from '../arithmetic.ts'
import { readSeen, readWritten } from '../eventLog.ts'
import { UsageError } from '../options.ts'
import { pause } from '../processes.ts'
import { memoryOf } from '../procfs.ts'
import type { Row } from '../result.ts'
import { type Context, newSetup, resultOf, type Suite, startProgram } from '../suite.ts'
import type { RunningSystem, Setup } from '../system.ts'
import { walcast } from '../systems/walcast.ts'
import * as programs from '../writing.ts'

const FRAME_BYTES = 4096 + 24
const TIMEOUT_MS = 300_000
const CATCH_UPS = 5
const CATCH_UP_PAUSE_MS = 300
const PAUSE_MS = 0.2
const WRITTEN = ['changedPages', 'elapsedMs'] as const

interface Stream {
  readonly writerMbPerSecond: number
  readonly visibleMbPerSecond: number
  readonly endToEndMbPerSecond: number
  readonly framesWritten: number
  readonly pagesSent: number
  readonly steps: number
  readonly lastLagMs: number
}

interface Round extends Stream {
  readonly aloneMbPerSecond: number
  readonly catchUpMbPerSecond: number
  readonly leaderRssMb: number
  readonly replicaRssMb: number
}

export const apply: Suite = {
  hasPeers: false,
  note:
    'MB of frames a second. alone: the writer with no node; writer: the writer with them; ' +
    'visible: from the first to the last step seen on the replica; ' +
    'endToEnd: from the first BEGIN to the last step seen; ' +
    'catchUp: by a replica that was stopped meanwhile, with no writer beside it. ' +
    'The leader sends only the newest image of a page in a batch: pagesSent against framesWritten.',
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      for (const autocheckpoint of context.options.autocheckpoints) {
        const rounds: Round[] = []
        for (let i = 1; i <= context.options.rounds; i++) {
          context.progress(`apply: autocheckpoint ${autocheckpoint}, pin ${pin.text}, round ${i}`)
          rounds.push(await measure(context, autocheckpoint))
        }
        rows.push(toRow(context, pin.text, autocheckpoint, rounds))
      }
    }
    return rows
  },
}

async function measure(context: Context, autocheckpoint: number): Promise<Round> {
  const { databaseMb, transactionMb, catchUpMb } = context.options
  if (Math.max(transactionMb, catchUpMb) > databaseMb)
    throw new UsageError(`--mb: ${databaseMb} is less than one transaction changes`)
  const aloneMbPerSecond = await measureAlone(context, autocheckpoint)
  const setup = newSetup(context, 1)
  await walcast.prepare(setup, 'pages', context.options.databaseMb)
  const running = await walcast.start(setup)
  const stream = await measureStream(context, setup, running, autocheckpoint)
  await running.whenLevel(0, 30_000)
  const catchUps: number[] = []
  for (let i = 1; i <= CATCH_UPS; i++) {
    await pause(CATCH_UP_PAUSE_MS)
    catchUps.push(await measureCatchUp(context, setup, running, context.options.transactions + i))
  }
  const [leaderMemory, replicaMemory] = running.nodes.map((node) => memoryOf(node.pid))
  await running.verify()
  await running.stop()
  return {
    ...stream,
    aloneMbPerSecond,
    catchUpMbPerSecond: median(catchUps),
    leaderRssMb: leaderMemory.peakRssBytes / 1e6,
    replicaRssMb: replicaMemory.peakRssBytes / 1e6,
  }
}

const pagesOf = (megabytes: number) => Math.round((megabytes * 1e6) / FRAME_BYTES)

function writingOf(context: Context, autocheckpoint: number, log: string) {
  const { transactions, transactionMb } = context.options
  return {
    kind: 'large',
    firstId: 1,
    transactions,
    pages: pagesOf(transactionMb),
    autocheckpoint,
    log,
  } as const
}

async function measureAlone(context: Context, autocheckpoint: number): Promise<number> {
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'pages', context.options.databaseMb)
  const { primary } = await walcast.startAlone(setup)
  const writing = writingOf(context, autocheckpoint, join(setup.folder, 'written'))
  const writer = await startProgram(context, 'writer', programs.writer(primary, writing))
  writer.go()
  const { changedPages, elapsedMs } = await resultOf(writer, TIMEOUT_MS, WRITTEN)
  return (changedPages * FRAME_BYTES) / 1e3 / elapsedMs
}

async function measureStream(
  context: Context,
  setup: Setup,
  running: RunningSystem,
  autocheckpoint: number,
): Promise<Stream> {
  const { transactions } = context.options
  const before = await running.figures()
  const log = join(setup.folder, 'written')
  const seenLog = join(setup.folder, 'seen')
  const watching = { until: transactions, maxSeconds: 120, pauseMs: PAUSE_MS, log: seenLog }
  const reader = await startProgram(
    context,
    'reader1',
    programs.reader(running.replicas[0], watching),
  )
  const writing = writingOf(context, autocheckpoint, log)
  const writer = await startProgram(context, 'writer', programs.writer(running.primary, writing))
  for (const program of [reader, writer]) program.go()
  const { changedPages, elapsedMs } = await resultOf(writer, TIMEOUT_MS, WRITTEN)
  await resultOf(reader, TIMEOUT_MS, ['last'])
  const after = await running.figures()
  const grown = (name: string) => (after[name] ?? 0) - (before[name] ?? 0)
  const written = readWritten(log)
  const seen = readSeen(seenLog)
  const frameBytes = changedPages * FRAME_BYTES
  const lastCommitNs = written.at(-1)?.committedNs ?? 0n
  return {
    writerMbPerSecond: frameBytes / 1e3 / elapsedMs,
    ...visibleRates(seen, transactions, frameBytes, written[0].dueNs),
    framesWritten: grown('leader.walcast_capture_frames_total'),
    pagesSent: grown('leader.walcast_capture_pages_total'),
    lastLagMs: Number((seen.at(-1)?.seenNs ?? 0n) - lastCommitNs) / 1e6,
  }
}

/** One large transaction is written while the replica stands still; then it goes on. */
async function measureCatchUp(
  context: Context,
  setup: Setup,
  running: RunningSystem,
  id: number,
): Promise<number> {
  const log = join(setup.folder, `written${id}`)
  const seenLog = join(setup.folder, `seen${id}`)
  const watching = { until: id, maxSeconds: 60, pauseMs: PAUSE_MS, log: seenLog }
  const size = { firstId: id, transactions: 1, pages: pagesOf(context.options.catchUpMb) }
  const reader = await startProgram(
    context,
    'reader1',
    programs.reader(running.replicas[0], watching),
  )
  const writing = { kind: 'large', ...size, autocheckpoint: 0, log } as const
  const writer = await startProgram(context, 'writer', programs.writer(running.primary, writing))
  const replica = running.nodes[1]
  process.kill(replica.pid, 'SIGSTOP')
  let resumedNs: bigint
  let changedPages: number
  try {
    writer.go()
    changedPages = (await resultOf(writer, TIMEOUT_MS, WRITTEN)).changedPages
    await pause(CATCH_UP_PAUSE_MS)
    reader.go()
    await pause(10)
  } finally {
    resumedNs = process.hrtime.bigint()
    process.kill(replica.pid, 'SIGCONT')
  }
  await resultOf(reader, TIMEOUT_MS, ['last'])
  const last = readSeen(seenLog).at(-1)
  if (last?.maxId !== id) throw new Error('the replica did not catch up')
  return megabytesPerSecond(changedPages * FRAME_BYTES, last.seenNs - resumedNs)
}

function visibleRates(
  seen: readonly Seen[],
  transactions: number,
  frameBytes: number,
  begunNs: bigint,
) {
  const first = seen[0]
  const last = seen.at(-1)
  if (!first || last?.maxId !== transactions)
    throw new Error('the replica never showed the last transaction')
  const perTransaction = frameBytes / transactions
  const span = last.seenNs - first.seenNs
  return {
    visibleMbPerSecond:
      span > 0n
        ? megabytesPerSecond((last.maxId - first.maxId) * perTransaction, span)
        : Number.NaN,
    endToEndMbPerSecond: megabytesPerSecond(frameBytes, last.seenNs - begunNs),
    steps: seen.length,
  }
}

function toRow(
  context: Context,
  pin: string,
  autocheckpoint: number,
  rounds: readonly Round[],
): Row {
  const of = (pick: (round: Round) => number) => spread(rounds.map(pick))
  return {
    system: walcast.name,
    pin,
    autocheckpoint,
    transactions: context.options.transactions,
    transactionMb: context.options.transactionMb,
    aloneMbPerSecond: of((round) => round.aloneMbPerSecond),
    writerMbPerSecond: of((round) => round.writerMbPerSecond),
    visibleMbPerSecond: of((round) => round.visibleMbPerSecond),
    endToEndMbPerSecond: of((round) => round.endToEndMbPerSecond),
    catchUpMbPerSecond: of((round) => round.catchUpMbPerSecond),
    framesWritten: of((round) => round.framesWritten).median,
    pagesSent: of((round) => round.pagesSent).median,
    steps: of((round) => round.steps),
    lastLagMs: of((round) => round.lastLagMs),
    leaderRssMb: of((round) => round.leaderRssMb),
    replicaRssMb: of((round) => round.replicaRssMb),
  }
}

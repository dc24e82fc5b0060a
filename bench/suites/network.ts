/**
 * Lag over a network with delay, loss or little bandwidth.
 *
 * Leader and replica are each in a network namespace of its own, joined by a veth pair with packets
 * of 1500 bytes. Both namespaces go when the bench ends. This wants root and `ip`; without them
 * every row says why it was skipped. Writer and reader are those of lag.ts and need no network.
 * Delay is one way; delay and loss hold in both directions.
 *
 * `by` says what makes a condition:
 *
 * - `netem`, where the kernel has it.
 * - `nft`: loss by random packets that are dropped at arrival.
 * - `relay`: delay by a process of the bench between the two, which holds every chunk back, in
 *   order. It is an end of both TCP connections, so acknowledgements of TCP do not feel the delay.
 *   It takes CPU and has a wake-up of its own: `delay 0 ms` has the relay and no delay.
 * - `tbf`: bandwidth, with a burst of one packet.
 *
 * The columns:
 *
 * - `heldP50Ms`: how long the relay really held what it passed on.
 * - `lessDelayP50Ms`: `p50Ms` less the emulated delay.
 * - `wireMs`: what the pages of one commit take at the emulated rate.
 *
 * Commits take at most half of the bandwidth, so those of 100 pages come 15 times a second.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { joinById, type Percentiles, percentiles, spread } from '../arithmetic.ts'
import { CONDITIONS, type Condition, emulate, type Means } from '../emulation.ts'
import { readSeen, readWritten } from '../eventLog.ts'
import { NotAvailable } from '../install.ts'
import { LinkPlacement } from '../linkPlacement.ts'
import { Link } from '../netns.ts'
import type { PinSetup } from '../options.ts'
import type { Row } from '../result.ts'
import { type Context, newSetup, resultOf, type Suite, startProgram, warmUp } from '../suite.ts'
import { megabytesFor } from '../system.ts'
import { startWalcast, walcast } from '../systems/walcast.ts'
import { reader, writer } from '../writing.ts'

const PAGE_BYTES = 4096
/** The reader's sleep between two looks. */
const PAUSE_MS = 0.05
const PATIENCE_SECONDS = 60
/**
 * Commits take at most this share of an emulated bandwidth: above 1 the lag would grow for as long
 * as one measures.
 */
const BANDWIDTH_SHARE = 0.5

interface Case {
  readonly pin: PinSetup
  readonly condition: Condition
  readonly pages: number
  /** Commits a second. */
  readonly rate: number
}

interface Round {
  readonly by: Means
  readonly fromCommit: Percentiles
  /** Median time for which a relay held what went through it. */
  readonly heldP50Ms: number | undefined
}

export const network: Suite = {
  note:
    'Lag in ms from the return of COMMIT to the first look of a reader, ' +
    'with leader and replica in network namespaces of their own. ' +
    'Delay (one way) and loss hold in both directions. ' +
    'by: what makes the condition. lessDelayP50Ms: p50 less the emulated delay. ' +
    'heldP50Ms: how long a relay really held what it passed on. ' +
    'wireMs: what the pages of a commit take at the emulated rate.',
  hasPeers: false,
  async run(context) {
    const rows: Row[] = []
    for (const each of casesOf(context)) {
      context.processes.pinning = each.pin.pinning
      rows.push(await rowOf(context, each))
    }
    return rows
  },
}

/**
 * Small commits in every condition; those of more pages where bandwidth is scarce, and without
 * emulation beside it.
 */
export function casesOf({ options }: Pick<Context, 'options'>): Case[] {
  return options.pins.flatMap((pin) =>
    CONDITIONS.flatMap((condition) =>
      options.pagesPerCommit
        .filter((pages) => pages === 1 || condition.name === 'none' || condition.megabitsPerSecond)
        .flatMap((pages) =>
          [...new Set(options.ratesPerSecond.map((rate) => affordable(rate, pages)))].map(
            (rate) => ({
              pin,
              condition,
              pages,
              rate,
            }),
          ),
        ),
    ),
  )
}

/** The same rate in all conditions: what the slowest of them can carry. */
function affordable(rate: number, pages: number): number {
  const megabits = Math.min(
    ...CONDITIONS.map(({ megabitsPerSecond }) => megabitsPerSecond ?? Infinity),
  )
  return Math.min(rate, Math.max(1, Math.floor((BANDWIDTH_SHARE * 1000) / wireMs(pages, megabits))))
}

function wireMs(pages: number, megabitsPerSecond: number): number {
  return (pages * PAGE_BYTES * 8) / 1000 / megabitsPerSecond
}

async function rowOf(context: Context, each: Case): Promise<Row> {
  const { condition, pages, rate, pin } = each
  const columns = { condition: condition.name, pages, rate, pin: pin.text }
  const rounds: Round[] = []
  try {
    for (let i = 1; i <= context.options.rounds; i++) {
      context.progress(
        `network: ${condition.name}, ${rate}/s, pages ${pages}, pin ${pin.text}, round ${i}`,
      )
      rounds.push(await measureOnLink(context, each))
    }
  } catch (error) {
    if (!(error instanceof NotAvailable)) throw error
    context.progress(`skipping ${condition.name}: ${error.message}`)
    const nothing = { rounds: 0, p50Ms: null, p99Ms: null, identical: null }
    return { system: walcast.name, ...columns, ...nothing, skipped: error.message }
  }
  const of = (pick: (round: Round) => number) => spread(rounds.map(pick))
  const { delayMs = 0, megabitsPerSecond } = condition
  const isHeld = rounds.every((round) => round.heldP50Ms !== undefined)
  return {
    system: walcast.name,
    ...columns,
    by: [...new Set(rounds.map((round) => round.by))].join(', '),
    rounds: rounds.length,
    p50Ms: of((round) => round.fromCommit.p50Ms),
    p99Ms: of((round) => round.fromCommit.p99Ms),
    maxMs: of((round) => round.fromCommit.maxMs),
    lessDelayP50Ms: of((round) => round.fromCommit.p50Ms - delayMs),
    heldP50Ms: isHeld ? of((round) => round.heldP50Ms ?? Number.NaN) : undefined,
    wireMs: megabitsPerSecond ? wireMs(pages, megabitsPerSecond) : undefined,
    identical: true,
  }
}

async function measureOnLink(context: Context, each: Case): Promise<Round> {
  const link = await Link.make()
  try {
    const by = await emulate(link, each.condition, context.progress)
    const secret = randomBytes(24).toString('hex')
    const placement = new LinkPlacement(context, link, secret)
    if (by === 'relay') await placement.delay(each.condition.delayMs ?? 0)
    try {
      const fromCommit = await measure(context, each, placement)
      return { by, fromCommit, heldP50Ms: await placement.heldP50Ms() }
    } finally {
      await placement.close()
    }
  } finally {
    link.remove()
  }
}

async function measure(
  context: Context,
  each: Case,
  placement: LinkPlacement,
): Promise<Percentiles> {
  const { warmupSeconds, seconds } = context.options
  const setup = newSetup(context, 1)
  await walcast.prepare(
    setup,
    each.pages === 1 ? 'rows' : 'pages',
    each.pages === 1 ? 0 : megabytesFor(each.pages),
  )
  const running = await startWalcast(setup, { placement: placement.placeOf })
  const warmupPerSecond = affordable(context.options.warmupPerSecond, each.pages)
  const warmupCount = Math.ceil(warmupPerSecond * warmupSeconds)
  const count = Math.ceil(each.rate * seconds)
  const maxSeconds = warmupSeconds + seconds + 3 * PATIENCE_SECONDS
  const [log, seenLog] = ['written', 'seen'].map((name) => join(setup.folder, name))
  const watching = { until: warmupCount + count, maxSeconds, pauseMs: PAUSE_MS, log: seenLog }
  const pace = { warmupPerSecond, warmupCount, ratePerSecond: each.rate, count, pages: each.pages }
  const readerChild = await startProgram(context, 'reader1', reader(running.replicas[0], watching))
  const writing = { kind: 'paced', ...pace, log } as const
  const writerChild = await startProgram(context, 'writer', writer(running.primary, writing))
  readerChild.go()
  await warmUp(writerChild, maxSeconds, () =>
    running.whenLevel(warmupCount, PATIENCE_SECONDS * 1000),
  )
  await resultOf(writerChild, maxSeconds * 1000, ['elapsedMs'])
  await resultOf(readerChild, maxSeconds * 1000, ['last'])
  await running.verify()
  await running.stop()
  const measured = readWritten(log).filter((write) => write.id > warmupCount)
  const { fromCommitNs, missing } = joinById(measured, readSeen(seenLog))
  if (missing > 0) throw new Error(`${missing} rows were never seen on the replica`)
  return percentiles(fromCommitNs)
}

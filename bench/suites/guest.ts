/**
 * How well a node behaves as a guest beside an application.
 *
 * One connection writes transactions that read before they write, at each of `--rates` and with
 * rows of 300 and 20,000 bytes. It does so with a leader and a replica and alone, alternating. Then
 * the same while another connection runs `PRAGMA wal_checkpoint(TRUNCATE)` every 250 ms, which
 * alone refuses such transactions too.
 *
 * - `refused`: transactions that got SQLITE_BUSY when they began to write.
 * - `fences`: how often the leader stopped writers; `fenceMs`: for how long in all.
 */
import type { Row } from '../result.ts'
import { type Context, newSetup, resultOf, type Suite, startProgram } from '../suite.ts'
import type { Program } from '../system.ts'
import { leaderPath, walcast } from '../systems/walcast.ts'

const SMALL_BYTES = 300
const LARGE_BYTES = 20_000
const BUSY_MS = 15_000
const CHECKPOINT_PAUSE_MS = 250
const LEVEL_TIMEOUT_MS = 120_000
const NO_CHECKPOINTS = 'none'
const MODES = [NO_CHECKPOINTS, 'TRUNCATE'] as const

interface Case {
  /** 0: no writes. Infinity: as many as possible. */
  readonly rate: number
  readonly rowBytes: number
  /** The mode of the application's own checkpoints. */
  readonly checkpoints: (typeof MODES)[number]
}

interface Measured {
  readonly commits: number
  readonly refused: number
  readonly longestMs: number
  readonly elapsedMs: number
  readonly checkpoints: number
  readonly busy: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export const guest: Suite = {
  note:
    'One connection writes transactions that read before they write (BEGIN; SELECT; INSERT; ' +
    'COMMIT), busy time-out 15 s, wal_autocheckpoint 1000. ' +
    'refused: SQLITE_BUSY at the first write. ' +
    'longestMs: the longest transaction. ' +
    'checkpoint columns: wal_checkpoint(TRUNCATE) by another connection of the application ' +
    'every 250 ms; it refuses such transactions by itself, with or without a node. ' +
    'fenceMs: how long the node stopped writers altogether, fences: how often. ' +
    'Sums over the rounds, but for the longest.',
  hasPeers: false,
  async run(context) {
    const rows: Row[] = []
    for (const each of casesOf(context)) {
      const measured = { alone: [] as Guest[], walcast: [] as Guest[] }
      for (let round = 1; round <= context.options.rounds; round++) {
        const order =
          round % 2 === 1 ? (['alone', 'walcast'] as const) : (['walcast', 'alone'] as const)
        for (const system of order) {
          const { rate, rowBytes, checkpoints } = each
          context.progress(
            `guest: ${rate}/s of ${rowBytes} bytes, checkpoints ${checkpoints}, ` +
              `round ${round}, ${system}`,
          )
          const take = system === 'alone' ? measureAlone : measureBeside
          measured[system].push(await take(context, each))
        }
      }
      rows.push(toRow('alone', each, measured.alone), toRow('walcast', each, measured.walcast))
    }
    return rows
  },
}

function casesOf({ options }: Context): Case[] {
  const rated = options.ratesPerSecond.flatMap((rate) =>
    MODES.flatMap((checkpoints) =>
      [SMALL_BYTES, LARGE_BYTES].map((rowBytes) => ({ rate, rowBytes, checkpoints })),
    ),
  )
  return [{ rate: 0, rowBytes: SMALL_BYTES, checkpoints: 'TRUNCATE' }, ...rated]
}

interface Guest extends Measured {
  readonly fences: number
  readonly fenceMs: number
  readonly walFileMb: number
}

async function measureAlone(context: Context, each: Case): Promise<Guest> {
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'rows', 0)
  const measured = await work(context, each, leaderPath(setup))
  return { ...measured, fences: 0, fenceMs: 0, walFileMb: Number.NaN }
}

async function measureBeside(context: Context, each: Case): Promise<Guest> {
  const setup = newSetup(context, context.options.replicas[0])
  await walcast.prepare(setup, 'rows', 0)
  const running = await walcast.start(setup)
  const measured = await work(context, each, leaderPath(setup))
  await running.whenLevel(measured.commits, LEVEL_TIMEOUT_MS)
  const figures = await running.figures()
  await running.verify()
  await running.stop()
  const leader = (name: string) => figures[`leader.walcast_${name}`] ?? Number.NaN
  return {
    ...measured,
    fences: leader('checkpoint_pause_seconds_count'),
    fenceMs: 1000 * leader('checkpoint_pause_seconds_sum'),
    walFileMb: leader('wal_file_bytes') / 1e6,
  }
}

async function work(
  context: Context,
  { rate, rowBytes, checkpoints }: Case,
  db: string,
): Promise<Measured> {
  const { seconds } = context.options
  const timeoutMs = (seconds + 60) * 1000
  const writes = rate > 0
  const writer = writes
    ? await startProgram(
        context,
        'guestWriter',
        program('guestWriter', {
          db,
          rate: rate === Infinity ? 0 : rate,
          'value-bytes': rowBytes,
          seconds,
          'busy-ms': BUSY_MS,
          autocheckpoint: 1000,
        }),
      )
    : undefined
  const checkpointer =
    checkpoints === NO_CHECKPOINTS
      ? undefined
      : await startProgram(
          context,
          'guestCheckpointer',
          program('guestCheckpointer', {
            db,
            mode: checkpoints,
            seconds,
            'pause-ms': CHECKPOINT_PAUSE_MS,
            'busy-ms': BUSY_MS,
          }),
        )
  writer?.go()
  checkpointer?.go()
  const written =
    writer && (await resultOf(writer, timeoutMs, ['commits', 'refused', 'longestMs', 'elapsedMs']))
  const checked =
    checkpointer &&
    (await resultOf(checkpointer, timeoutMs, ['checkpoints', 'busy', 'p50Ms', 'p99Ms', 'maxMs']))
  return { ...NOTHING_WRITTEN, ...written, ...NO_CHECKPOINT, ...checked }
}

const NOTHING_WRITTEN = { commits: 0, refused: 0, longestMs: Number.NaN, elapsedMs: Number.NaN }
const NO_CHECKPOINT = {
  checkpoints: 0,
  busy: 0,
  p50Ms: Number.NaN,
  p99Ms: Number.NaN,
  maxMs: Number.NaN,
}

function program(name: string, flags: Readonly<Record<string, string | number>>): Program {
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
  return { script: `programs/${name}.js`, args }
}

function toRow(system: string, each: Case, rounds: readonly Guest[]): Row {
  const sum = (pick: (guest: Guest) => number) =>
    rounds.reduce((total, guest) => total + pick(guest), 0)
  const most = (pick: (guest: Guest) => number) => Math.max(...rounds.map(pick))
  const hasCheckpoints = each.checkpoints !== NO_CHECKPOINTS
  return {
    system,
    rate: each.rate === Infinity ? 'full' : each.rate,
    rowBytes: each.rowBytes,
    checkpoints: each.checkpoints,
    rounds: rounds.length,
    commitsPerSecond: (1000 * sum(({ commits }) => commits)) / sum(({ elapsedMs }) => elapsedMs),
    refused: sum(({ refused }) => refused),
    longestMs: most(({ longestMs }) => longestMs),
    ...(hasCheckpoints
      ? {
          checkpointP50Ms: most(({ p50Ms }) => p50Ms),
          checkpointP99Ms: most(({ p99Ms }) => p99Ms),
          checkpointMaxMs: most(({ maxMs }) => maxMs),
          checkpointsBusy: sum(({ busy }) => busy),
        }
      : {}),
    ...(system === 'walcast'
      ? {
          fences: sum(({ fences }) => fences),
          fenceMs: sum(({ fenceMs }) => fenceMs),
          walFileMb: most(({ walFileMb }) => walFileMb),
        }
      : {}),
  }
}

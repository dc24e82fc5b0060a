/**
 * What the machine itself allows, with as little code as possible beside it. The numbers of the
 * other suites are to be read against these.
 *
 * All of it runs between processes of their own, after a warm-up.
 *
 * - `fileEvent@RATE`: from the return of an 8-byte `pwrite` to the callback of `fs.watch` in
 *   another process, which then reads the number that was written. 200 and 1000 a second, for 3 s
 *   at most.
 * - `hop@RATE`: half of the round trip of a 4,300-byte message and a small answer, ws over
 *   loopback. `full`: each message follows the answer to the one before.
 * - `us`: one operation, the median of 40 batches of about 5 ms. It is `pwrite` of a page, the same
 *   and `fdatasync`, or the project's own XXH64 and WAL checksum. Or it is msgpack of a batch's
 *   fields with 64 KB of pages, which unpacking does not copy.
 * - `TCP over loopback`: one stream in writes of 256 KB.
 * - `write + fsync`: a new file of 256 MB. `cp + sync`: a copy of it out of the page cache.
 *
 * Each `fdatasync` and `fsync` is what this machine's disk says it is.
 */
import { type Percentiles, type Spread, spread } from '../arithmetic.ts'
import {
  HOP_BYTES,
  measureFileEvent,
  measureHop,
  measureLoopback,
  measureOperations,
  measureSequential,
  type Operation,
} from '../floors.ts'
import type { PinSetup } from '../options.ts'
import type { Row } from '../result.ts'
import type { Context, Suite } from '../suite.ts'

const SYSTEM = 'machine'
/** Events a second. */
const RATES = [200, 1000] as const
const SEQUENTIAL_MB = 256

/**
 * What one operation is called in the report and how many bytes it goes through, if it does:
 * unpacking points at them.
 */
const DESCRIBED: Readonly<Record<Operation, { readonly floor: string; readonly bytes?: number }>> =
  {
    pwritePage: { floor: 'pwrite 4 KB', bytes: 4096 },
    pwriteAndFdatasyncPage: { floor: 'pwrite + fdatasync 4 KB', bytes: 4096 },
    xxh64Page: { floor: 'xxh64 4 KB', bytes: 4096 },
    xxh64Megabyte: { floor: 'xxh64 1 MB', bytes: 1e6 },
    walChecksumPage: { floor: 'WAL checksum 4 KB', bytes: 4096 },
    msgpackPack64Kb: { floor: 'msgpack pack 64 KB', bytes: 65_536 },
    msgpackUnpack64Kb: { floor: 'msgpack unpack 64 KB' },
    encodeBatch: { floor: 'encode a batch of one page' },
    decodeBatch: { floor: 'decode a batch of one page' },
  }

export const floor: Suite = {
  note:
    'Bounds set by the machine. fileEvent: from the return of a small pwrite to the callback ' +
    'of fs.watch in another process. ' +
    `hop: half of a round trip of ${HOP_BYTES} bytes and a small answer, ws over loopback. ` +
    'us: one operation, median of batches. MB are 10^6 bytes.',
  hasPeers: false,
  async run(context) {
    const rows: Row[] = []
    for (const pin of context.options.pins) {
      context.processes.pinning = pin.pinning
      const rounds: Round[] = []
      for (let i = 1; i <= context.options.rounds; i++) {
        context.progress(`floor: pin ${pin.text}, round ${i}`)
        rounds.push(await measure(context))
      }
      rows.push(...toRows(pin, rounds))
    }
    return rows
  },
}

interface Round {
  /** By the name of the floor. */
  readonly latencies: ReadonlyMap<string, Percentiles>
  readonly operationsUs: Readonly<Record<Operation, number>>
  /** MB/s by the name of the floor. */
  readonly rates: ReadonlyMap<string, number>
}

async function measure(context: Context): Promise<Round> {
  const latencies = new Map<string, Percentiles>()
  for (const rate of RATES)
    latencies.set(`fileEvent@${rate}`, await measureFileEvent(context, rate))
  for (const rate of [...RATES, Infinity]) {
    const name = `hop@${rate === Infinity ? 'full' : rate}`
    latencies.set(name, await measureHop(context, rate))
  }
  const operationsUs = await measureOperations(context)
  const loopback = await measureLoopback(context)
  const { writeMbPerSecond, cpMbPerSecond } = await measureSequential(context, SEQUENTIAL_MB)
  const rates = new Map([
    ['TCP over loopback', loopback],
    [`write + fsync ${SEQUENTIAL_MB} MB`, writeMbPerSecond],
    [`cp + sync ${SEQUENTIAL_MB} MB`, cpMbPerSecond],
  ])
  return { latencies, operationsUs, rates }
}

function toRows(pin: PinSetup, rounds: readonly Round[]): Row[] {
  const row = (name: string, values: Readonly<Record<string, Spread>>): Row => ({
    system: SYSTEM,
    floor: name,
    pin: pin.text,
    rounds: rounds.length,
    ...values,
  })
  const spreadOf = (pick: (round: Round) => number | undefined) =>
    spread(rounds.map((round) => pick(round) ?? Number.NaN))
  const latency = (name: string) =>
    row(name, {
      p50Ms: spreadOf((round) => round.latencies.get(name)?.p50Ms),
      p99Ms: spreadOf((round) => round.latencies.get(name)?.p99Ms),
    })
  const operation = (key: Operation) => {
    const { floor: name, bytes } = DESCRIBED[key]
    const us = spreadOf((round) => round.operationsUs[key])
    if (bytes === undefined) return row(name, { us })
    return row(name, {
      us,
      megabytesPerSecond: spreadOf((round) => bytes / round.operationsUs[key]),
    })
  }
  const rate = (name: string) =>
    row(name, { megabytesPerSecond: spreadOf((round) => round.rates.get(name)) })
  const [first] = rounds
  if (!first) return []
  return [
    ...[...first.latencies.keys()].map(latency),
    ...(Object.keys(DESCRIBED) as Operation[]).map(operation),
    ...[...first.rates.keys()].map(rate),
  ]
}

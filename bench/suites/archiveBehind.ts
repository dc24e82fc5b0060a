/**
 * How far behind `restorable until` is while a leader alone archives and a writer goes on at a
 * steady rate, in a folder and in S3.
 *
 * A look asks the node, every 10 ms, up to which txid a restore gives the database. Behind is then
 * the age of the oldest commit that a restore would not give, since its COMMIT returned, and 0 when
 * there is none: what a disaster at that moment takes. Percentiles are over the looks.
 *
 * The S3 server is s3rver, in a process of its own on the same machine. In the end the archive is
 * restored and compared, so what the node said was there.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Percentiles, percentiles, type Written } from '../arithmetic.ts'
import { readWritten } from '../eventLog.ts'
import { pause } from '../processes.ts'
import { type Context, newSetup, resultOf, startProgram, warmUp } from '../suite.ts'
import {
  type ArchivedWalcast,
  type ArchivePlace,
  startArchived,
} from '../systems/archivedWalcast.ts'
import { walcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'
import type { RestoreCase } from './restoreCase.ts'

const RATES = [20, 1000]
const LOOK_MS = 10
const AIM_FOLDER_P99_MS = 1000
const AIM_S3_P99_MS = 2000
const PATIENCE_SECONDS = 60
/** Of s3rver. */
const KEYS = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' }

export async function measureBehind(context: Context): Promise<RestoreCase[]> {
  const cases: RestoreCase[] = []
  for (const rate of RATES)
    cases.push(await behindAt(context, `folder, ${rate}/s`, rate, AIM_FOLDER_P99_MS))
  if (!hasS3rver()) return [...cases, withoutS3()]
  const server = await startS3(context)
  for (const rate of RATES) {
    const place = { place: server.placeOf(`at-${rate}`), env: KEYS }
    cases.push(await behindAt(context, `s3, ${rate}/s`, rate, AIM_S3_P99_MS, place))
  }
  await server.stop()
  return cases
}

async function behindAt(
  context: Context,
  name: string,
  rate: number,
  aimP99Ms: number,
  place?: ArchivePlace,
): Promise<RestoreCase> {
  context.progress(`restore: behind, ${name}`)
  const { p50Ms, p99Ms, maxMs, count } = await measure(context, rate, place)
  const figures = {
    looks: count,
    behindP50Ms: p50Ms,
    behindP99Ms: p99Ms,
    aimP99Ms,
    behindMaxMs: maxMs,
  }
  return { system: walcast.name, part: 'behind', case: name, figures, identical: true }
}

async function measure(context: Context, rate: number, place?: ArchivePlace): Promise<Percentiles> {
  const { seconds, warmupSeconds } = context.options
  const setup = newSetup(context, 0)
  await walcast.prepare(setup, 'rows', 0)
  const running = await startArchived(setup, place)
  const log = join(setup.folder, 'written')
  const warmupCount = Math.ceil(rate * warmupSeconds)
  const count = Math.ceil(rate * seconds)
  const pace = { warmupPerSecond: rate, warmupCount, ratePerSecond: rate, count, pages: 1 }
  const child = await startProgram(
    context,
    'writer',
    writer(running.primary, { kind: 'paced', ...pace, log }),
  )
  const maxSeconds = warmupSeconds + seconds + PATIENCE_SECONDS
  await warmUp(child, maxSeconds, () => running.whenArchived(running.startTxid + warmupCount))
  const result = resultOf(child, maxSeconds * 1000, ['elapsedMs'])
  const looks = await lookUntil(running, result)
  await running.verify()
  await running.stop()
  const written = readWritten(log).filter(({ id }) => id > warmupCount)
  return percentiles(behindOf(looks, written))
}

interface Look {
  /** When the node had answered: what it archived meanwhile counts as behind. */
  readonly atNs: bigint
  /** Number of the last commit that a restore gives. */
  readonly restorableId: number
}

/** Looks until the writer has ended. */
async function lookUntil(running: ArchivedWalcast, ended: Promise<unknown>): Promise<Look[]> {
  const looks: Look[] = []
  let isOver = false
  const over = ended.finally(() => {
    isOver = true
  })
  while (!isOver) {
    const restorableId = (await running.restorableTxid()) - running.startTxid
    looks.push({ atNs: process.hrtime.bigint(), restorableId })
    await pause(LOOK_MS)
  }
  await over
  return looks
}

/** Nanoseconds at each look since the first row was committed. `written`: in the order of ids. */
export function behindOf(looks: readonly Look[], written: readonly Written[]): number[] {
  const [first, last] = [written[0], written[written.length - 1]]
  return looks
    .filter(({ atNs }) => atNs >= first.committedNs && atNs <= last.committedNs)
    .map(({ atNs, restorableId }) => {
      const oldest = written[Math.max(0, restorableId + 1 - first.id)]
      return oldest && oldest.committedNs < atNs ? Number(atNs - oldest.committedNs) : 0
    })
}

async function startS3(context: Context) {
  const port = await freePort()
  const args = ['--port', String(port), '--folder', context.processes.newFolder()]
  const server = await startProgram(context, 's3', { script: 'programs/s3Server.js', args })
  return {
    placeOf: (name: string) =>
      `s3://archives/${name}?endpoint=http://127.0.0.1:${port}&region=us-east-1`,
    stop: () => server.stop(),
  }
}

/** It comes with a checkout only. */
function hasS3rver(): boolean {
  try {
    createRequire(import.meta.url).resolve('s3rver')
    return true
  } catch {
    return false
  }
}

function withoutS3(): RestoreCase {
  const skipped = 's3rver is not installed: it comes with a checkout'
  return { system: walcast.name, part: 'behind', case: 's3', figures: {}, identical: null, skipped }
}

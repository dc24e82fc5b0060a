/** `walcast restore --follow`: the restored file is kept current from the archive. */
import { pino } from 'pino'
import type { ArchiveRestore } from '../backup/archiveRestore.ts'
import type { FollowedArchive } from '../backup/follow/followedArchive.ts'
import { FollowedFile } from '../backup/follow/followedFile.ts'
import { Follower, type OverReason } from '../backup/follow/follower.ts'
import type { FollowStep, Steps } from '../backup/follow/steps.ts'
import { ReplacedFile, type RestorePlace, restorePlace } from '../backup/replacedFile.ts'
import { WalcastError } from '../errors.ts'
import { removeAside } from '../platform/files.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { FollowReport } from './followReport.ts'
import { jsonLine } from './queryCommand.ts'
import { lockPlace } from './restoreLocks.ts'
import { type RestoreMeans, runRestoreAt } from './restoreRun.ts'
import { restoredJson, restoredText } from './restoreText.ts'
import { usage } from './usage.ts'

const MIN_EVERY_MS = 100
const MAX_EVERY_MS = 3_600_000
const EVERY_MS = 1000

export interface FollowOrder {
  readonly to: string
  readonly everyMs: number
  readonly isForced: boolean
  /** The folder of the archive, if it is one. */
  readonly folder: string | undefined
  readonly archive: FollowedArchive
  /** Gives up what the archive is asked. */
  readonly ending: AbortController
  /** A restore of the newest position, or else of the last one that can be had. */
  newest(): ArchiveRestore
}

/** Throws USAGE. */
export function everyOf(everyMs: number = EVERY_MS): number {
  if (everyMs >= MIN_EVERY_MS && everyMs <= MAX_EVERY_MS) return everyMs
  throw usage('--every wants a time from 100ms to 1h')
}

/**
 * Gives the exit code after SIGINT or SIGTERM. Throws what `runRestoreAt` and `Follower.run` do,
 * and RESTORE_IN_USE when the file is followed already or another program writes to it.
 */
export async function restoreFollowing(order: FollowOrder, means: RestoreMeans): Promise<number> {
  const path = resolveDatabase(order.to)
  if (FollowedFile.isAt(path)) {
    const unlock = await lockPlace(path)
    return followAt(path, order, means).finally(unlock)
  }
  const place = restorePlace(order.to, order.isForced, order.folder)
  const unlock = await lockPlace(place.path)
  try {
    await restoreFirst(place, means)
    return await followAt(place.path, order, means)
  } finally {
    await unlock()
  }
}

async function restoreFirst(place: RestorePlace, means: RestoreMeans): Promise<void> {
  const replaced = new ReplacedFile(place, means.ops)
  const done = await runRestoreAt(means, {
    path: place.path,
    isThere: place.isThere,
    ...(place.isThere && { base: place.path }),
    lock: async () => async () => {},
    approve: () => replaced.lock(),
    publish: (side, restored) => {
      FollowedFile.record(place.path, restored, means.ops)
      return replaced.replaceBy(side)
    },
    end: () => replaced.unlock(),
  })
  process.stdout.write(means.isJson ? jsonLine(restoredJson(done)) : restoredText(done))
}

async function followAt(path: string, order: FollowOrder, means: RestoreMeans): Promise<number> {
  const { everyMs, isForced, archive, ending } = order
  const file = await openFile(path, means)
  const report = new FollowReport(file, means.isJson)
  const follower = new Follower({
    ...{ file, archive, everyMs, isForced },
    over: (reason, steps, requireGoing) =>
      goOver({ file, order, means, report }, reason, steps, requireGoing),
    onStart: (timeMs) => report.begin(timeMs),
    onStep: (step) => report.step(step),
    onBad: (name, error) => report.bad(name, error),
    onWaiting: (error) => report.waiting(error),
    onLevel: () => report.level(),
  })
  const stop = () => {
    follower.stop()
    ending.abort()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    await follower.run()
    report.end()
    return 0
  } finally {
    report.clear()
    process.removeListener('SIGINT', stop)
    process.removeListener('SIGTERM', stop)
    await file.close()
  }
}

async function openFile(path: string, { ops }: RestoreMeans): Promise<FollowedFile> {
  try {
    return await FollowedFile.open(path, ops, pino({ level: 'silent' }))
  } catch (error) {
    if (!(error instanceof WalcastError) || error.key !== 'SQLITE_BUSY') throw error
    const detail = 'another program writes to it'
    throw new WalcastError('RESTORE_IN_USE', { path, detail }, error)
  }
}

interface Following {
  readonly file: FollowedFile
  readonly order: FollowOrder
  readonly means: RestoreMeans
  readonly report: FollowReport
}

/** The state is restored beside the file, proven and checked, and what differs becomes one step. */
async function goOver(
  { file, order, means, report }: Following,
  reason: OverReason,
  steps: Steps,
  requireGoing: () => void,
): Promise<FollowStep | undefined> {
  const run = order.newest()
  const { target } = await run.plan()
  if (reason === 'gap' && target.txid <= file.at.txid) return undefined
  report.over(reason, target)
  let step: FollowStep | undefined
  await runRestoreAt(
    { ...means, run },
    {
      path: `${file.path}-follow`,
      isThere: false,
      lock: async () => async () => {},
      onPosition: requireGoing,
      approve: async () => requireGoing(),
      publish: async (side, restored) => {
        step = await steps.takeAll(side, restored)
        await removeAside(side)
      },
      end: async () => {},
    },
  )
  return step
}

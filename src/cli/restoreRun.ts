/** A restore as commands run it: with its plan, progress and integrity check told. */
import type { ArchiveRestore, PlannedRestore } from '../backup/archiveRestore.ts'
import type { RestorePlace } from '../backup/replacedFile.ts'
import type { Restored, RestoreSteps } from '../backup/restore.ts'
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { monotonicMs } from '../platform/time.ts'
import { checkIntegrity, type IntegrityCheck } from '../sqlite/integrityCheck.ts'
import { jsonLine, shown } from './queryCommand.ts'
import type { ReadProgress } from './readProgress.ts'
import { type DoneRestore, planJson, planText, RESUMED_TEXT } from './restoreText.ts'

export interface RestoreMeans {
  readonly run: ArchiveRestore
  readonly progress: ReadProgress
  readonly isJson: boolean
  readonly isUnchecked: boolean
  readonly ops: FileOps
  readonly sizes: Pick<RestoreSteps, 'pendingBytes'>
}

/** What becomes of the restored file. */
export interface RestoreEnd extends RestorePlace {
  /** An old database, of whose pages those are kept that are right. */
  readonly base?: string
  /** Keeps other restores away until the function that it gives is called. */
  lock(): Promise<() => Promise<void>>
  /** The file is whole and sound. What it throws ends the restore. */
  approve(side: string): Promise<void>
  publish(side: string, restored: Restored): Promise<void>
  /** As in `RestoreSteps`. */
  readonly isUsedUp?: boolean
  /** Hears of each position that is proven. What it throws ends the restore, which can go on. */
  onPosition?(): void
  /** Called however it ends. */
  end(): Promise<void>
}

/** Throws what `ArchiveRestore.run` does, RESTORE_UNSOUND, and what the functions of `to` throw. */
export async function runRestoreAt(
  { run, progress, isJson, isUnchecked, ops, sizes }: RestoreMeans,
  to: RestoreEnd,
): Promise<DoneRestore> {
  const beganMs = monotonicMs()
  const unlock = await to.lock().catch((error) => {
    throw withOwnCure(error)
  })
  let check: IntegrityCheck | undefined
  let last: PlannedRestore | undefined
  const steps: RestoreSteps = {
    ...sizes,
    ...(to.base === undefined ? {} : { base: to.base }),
    isUsedUp: to.isUsedUp === true,
    onResume: () =>
      isJson ? process.stdout.write(jsonLine({ event: 'resumed' })) : progress.say(RESUMED_TEXT),
    approve: async (side) => {
      progress.end()
      check = isUnchecked ? undefined : await checked(side, last)
      await to.approve(side)
    },
    onPosition: () => to.onPosition?.(),
    publish: (side, restored) => to.publish(side, restored),
  }
  const onPlan = (plan: PlannedRestore) => {
    last = plan
    const text = isJson ? jsonLine(planJson(plan, to)) : planText(plan)
    progress.end()
    process[isJson ? 'stdout' : 'stderr'].write(text)
    progress.begin('restoring', plan.bytes)
  }
  try {
    const restored: Restored = await run.run(to.path, steps, ops, onPlan)
    return { restored, check, path: to.path, seconds: (monotonicMs() - beganMs) / 1000 }
  } catch (error) {
    throw withOwnCure(error)
  } finally {
    progress.end()
    await to.end()
    await unlock()
  }
}

/** Throws RESTORE_UNSOUND. */
async function checked(side: string, plan: PlannedRestore | undefined): Promise<IntegrityCheck> {
  const check = await checkIntegrity(side)
  if (check.outcome !== 'unsound') return check
  const detail = shown(check.problems.join(', '))
  throw new WalcastError('RESTORE_UNSOUND', { txid: plan?.target.txid ?? 0, detail })
}

/** The catalogue's cures for these are for a node. */
function withOwnCure(error: unknown): unknown {
  if (!(error instanceof WalcastError)) return error
  const { key, message } = error
  const again = 'then give the same command again: it goes on where it was'
  const cures: Partial<Record<typeof key, string>> = {
    DISK_FULL: `free some space, or restore to another disk with --to; ${again}`,
    WRITE_FAILED: 'check the disk, and that you may write to that folder',
    ALREADY_RUNNING: `stop that node, ${again}`,
  }
  const cure = cures[key]
  return cure === undefined ? error : new WalcastError(key, { message, cure }, error)
}

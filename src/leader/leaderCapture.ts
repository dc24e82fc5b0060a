/** Puts capture and checkpoints of a leader together, from its options and its database. */
import type { ReplicaFeed } from '../feed/replicaFeed.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { Capture } from './capture.ts'
import { CaptureRun } from './captureRun.ts'
import { Checkpointer, type CheckpointPass } from './checkpointer.ts'
import type { LeaderOptions } from './leaderOptions.ts'
import type { OpenDatabase } from './openDatabase.ts'
import { readAheadOf } from './readAhead.ts'
import type { StartPoint } from './startPoint.ts'
import type { LedDatabase } from './startup.ts'

/** What a run of capture tells the database that it captures. */
export interface CapturedHost {
  /** Something was captured. */
  readonly onCaptured: () => void
  /** Frames were captured that a recovery would not find. */
  readonly onUnverified: (frames: number) => void
  readonly onFailed: (error: unknown) => void
}

export function captureRunOf(
  options: LeaderOptions,
  { thread, files, positions, guard }: OpenDatabase,
  scanned: LedDatabase,
  { epoch, txid }: Pick<StartPoint, 'epoch' | 'txid'>,
  feed: ReplicaFeed,
  host: CapturedHost,
): CaptureRun {
  const { db, clock, identity, log, observer } = options
  const { pageSize, walFd, walPath, shm } = files
  const maxFramesBehind = options.checkpoint.maxWalBytes / frameBytes(pageSize)
  const readAhead = readAheadOf(feed, shm, clock, maxFramesBehind)
  const incarnation = identity.incarnation()
  const capture = new Capture(
    { ...scanned, db, epoch, incarnation, pageSize, walFd, txid },
    {
      clock,
      mayReset: () => guard.mayReset,
      onFrame: (salt1, frame) => guard.captured.set(salt1, frame),
      mayReadAhead: (next) => readAhead.may(next),
      record: (position) => positions.append(position),
      publish: (batch) => {
        feed.publish(batch)
        observer.onBatch(batch)
      },
      onUnverified: host.onUnverified,
    },
  )
  const wake = { walPath, options: options.wake }
  const { onCaptured, onFailed } = host
  const isAlive = () => thread.isAlive
  return new CaptureRun(capture, scanned.reader, wake, {
    clock,
    log,
    isAlive,
    onCaptured,
    onFailed,
  })
}

/** `run` is the run of capture that is under way. */
export function checkpointerOf(
  { checkpoint, clock, observer }: LeaderOptions,
  { thread, guard, files }: OpenDatabase,
  {
    run,
    onFailed,
  }: { readonly run: () => CaptureRun; readonly onFailed: (error: unknown) => void },
): Checkpointer {
  const host = {
    clock,
    walFrames: () => run().capture.walFrames,
    txid: () => run().capture.txid,
    isBetweenTransactions: () => !run().capture.isOpen,
    readToEnd: (force: boolean) => run().readToEnd(force),
    onPass: (pass: CheckpointPass) => observer.onPass(pass),
    onFailure: onFailed,
  }
  return new Checkpointer({ thread, guard, files, host }, checkpoint)
}

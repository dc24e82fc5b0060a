/** What a leader counts: capture and checkpoints. */
import type { LeaderObserver } from '../leader/leaderOptions.ts'
import { systemClock } from '../platform/clock.ts'
import type { CheckpointPauses } from './checkpointPauses.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export type LeaderMetrics = Pick<LeaderObserver, 'onBatch' | 'onPass' | 'onUnverified'>

export function leaderMetrics(metrics: MetricsRegistry, pauses: CheckpointPauses): LeaderMetrics {
  const captured = metrics.counter('capture_transactions_total', 'Transactions captured')
  const frames = metrics.counter('capture_frames_total', 'WAL frames read and verified')
  const unverified = metrics.counter(
    'capture_unverified_frames_total',
    'WAL frames that an old SQLite published without checksums, read as published',
  )
  const pages = metrics.counter(
    'capture_pages_total',
    'Page images sent on: the newest of each page in a batch',
  )
  const batches = metrics.counter('capture_batches_total', 'Messages encoded')
  const batchBytes = metrics.counter('capture_bytes_total', 'Bytes encoded, once for all replicas')
  const capture = metrics.histogram(
    'capture_seconds',
    'From the wake for a commit to its batch being handed to all replicas',
  )
  const passes = metrics.counter('checkpoints_total', 'Checkpoints run')
  const backfilled = metrics.counter('checkpoint_frames_total', 'Frames backfilled')
  const pause = metrics.histogram(
    'checkpoint_pause_seconds',
    'How long writers were stopped for a checkpoint',
  )
  const duration = metrics.histogram('checkpoint_seconds', 'Duration of checkpoints')
  const yields = metrics.counter(
    'checkpoint_yields_total',
    'Times the write lock was let go of at once because another process was reading',
  )
  return {
    onBatch(batch) {
      capture.observe(Math.max(0, systemClock.nowMs() - batch.noticeMs) / 1000)
      captured.inc(batch.transactions)
      frames.inc(batch.frames)
      pages.inc(batch.pageNumbers.length)
      batches.inc()
      batchBytes.inc(batch.message.length)
    },
    onUnverified: (count) => unverified.inc(count),
    onPass(pass) {
      passes.inc()
      backfilled.inc(pass.backfilledFrames)
      duration.observe(pass.durationMs / 1000)
      if (pass.pauseMs > 0) pause.observe(pass.pauseMs / 1000)
      pauses.add(pass.pauseMs)
      if (pass.yielded) yields.inc()
    },
  }
}

/** What a replica counts: what it receives and applies, checkpoints of its copy, and resyncs. */
import type { Counter } from 'prom-client'
import type { ReplicaObserver } from '../replica/replicaOptions.ts'
import type { CheckpointPauses } from './checkpointPauses.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export type ReplicaMetrics = Omit<
  ReplicaObserver,
  'onFatal' | 'onLeaderAt' | 'onLeaderStopping' | 'onMember' | 'onMoved'
>

/** `refused` counts the messages that the replica refuses. */
export function replicaMetrics(
  metrics: MetricsRegistry,
  refused: Counter<'error'>,
  pauses: CheckpointPauses,
): ReplicaMetrics {
  const received = metrics.counter('receive_bytes_total', 'Payload bytes received')
  const batches = metrics.counter('apply_batches_total', 'Batches made visible')
  const pages = metrics.counter('apply_pages_total', 'Pages of batches made visible')
  const apply = metrics.histogram(
    'apply_seconds',
    'From the last byte of a batch to its being visible',
  )
  const visible = metrics.histogram(
    'visible_lag_seconds',
    "From the leader's notice of a commit to its being visible here",
  )
  const passes = metrics.counter('checkpoints_total', 'Checkpoints run')
  const pause = metrics.histogram(
    'checkpoint_pause_seconds',
    'How long applying was paused for a checkpoint',
  )
  const durable = metrics.histogram(
    'durable_sync_seconds',
    'Duration of the syncs of the copy that somebody waited for',
  )
  const connects = metrics.counter('connects_total', 'Connections to the leader that were welcomed')
  const disconnects = metrics.labelled(
    'disconnects_total',
    'Connections to the leader that ended, by error',
    'error',
  )
  const syncs = metrics.counter('syncs_total', 'Copies and comparisons finished')
  const strays = metrics.counter(
    'stray_writes_total',
    'Times something else was found to have written to the copy',
  )
  const dropped = metrics.labelled(
    'diverged_dropped_total',
    'Bundles kept aside that were thrown away because there were too many or they were too large',
    'kind',
  )
  return {
    onConnected: () => connects.inc(),
    onReceived: (bytes) => received.inc(bytes),
    onApplied(batch) {
      batches.inc()
      pages.inc(batch.pages)
      apply.observe(batch.applyMs / 1000)
      visible.observe(batch.lagMs / 1000)
    },
    onCheckpoint(checkpoint) {
      passes.inc()
      pause.observe(checkpoint.pauseMs / 1000)
      pauses.add(checkpoint.pauseMs)
    },
    onDurable: (syncMs) => durable.observe(syncMs / 1000),
    onDisconnected: (error) => disconnects.inc({ error }),
    onRefused: (error) => refused.inc({ error }),
    onSynced: () => syncs.inc(),
    onStray: () => strays.inc(),
    onKeptDropped: (kind) => dropped.inc({ kind }),
  }
}

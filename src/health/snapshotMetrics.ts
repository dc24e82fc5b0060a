/** What a node counts of the dated snapshots that it makes. */
import type { SnapshotReport } from '../api/snapshotStatus.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export interface SnapshotMetrics {
  onTaken(): void
  onFailed(error: string): void
}

export function snapshotMetrics(
  metrics: MetricsRegistry,
  report: () => SnapshotReport,
): SnapshotMetrics {
  const taken = metrics.counter(
    'snapshots_total',
    'Dated snapshots that were made, read back and found sound',
  )
  const failures = metrics.labelled(
    'snapshot_failures_total',
    'Times a dated snapshot could not be made, by error',
    'error',
  )
  const gauge = (name: string, help: string, read: (report: SnapshotReport) => number) =>
    metrics.gauge(name, help, () => read(report()))
  gauge(
    'snapshot_timestamp_seconds',
    'Time of the newest dated snapshot, 0 before the first',
    (r) => (r.last ? Date.parse(r.last.at) / 1000 : 0),
  )
  gauge('snapshot_txid', 'Transaction that the newest dated snapshot ends with', (r) =>
    Number(r.last?.position.split('-')[1] ?? 0),
  )
  gauge('snapshot_bytes', 'Bytes of the newest dated snapshot', (r) => r.last?.bytes ?? 0)
  gauge(
    'snapshot_overdue',
    '1 when for two pauses no dated snapshot was made that was due',
    ({ isOverdue }) => Number(isOverdue),
  )
  return { onTaken: () => taken.inc(), onFailed: (error) => failures.inc({ error }) }
}

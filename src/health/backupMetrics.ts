/** What a node counts of the archive that it writes. */
import type { BackupReport } from '../api/backupStatus.ts'
import type { ArchiverObserver } from '../backup/archiverOptions.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export function backupMetrics(metrics: MetricsRegistry): ArchiverObserver {
  const files = metrics.labelled('backup_files_total', 'Files written to the archive', 'place')
  const failures = metrics.labelled(
    'backup_failures_total',
    'Times the archive could not be written or kept small, by error',
    'place',
    'error',
  )
  const rounds = metrics.labelled(
    'backup_compactions_total',
    'Rounds that merged files of the place and removed what --keep lets go',
    'place',
  )
  const breaks = metrics.counter(
    'backup_breaks_total',
    'Times batches were lost to the archive, which then went on with a snapshot',
  )
  const dropped = metrics.counter(
    'backup_log_dropped_bytes_total',
    'Batches dropped from the log before every place had them, because it was full',
  )
  return {
    onDropped: (bytes) => dropped.inc(bytes),
    onArchived: (place, count) => files.inc({ place }, count),
    onFailed: (place, error) => failures.inc({ place, error }),
    onUpkeep: (place) => rounds.inc({ place }),
    onBroken: () => breaks.inc(),
  }
}

/** Gives who hears of drills that failed. */
export function drillMetrics(metrics: MetricsRegistry): (place: string, error: string) => void {
  const failures = metrics.labelled(
    'backup_drill_failures_total',
    'Drills that failed: the archive could not be proven, by error',
    'place',
    'error',
  )
  return (place, error) => failures.inc({ place, error })
}

/** Gives who hears of requests for the archive of this node that were refused. */
export function archiveBusyMetric(metrics: MetricsRegistry): () => void {
  const refused = metrics.counter(
    'archive_requests_refused_total',
    'Requests for the archive of this node that were refused, because too many waited',
  )
  return () => refused.inc()
}

/** What drills have found out. */
function drillGauges(metrics: MetricsRegistry, report: () => BackupReport): void {
  metrics.gauges(
    'backup_proven_timestamp_seconds',
    'When a drill last restored the newest position of the place and found it sound',
    'place',
    () => of(report(), ({ proven }) => proven && Date.parse(proven.provenAt) / 1000),
  )
  metrics.gauges(
    'backup_proven_until_timestamp_seconds',
    'Time of the newest commit that such a drill restored',
    'place',
    () => of(report(), ({ proven }) => proven && Date.parse(proven.at) / 1000),
  )
  metrics.gauges(
    'backup_checked_timestamp_seconds',
    'When a drill last read all files of an encrypted place and found them sound',
    'place',
    () => of(report(), ({ checked }) => checked && Date.parse(checked.provenAt) / 1000),
  )
  metrics.gauges(
    'backup_proof_overdue',
    '1 when the last proof is older than twice the pause between two drills',
    'place',
    () =>
      of(report(), ({ isProofOverdue: overdue }) =>
        overdue === undefined ? overdue : Number(overdue),
      ),
  )
}

export function backupGauges(metrics: MetricsRegistry, report: () => BackupReport): void {
  metrics.gauges(
    'backup_behind_seconds',
    'For how long the oldest commit that the place lacks has been waiting, 0 when none is',
    'place',
    () => of(report(), ({ behindMs }) => behindMs && behindMs / 1000),
  )
  metrics.gauges(
    'backup_restorable_until_timestamp_seconds',
    'Time of the newest commit that a restore from the place reaches',
    'place',
    () => of(report(), ({ restorableUntil: until }) => until && Date.parse(until.at) / 1000),
  )
  metrics.gauges(
    'backup_stalled',
    '1 when a commit has been waiting for the place for longer than --backup-alert',
    'place',
    () => of(report(), ({ isStalled }) => Number(isStalled)),
  )
  drillGauges(metrics, report)
  metrics.gauges(
    'backup_place_bytes',
    'Bytes of the archive in the place, as of the last round that merged and removed files',
    'place',
    () => of(report(), ({ upkeep }) => upkeep?.bytes),
  )
  metrics.gauges(
    'backup_place_files',
    'Files of the archive in the place, as of the last round that merged and removed files',
    'place',
    () => of(report(), ({ upkeep }) => upkeep?.files),
  )
  metrics.gauges(
    'backup_compacted_timestamp_seconds',
    'When the last round ended that merged and removed files',
    'place',
    () => of(report(), ({ upkeep }) => upkeep && Date.parse(upkeep.at) / 1000),
  )
  metrics.gauge(
    'backup_log_bytes',
    'Batches kept beside the database for places that lack them',
    () => report().logBytes,
  )
  metrics.gauge(
    'backup_queue_bytes',
    'Batches in memory that are not in that log yet',
    () => report().queueBytes,
  )
}

function of(
  { places }: BackupReport,
  read: (report: BackupReport['places'][number]) => number | undefined,
): Map<string, number> {
  return new Map(
    places.flatMap((report) => {
      const value = read(report)
      return value === undefined ? [] : [[report.place, value]]
    }),
  )
}

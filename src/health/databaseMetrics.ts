/**
 * Metrics of a database in either role. They have no label for its name. A label would turn every
 * series that exists into a new one, while a node has one database. A second database can bring a
 * label with its own series.
 */
import { CAUSE_CODES, type Cause } from '../api/cause.ts'
import type { ScrubReport } from '../api/databaseStatus.ts'
import type { ServedDatabase } from '../api/databases.ts'
import { wallMs } from '../platform/time.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export interface ScrubMetrics {
  onPass(): void
  onChecked(pages: number): void
  onRotten(pages: number): void
  onRepaired(pages: number): void
}

/** `causes`: those of the database and of the application before it. */
export function databaseGauges(
  metrics: MetricsRegistry,
  { view, waits }: Pick<ServedDatabase, 'view' | 'waits'>,
  causes: () => readonly Cause[],
): void {
  const gauge = (name: string, help: string, read: () => number) => metrics.gauge(name, help, read)
  gauge('epoch', 'Leadership term', () => view.status().epoch)
  gauge('txid', 'Last transaction captured (leader) or applied (replica)', () => view.status().txid)
  gauge('database_pages', 'Size of the database in pages', () => view.status().pages)
  gauge('wal_bytes', 'Published bytes of the WAL', () => view.status().walBytes)
  gauge('wal_file_bytes', 'Size of the WAL file', () => view.status().walFileBytes)
  gauge('is_leader', '1 on a leader', () => (view.status().role === 'leader' ? 1 : 0))
  gauge('ready', '1 when the node can serve', () => (view.notReady().length === 0 ? 1 : 0))
  gauge(
    'replicas_connected',
    'Replicas connected to this node',
    () => view.status().replicas.filter((replica) => replica.connected).length,
  )
  gauge('waits', 'Requests that wait for a position', () => waits.size)
  gauge('history_bytes', 'Recent batches kept in memory', () => view.queues().historyBytes)
  gauge(
    'send_buffered_bytes',
    'Bytes handed to replicas and not yet taken by the network',
    () => view.queues().bufferedBytes,
  )
  gauge(
    'receive_queued_bytes',
    'Bytes received and not yet applied',
    () => view.queues().queuedBytes,
  )
  gauge(
    'lag_seconds',
    'Time since this replica was level, 0 when it is',
    () => view.status().lag.lagMs / 1000,
  )
  gauge(
    'lag_transactions',
    'Transactions of the leader that are not applied here',
    () => view.status().lag.txidLag,
  )
  gauge(
    'diverged_kept',
    'Bundles of rows kept aside because the leader may lack them',
    () => view.status().diverged?.length ?? 0,
  )
  gauge(
    'sync_pages_remaining',
    'Pages still to come in a copy or comparison',
    () => view.status().sync?.remaining ?? 0,
  )
  const help = '1 while this explains lag or a WAL that grows'
  const read = () => new Set<string>(causes().map(({ code }) => code))
  metrics.flags('cause', help, 'code', CAUSE_CODES, read)
}

export function scrubMetrics(metrics: MetricsRegistry): ScrubMetrics {
  const passes = metrics.counter(
    'scrub_passes_total',
    'Times every page was read from the disk and compared',
  )
  const pages = metrics.counter('scrub_pages_total', 'Pages read from the disk and compared')
  const rotten = metrics.counter(
    'scrub_mismatches_total',
    'Rotten pages found: not what was written',
  )
  const repaired = metrics.counter('scrub_repaired_total', 'Rotten pages that are right again')
  return {
    onPass: () => passes.inc(),
    onChecked: (count) => pages.inc(count),
    onRotten: (count) => rotten.inc(count),
    onRepaired: (count) => repaired.inc(count),
  }
}

export function scrubGauges(metrics: MetricsRegistry, report: () => ScrubReport): void {
  metrics.gauge('scrub_unexplained', 'Pages known to be wrong now', () => report().unexplained)
  metrics.gauge(
    'scrub_age_seconds',
    'Time since every page was compared; since the start before that',
    () => {
      const { lastPassAt } = report()
      return lastPassAt === undefined
        ? process.uptime()
        : (wallMs() - Date.parse(lastPassAt)) / 1000
    },
  )
}

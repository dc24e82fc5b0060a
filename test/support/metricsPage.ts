/** Makes docs/metrics.md from the registry of a node's metrics. */
import { fileURLToPath } from 'node:url'
import { CAUSE_CODES } from '../../src/api/cause.ts'
import type { DatabaseView } from '../../src/api/databaseView.ts'
import { FAILED_READ_OUTCOMES } from '../../src/api/failedReads.ts'
import type { PositionWaits } from '../../src/api/positionWaits.ts'
import { AGREEMENT_EVENTS, RENEWAL_OUTCOMES } from '../../src/health/electionMetrics.ts'
import { Metrics } from '../../src/health/metrics.ts'
import type { TrafficSizes } from '../../src/proxy/trafficMetrics.ts'

export const METRICS_PAGE = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url))

const ALERTS = [
  ['`sum(walcast_is_leader) != 1` for 1 m', 'no leader, or two: see `walcast status` of all nodes'],
  ['`walcast_ready == 0` for 1 m', 'the node cannot serve; `GET /readyz` has the reasons'],
  ['`walcast_lag_seconds > 5` for 1 m', 'the replica lags; `walcast status` has the cause'],
  [
    '`walcast_is_leader == 1 and walcast_replicas_connected == 0`',
    'a loss of the leader now loses its new commits too',
  ],
  [
    '`walcast_application_up == 0`, on a node with `--upstream`',
    'requests wait, or go to another node',
  ],
  [
    '`rate(walcast_proxy_refused_total{error!="NOT_FOUND"}[5m]) > 0`',
    'clients got an error from the node; the label is its code',
  ],
  [
    '`rate(walcast_unknown_outcomes_total[5m]) > 0`',
    'clients got 502: their writes may have been executed',
  ],
  [
    '`rate(walcast_failed_reads_total[5m])` grows',
    "the replica's application fails reads (`--replay-on`)",
  ],
  ['`walcast_backup_stalled == 1` for 2 m', 'commits are not archived: see `walcast status`'],
  [
    '`walcast_backup_proof_overdue == 1` for 1 h',
    'no drill has proven the archive lately: see [drills](backup/drills.md)',
  ],
  [
    '`increase(walcast_backup_drill_failures_total[1h]) > 0`',
    'the archive, or a file in it, does not restore; the label is the code of the error',
  ],
  [
    '`walcast_snapshot_overdue == 1`',
    'no [dated snapshot](backup/snapshots.md) is made: see `walcast status`',
  ],
  [
    '`walcast_election_service_away_seconds > 30`',
    'the lock service does not answer: no node is promoted by itself, and the leader goes on ' +
      'only if every member agrees',
  ],
  [
    '`walcast_election_lease_over == 1` for 10 s',
    'the leader refuses writes: `walcast status` has the reason',
  ],
  [
    '`walcast_election_not_promoted == 1` for 30 s',
    'no node leads, and this one declines: `walcast status` has the reason',
  ],
  ['`walcast_scrub_unexplained > 0`', 'pages on the disk are not what was written'],
  [
    '`increase(walcast_diverged_dropped_total{kind="diverged"}[1d]) > 0`',
    'rows kept aside were thrown away',
  ],
]

const HEAD = `# Metrics

\`GET /metrics\` on \`--listen\` answers in Prometheus' text format and needs no secret. The public
side (\`--proxy\`) has no metrics.

    scrape_configs:
      - job_name: walcast
        static_configs:
          - targets: ['10.0.0.1:8470', '10.0.0.2:8470']

## What to alert on

| when | it means |
|---|---|
${ALERTS.map(([when, meaning]) => `| ${when} | ${meaning} |`).join('\n')}

While requests wait, one of these is above 0: \`walcast_requests_held\` (for the leader),
\`walcast_writes_held\` (for a switchover) or \`walcast_application_held\` (for the application).

The command line adds metrics of the Node process (\`walcast_process_...\`, \`walcast_nodejs_...\`).
A metric of one role appears once the node has had that role, and stays when the role changes. An
error in a label is its code without \`WALCAST_\`. No series has a label for its database: a
node has one, \`main\`.

\`scripts/reference\` writes this page from the metrics in \`src/health\`;
\`npm test\` compares them.
`

const PARTS: readonly (readonly [string, (metrics: Metrics) => void])[] = [
  [
    'Every node',
    (metrics) => {
      // Gauges read these only when they are collected, which does not happen here.
      metrics.observe({ view: {} as DatabaseView, waits: {} as PositionWaits }, () => [])
      metrics.scrub()
      metrics.observeScrub(() => ({
        background: false,
        passes: 0,
        rotten: [],
        rottenPages: 0,
        unexplained: 0,
      }))
      metrics.feed()
      metrics.onRole('leader')
      metrics.notices()
      metrics.claims()
      metrics.onHandshakeFailed()
      metrics.onPeerUnproven()
      metrics.tokens()
      metrics.pairing()
      metrics.membership()
    },
  ],
  [
    'Requests of the application',
    (metrics) => {
      metrics.observeTraffic({} as TrafficSizes, { size: 0 })
      metrics.traffic()
      metrics.onCut('proxy')
    },
  ],
  ['Leader', (metrics) => void metrics.leader()],
  ['Replica', (metrics) => void metrics.replica()],
  [
    'Automatic failover, on a node with `--election`',
    (metrics) => {
      metrics.election()
      metrics.observeElection(() => {
        throw new Error('nothing is collected here')
      })
    },
  ],
  [
    'The archive, on a node with `--backup`',
    (metrics) => {
      metrics.backup()
      metrics.drills()
      metrics.archiveBusy()
      metrics.observeBackup(() => ({ places: [], logBytes: 0, queueBytes: 0 }))
    },
  ],
  [
    'Dated snapshots, on a node with `--snapshot-every`',
    (metrics) => {
      metrics.snapshots(() => ({ place: '', everyMs: 0, isOverdue: false, sinceMs: 0 }))
    },
  ],
]

/** The values of labels that have few, each with a meaning. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  walcast_cause: CAUSE_CODES,
  walcast_election_renewals_total: RENEWAL_OUTCOMES,
  walcast_election_agreements_total: AGREEMENT_EVENTS,
  walcast_proxy_requests_total: ['local', 'forward', 'own'],
  walcast_stale_reads_total: ['forward', 'serve', 'refuse', 'bounded'],
  walcast_failed_reads_total: FAILED_READ_OUTCOMES,
  walcast_ack_total: ['reached', 'timeout', 'alone', 'full', 'ended', 'unknown'],
  walcast_answers_pushed_out_total: ['number', 'size'],
  walcast_diverged_dropped_total: ['routine', 'diverged'],
  walcast_hook_notices_dropped_total: ['command', 'webhook'],
  walcast_token_changes_total: ['create', 'revoke'],
  walcast_token_refusals_total: ['foreign', 'wrong', 'expired', 'too-many', 'too-weak'],
}

interface Known {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly labelNames?: readonly string[]
}

export function metricsPage(): string {
  return [HEAD, ...PARTS.flatMap(part), ''].join('\n')
}

function part([heading, make]: (typeof PARTS)[number]): string[] {
  const metrics = new Metrics(false)
  make(metrics)
  const known = metrics.registry.getMetricsAsArray() as unknown as readonly Known[]
  const rows = known.map(({ name, help, type, labelNames = [] }) => {
    const labels = labelNames.length > 0 ? `{${labelNames.join(',')}}` : ''
    const values = name in VALUES ? `: ${VALUES[name].join(', ')}` : ''
    return `| \`${name}${labels}\` | ${type} | ${help.replaceAll('|', '\\|')}${values} |`
  })
  return [`## ${heading}`, '', '| metric | type | what it counts |', '|---|---|---|', ...rows, '']
}

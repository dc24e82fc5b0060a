/** Prometheus metrics of a node, by the part of the node that they are about. */
import type { BackupReport } from '../api/backupStatus.ts'
import type { Cause } from '../api/cause.ts'
import type { DatabaseStatus } from '../api/databaseStatus.ts'
import type { ServedDatabase } from '../api/databases.ts'
import type { ElectionReport } from '../api/electionReport.ts'
import type { SnapshotReport } from '../api/snapshotStatus.ts'
import type { ArchiverObserver } from '../backup/archiverOptions.ts'
import type { LeaderObserver } from '../leader/leaderOptions.ts'
import type { Cut } from '../proxy/connectionBudget.ts'
import type { TrafficMetrics, TrafficSizes } from '../proxy/trafficMetrics.ts'
import type { ClaimKind } from '../security/claims.ts'
import { applicationGauges, applicationMetrics } from './applicationMetrics.ts'
import { archiveBusyMetric, backupGauges, backupMetrics, drillMetrics } from './backupMetrics.ts'
import { CheckpointPauses } from './checkpointPauses.ts'
import { databaseGauges, scrubGauges, scrubMetrics } from './databaseMetrics.ts'
import { type ElectionMetrics, electionGauges, electionMetrics } from './electionMetrics.ts'
import { leaderMetrics } from './leaderMetrics.ts'
import { MetricsRegistry } from './metricsRegistry.ts'
import { replicaMetrics } from './replicaMetrics.ts'
import { type SnapshotMetrics, snapshotMetrics } from './snapshotMetrics.ts'

/** A listener of the node. */
export type Listener = 'proxy' | 'listen' | 'control' | 'health'
export type FeedMetrics = Pick<LeaderObserver, 'onSent' | 'onBadMessage'>

/** Hears of notices that an operator was to get and did not get. */
export interface NoticeMetrics {
  /** A hook was not told of a change of role. */
  onHookDropped(hook: 'command' | 'webhook'): void
  /** An entry did not get into the audit log. */
  onAuditDropped(): void
  /** A slot did not get into the history of lag. */
  onLagSlotDropped(): void
}

/** Hears of changes of keys and members. */
export interface MembershipMetrics {
  onChanged(change: 'rotate-secret' | 'rotate-key' | 'remove' | 'leave'): void
  onNotTold(): void
  /** A node asked with a secret that has ended. */
  onEndedSecret(): void
}

/** Hears of tokens that were refused, and of changes. */
export interface TokenMetrics {
  onRefused(why: string): void
  onChanged(change: 'create' | 'revoke'): void
}

export class Metrics {
  readonly #metrics: MetricsRegistry
  /** Of checkpoints in either role. */
  readonly pauses = new CheckpointPauses()

  /** `withDefaults` adds those of the process; for a daemon, not for a library. */
  constructor(withDefaults: boolean) {
    this.#metrics = new MetricsRegistry(withDefaults)
  }

  get registry(): MetricsRegistry['registry'] {
    return this.#metrics.registry
  }

  /**
   * Gauges of a database, read when they are collected. `causes`: those of the database and of the
   * application before it.
   */
  observe(database: Pick<ServedDatabase, 'view' | 'waits'>, causes: () => readonly Cause[]): void {
    databaseGauges(this.#metrics, database, causes)
  }

  backup(): ArchiverObserver {
    return backupMetrics(this.#metrics)
  }

  snapshots(report: () => SnapshotReport): SnapshotMetrics {
    return snapshotMetrics(this.#metrics, report)
  }

  drills(): (place: string, error: string) => void {
    return drillMetrics(this.#metrics)
  }

  archiveBusy(): () => void {
    return archiveBusyMetric(this.#metrics)
  }

  observeBackup(report: () => BackupReport): void {
    backupGauges(this.#metrics, report)
  }

  observeScrub(report: () => NonNullable<DatabaseStatus['scrub']>): void {
    scrubGauges(this.#metrics, report)
  }

  /** Gauges of the application's requests. */
  observeTraffic(traffic: TrafficSizes, events: { readonly size: number }): void {
    applicationGauges(this.#metrics, traffic, events)
  }

  traffic(): TrafficMetrics {
    return applicationMetrics(this.#metrics)
  }

  leader(): ReturnType<typeof leaderMetrics> {
    return leaderMetrics(this.#metrics, this.pauses)
  }

  replica(): ReturnType<typeof replicaMetrics> {
    return replicaMetrics(this.#metrics, this.#refusedMessages(), this.pauses)
  }

  scrub(): ReturnType<typeof scrubMetrics> {
    return scrubMetrics(this.#metrics)
  }

  /** What counters have counted: bytes of batches in either role, and requests that were held. */
  async totals(): Promise<{ readonly bytes: number; readonly held: number }> {
    const total = (name: string) => this.#metrics.total(name)
    const [captured, received, held] = await Promise.all([
      total('capture_bytes_total'),
      total('receive_bytes_total'),
      total('held_requests_total'),
    ])
    return { bytes: captured + received, held }
  }

  /** Of automatic failover. */
  election(): ElectionMetrics {
    return electionMetrics(this.#metrics)
  }

  observeElection(report: () => ElectionReport): void {
    electionGauges(this.#metrics, report)
  }

  /** What feeds replicas, in either role. */
  feed(): FeedMetrics {
    const sent = this.#metrics.counter('send_bytes_total', 'Bytes handed to all replicas')
    const refused = this.#refusedMessages()
    return { onSent: (bytes) => sent.inc(bytes), onBadMessage: (error) => refused.inc({ error }) }
  }

  /** Hears of connections that ended before their clients wanted it. */
  onCut(side: Listener): (why: Cut) => void {
    const cut = this.#metrics.labelled(
      'connections_cut_total',
      'Connections ended because their client kept the node waiting, or because there was no room',
      'side',
      'why',
    )
    return (why) => cut.inc({ side, why })
  }

  /** Hears of connections whose TLS handshake failed. `why`: one of a few words. */
  onHandshakeFailed(): (why: string) => void {
    const failed = this.#metrics.labelled(
      'tls_handshakes_failed_total',
      'Connections to --listen that got no TLS: by why',
      'why',
    )
    return (why) => failed.inc({ why })
  }

  /** Hears of addresses of members at which nobody proves to be a node of this cluster. */
  onPeerUnproven(): () => void {
    const unproven = this.#metrics.counter(
      'peers_unproven_total',
      'Connections to other nodes that ended before anything was sent: no proof came',
    )
    return () => unproven.inc()
  }

  /** To be called with each new role of the node. */
  onRole(role: string): void {
    const name = 'role_changes_total'
    this.#metrics.labelled(name, 'Changes of role, by the new one', 'role').inc({ role })
  }

  notices(): NoticeMetrics {
    const hooks = this.#metrics.labelled(
      'hook_notices_dropped_total',
      'Changes of role that a hook was not told of: too many waited, or the node stopped',
      'hook',
    )
    const audit = this.#metrics.counter(
      'audit_entries_dropped_total',
      'Entries that the audit log lacks: the disk did not take them',
    )
    const slots = this.#metrics.counter(
      'lag_slots_dropped_total',
      'Slots that the history of lag lacks: the disk did not take them',
    )
    return {
      onHookDropped: (hook) => hooks.inc({ hook }),
      onAuditDropped: () => audit.inc(),
      onLagSlotDropped: () => slots.inc(),
    }
  }

  /** Hears of what other nodes said that this one does not believe. */
  claims(): (kind: ClaimKind) => void {
    const refused = this.#metrics.labelled(
      'refused_claims_total',
      'Epochs, txids, node ids, addresses and members that other nodes told and this one refused',
      'kind',
    )
    return (kind) => refused.inc({ kind })
  }

  tokens(): TokenMetrics {
    const refused = this.#metrics.labelled(
      'token_refusals_total',
      'Requests refused for their token: wrong, expired, too weak, or not a token at all',
      'why',
    )
    const changes = this.#metrics.labelled(
      'token_changes_total',
      'Tokens created and revoked at this node',
      'change',
    )
    return {
      onRefused: (why) => refused.inc({ why }),
      onChanged: (change) => changes.inc({ change }),
    }
  }

  /** Hears of pairing codes made here, nodes that joined with one, and refused attempts. */
  pairing(): (event: string) => void {
    const pairings = this.#metrics.labelled(
      'pairings_total',
      'Pairing codes made at this node (made), nodes that joined (joined), and refusals by why',
      'event',
    )
    return (event) => pairings.inc({ event })
  }

  membership(): MembershipMetrics {
    const changes = this.#metrics.labelled(
      'membership_changes_total',
      'Secrets and keys replaced, members removed and gone, as asked at this node',
      'change',
    )
    const unreached = this.#metrics.counter(
      'membership_not_told_total',
      'Members that such a change did not reach at once; they are told when they are back',
    )
    const ended = this.#metrics.counter(
      'ended_secret_refusals_total',
      'Questions of nodes whose secret was replaced while they were away: they have to join again',
    )
    return {
      onChanged: (change) => changes.inc({ change }),
      onNotTold: () => unreached.inc(),
      onEndedSecret: () => ended.inc(),
    }
  }

  /** Messages of replicas, and of the node that this one follows. */
  #refusedMessages() {
    return this.#metrics.labelled(
      'refused_messages_total',
      'Messages and batches refused, by error',
      'error',
    )
  }
}

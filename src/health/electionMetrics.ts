/** The lease of automatic failover, and what came of renewals, agreements and elections. */
import type { ElectionReport } from '../api/electionReport.ts'
import type { MetricsRegistry } from './metricsRegistry.ts'

export const RENEWAL_OUTCOMES = ['renewed', 'ended', 'failed'] as const
export const AGREEMENT_EVENTS = ['agreed', 'disagreed', 'given', 'refused'] as const

/** Hears of what becomes of the lease. */
export interface ElectionMetrics {
  /** `ended`: the service says that it is over; `failed`: the service did not answer. */
  onRenewal(outcome: (typeof RENEWAL_OUTCOMES)[number]): void
  /**
   * `agreed`, `disagreed`: this leader asked all members whether it goes on. `given`, `refused`:
   * this node was asked.
   */
  onAgreement(event: (typeof AGREEMENT_EVENTS)[number]): void
  /** This node took the lease as a candidate. */
  onElected(): void
}

export function electionMetrics(metrics: MetricsRegistry): ElectionMetrics {
  const renewals = metrics.labelled(
    'election_renewals_total',
    'Renewals of the lease of this leader, by what the lock service said',
    'outcome',
  )
  const agreements = metrics.labelled(
    'election_agreements_total',
    'While the lock service was away: rounds in which this leader asked all members whether it ' +
      'goes on, and what this node answered to others',
    'event',
  )
  const elected = metrics.counter(
    'election_won_total',
    'Times that this node took the lease by itself, to be promoted',
  )
  return {
    onRenewal: (outcome) => renewals.inc({ outcome }),
    onAgreement: (event) => agreements.inc({ event }),
    onElected: () => elected.inc(),
  }
}

export function electionGauges(metrics: MetricsRegistry, report: () => ElectionReport): void {
  metrics.gauge(
    'election_lease_valid_seconds',
    'How long this leader lets writes in unless its lease is renewed; 0 on other nodes',
    () => (report().validForMs ?? 0) / 1000,
  )
  metrics.gauge(
    'election_lease_over',
    '1 on a leader that may not write, since its lease is over',
    () => (report().validForMs === 0 ? 1 : 0),
  )
  metrics.gauge(
    'election_by_agreement',
    '1 on a leader that goes on by agreement of all members while the lock service is away',
    () => (report().isByAgreement ? 1 : 0),
  )
  metrics.gauge(
    'election_service_away_seconds',
    'How long the lock service has not answered this node; 0 while it does',
    () => (report().awayForMs ?? 0) / 1000,
  )
  metrics.gauge(
    'election_not_promoted',
    '1 while no node holds the lease and this one was not promoted; status has the reason',
    () => (report().notPromoted === null ? 0 : 1),
  )
  metrics.gauge(
    'election_counted_nodes',
    'Nodes whose confirmations of writes count (--ack)',
    () => report().counted.length,
  )
}

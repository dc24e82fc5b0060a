/** Who holds the lease of automatic failover, in one line. */
import type { ClusterAnswer } from '../../api/clusterOverview.ts'
import { el } from './dom.ts'

/** '' without automatic failover. */
export function leaseText(cluster: ClusterAnswer | undefined): string {
  return cluster?.election ? `Lease: ${cluster.election.text}.` : ''
}

export function leaseNote(cluster: ClusterAnswer | undefined): HTMLElement {
  return el('p', { class: 'note' }, leaseText(cluster))
}

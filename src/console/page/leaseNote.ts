/** Who holds the lease of automatic failover, in one line. */
import type { ClusterAnswer } from '../../api/clusterOverview.ts'
import { note } from './pieces.ts'

/** '' without automatic failover. */
export function leaseText({ election }: Partial<Pick<ClusterAnswer, 'election'>> = {}): string {
  if (!election) return ''
  const { service, isHeld, node, epoch, validForMs, isByAgreement } = election
  const who = `${node ?? 'a node that is not known'}, epoch ${epoch ?? '?'}`
  const by = isByAgreement ? ', by agreement of all members' : ''
  const now = isHeld
    ? `${who}${by}${validForMs === 0 ? ', and may not write: its lease is over' : ''}`
    : `${isHeld === null ? 'not known' : 'no node'}; the last was ${who}`
  return `Lease in ${service}: ${now}.`
}

export function leaseNote(cluster: ClusterAnswer | undefined): HTMLElement[] {
  const text = leaseText(cluster)
  return text === '' ? [] : [note(text)]
}

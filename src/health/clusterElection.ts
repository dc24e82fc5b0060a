/** Automatic failover of the whole cluster, from what each node tells of it. Pure. */
import type { ClusterElection } from '../api/clusterOverview.ts'
import type { ToldStatus } from './toldStatus.ts'

/**
 * `now`: the nodes that answer; `leader`: id of the one that leads. Undefined when none of them has
 * elections. The leader's word counts first, then that of a node whom the service answers.
 */
export function clusterElection(
  now: readonly ToldStatus[],
  leader: string | null,
): ClusterElection | undefined {
  const telling = now.flatMap(({ node, election }) =>
    election ? [{ teller: node, election }] : [],
  )
  const best =
    telling.find(({ teller, election }) => teller === leader && election.validForMs !== null) ??
    telling.find(({ election }) => election.awayForMs === null) ??
    telling[0]
  if (!best) return undefined
  const { service, ttlMs, node, epoch, validForMs, isByAgreement, awayForMs } = best.election
  const isKnown = validForMs !== null || awayForMs === null
  const isHeld = isKnown ? best.election.isHeld : null
  return { service, ttlMs, isHeld, node, epoch, validForMs, isByAgreement }
}

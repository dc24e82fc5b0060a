/** Automatic failover of the whole cluster, from what each node tells of it. Pure. */
import type { ClusterElection } from '../api/clusterOverview.ts'
import { secondsText } from '../api/electionLine.ts'
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
  const election = { service, ttlMs, isHeld, node, epoch, validForMs, isByAgreement }
  return { ...election, text: leaseText(election) }
}

function leaseText({
  isHeld,
  node,
  epoch,
  validForMs,
  isByAgreement,
}: Omit<ClusterElection, 'text'>): string {
  const who = `${node ?? 'a node that is not known'}${epoch === null ? '' : `, in epoch ${epoch}`}`
  if (validForMs === 0) return `OVER: ${who}, and nobody may write there`
  const forText = validForMs === null ? '' : `, for ${secondsText(validForMs)} unless renewed`
  if (isByAgreement) return `${who}, by agreement of all members${forText}`
  if (isHeld) return `${who}${forText}`
  if (isHeld === null) return node === null ? 'not known' : `not known: ${who}, had it last`
  return node === null ? 'NONE' : `NONE: ${who}, had it last`
}

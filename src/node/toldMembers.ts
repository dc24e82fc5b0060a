/** Which members have a change of the trust record, for answers. */
import type { ToldInfo } from '../api/membership.ts'
import type { ToldMember } from '../cluster/trustExchange.ts'
import type { Metrics } from '../health/metrics.ts'

export interface TellingParts {
  readonly trust: { tellAllNow(): Promise<readonly ToldMember[]> }
  readonly metrics: Pick<Metrics, 'membership'>
}

/** Tells all members what this node knows. By id. */
export async function tellMembers({ trust, metrics }: TellingParts): Promise<ToldInfo[]> {
  const told = await trust.tellAllNow()
  for (const { error } of told) if (error !== undefined) metrics.membership().onNotTold()
  return told
    .map(({ node, address, error }) => {
      return { node, address, knows: error === undefined, detail: error ?? null }
    })
    .sort((a, b) => Number(a.node > b.node) - Number(a.node < b.node))
}

/** What an operator does without a leader: finds the node furthest ahead and promotes it. */
import type { BankSite } from './bankSite.ts'
import type { PromoteOptions } from './leadership.ts'
import { until } from './until.ts'

/** Time for a node to take over that was told to do so before a failure. */
const PATIENCE_MS = 3000

/**
 * Asks until it leads: a try may come too early, and data on its way to another node may still
 * arrive.
 */
export function promoteFurthest(
  sites: readonly BankSite[],
  options: PromoteOptions = {},
): Promise<BankSite> {
  return until('the furthest is promoted', async () => {
    const all = await Promise.all(
      sites.map(async (site) => ({ site, at: await site.node.status() })),
    )
    all.sort((a, b) => b.at.epoch - a.at.epoch || b.at.txid - a.at.txid)
    const [{ site }] = all
    if ((await site.role()) !== 'leader') await site.promote(options)
    return site
  })
}

/** The node that leads a moment from now, or else the one furthest ahead, promoted. */
export async function leaderOrPromoted(sites: readonly BankSite[]): Promise<BankSite> {
  try {
    return await until('one leads', () => onlyLeader(sites), PATIENCE_MS)
  } catch {
    // Two leaders are left to find each other.
    const leads = await Promise.all(sites.map(async (site) => (await site.role()) === 'leader'))
    return leads.includes(true)
      ? until('only one leads', () => onlyLeader(sites))
      : promoteFurthest(sites)
  }
}

async function onlyLeader(sites: readonly BankSite[]): Promise<BankSite | undefined> {
  const roles = await Promise.all(sites.map((site) => site.role()))
  const leaders = sites.filter((_site, i) => roles[i] === 'leader')
  return leaders.length === 1 ? leaders[0] : undefined
}

/** What an operator does when nobody leads: looks who is furthest and promotes that one. */
import type { BankSite } from './bankSite.ts'
import type { PromoteOptions } from './leadership.ts'
import { until } from './until.ts'

/** In which a node takes over that was told to before something broke. */
const PATIENCE_MS = 3000

/**
 * Asks until it leads: one try may come too early, and what was on its way to another node may
 * still come there.
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

/** The one that leads a moment from now, or else the furthest, promoted. */
export async function leaderOrPromoted(sites: readonly BankSite[]): Promise<BankSite> {
  try {
    return await until('one leads', () => onlyLeader(sites), PATIENCE_MS)
  } catch {
    // Two that lead are left to find out themselves.
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

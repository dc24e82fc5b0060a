/** How the entries of a trust record are told apart and ordered, each kind by its rule. */
import { compareTexts, type EntryKind, type Mark, type RemovalSet } from './removalSet.ts'
import {
  MAX_KEKS,
  MAX_REMOVED,
  MAX_REVOKED,
  MAX_SECRETS,
  MAX_TOKENS,
  MAX_TRUSTED,
  type RemovedMember,
  type RevokedToken,
  type TrustKek,
  type TrustMember,
  type TrustRecord,
  type TrustSecret,
  type TrustSetting,
  type TrustToken,
} from './trustRecord.ts'

export const MEMBERS: EntryKind<TrustMember, RemovedMember> = {
  maxLiving: MAX_TRUSTED,
  maxEnded: MAX_REMOVED,
  markOf: ({ fingerprint, changedAt }) => ({ at: changedAt, key: fingerprint }),
  markOfEnded: ({ fingerprint, removedAt }) => ({ at: removedAt, key: fingerprint }),
  end: ({ fingerprint, node, changedAt }) => ({ fingerprint, node, removedAt: changedAt }),
}

export const TOKENS: EntryKind<TrustToken, RevokedToken> = {
  maxLiving: MAX_TOKENS,
  maxEnded: MAX_REVOKED,
  markOf: ({ id, createdAt }) => ({ at: createdAt, key: id }),
  markOfEnded: ({ id, revokedAt }) => ({ at: revokedAt, key: id }),
  end: ({ id, createdAt }) => ({ id, revokedAt: createdAt }),
}

export function memberSet({
  members,
  removedMembers,
  membersHorizon,
}: TrustRecord): RemovalSet<TrustMember, RemovedMember> {
  return { living: members, ended: removedMembers, horizon: membersHorizon }
}

export function tokenSet({
  tokens,
  revokedTokens,
  tokensHorizon,
}: TrustRecord): RemovalSet<TrustToken, RevokedToken> {
  return { living: tokens, ended: revokedTokens, horizon: tokensHorizon }
}

export function markOfSetting({ name, changedAt }: TrustSetting): Mark {
  return { at: changedAt, key: name }
}

/** The newest, the oldest of them first. Of two ends of one secret the earlier counts. */
export function newestSecrets(secrets: readonly TrustSecret[]): TrustSecret[] {
  return newest(secrets, MAX_SECRETS, (a, b) => endOf(b) - endOf(a))
}

/**
 * The newest, the oldest of them first. A key that is still needed is never that old: rotation
 * wraps what the old key wrapped with the new one.
 */
export function newestKeks(keks: readonly TrustKek[]): TrustKek[] {
  return newest(keks, MAX_KEKS, () => 0)
}

function newest<Entry extends { readonly id: string; readonly createdAt: number }>(
  entries: readonly Entry[],
  most: number,
  compareEnds: (a: Entry, b: Entry) => number,
): Entry[] {
  const byPreference = entries.toSorted(
    (a, b) =>
      a.createdAt - b.createdAt ||
      compareEnds(a, b) ||
      compareTexts(JSON.stringify(a), JSON.stringify(b)),
  )
  const byId = new Map<string, Entry>()
  for (const entry of byPreference) byId.set(entry.id, entry)
  return [...byId.values()]
    .sort((a, b) => a.createdAt - b.createdAt || compareTexts(a.id, b.id))
    .slice(-most)
}

function endOf({ endsAt }: TrustSecret): number {
  return endsAt ?? Number.MAX_SAFE_INTEGER
}

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

/**
 * One entry for each secret, the oldest first. Of two ends the earlier counts, and an end counts
 * more than none, whichever entry is newer: another node may write down a secret that has ended.
 */
export function joinedSecrets(secrets: readonly TrustSecret[]): TrustSecret[] {
  const byId = new Map<string, TrustSecret>()
  for (const each of secrets) {
    const known = byId.get(each.id)
    byId.set(each.id, known ? joinedSecret(known, each) : each)
  }
  return [...byId.values()].sort(compareAges)
}

/** The newest, the oldest of them first. */
export function newestSecrets(secrets: readonly TrustSecret[]): TrustSecret[] {
  return joinedSecrets(secrets).slice(-MAX_SECRETS)
}

/**
 * The newest, the oldest of them first. A key that is still needed is never that old: rotation
 * wraps what the old key wrapped with the new one.
 */
export function newestKeks(keks: readonly TrustKek[]): TrustKek[] {
  const byPreference = keks.toSorted(
    (a, b) => a.createdAt - b.createdAt || compareTexts(JSON.stringify(a), JSON.stringify(b)),
  )
  const byId = new Map<string, TrustKek>()
  for (const kek of byPreference) byId.set(kek.id, kek)
  return [...byId.values()].sort(compareAges).slice(-MAX_KEKS)
}

/** Each field by a rule of its own, so that the order of joins does not matter. */
function joinedSecret(a: TrustSecret, b: TrustSecret): TrustSecret {
  const endsAt = Math.min(a.endsAt ?? Infinity, b.endsAt ?? Infinity)
  const entry = {
    id: a.id,
    secret: a.secret > b.secret ? a.secret : b.secret,
    createdAt: Math.max(a.createdAt, b.createdAt),
  }
  return endsAt === Infinity ? entry : { ...entry, endsAt }
}

type Aged = Pick<TrustSecret, 'id' | 'createdAt'>

function compareAges(a: Aged, b: Aged): number {
  return a.createdAt - b.createdAt || compareTexts(a.id, b.id)
}

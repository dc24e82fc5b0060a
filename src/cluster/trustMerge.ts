/**
 * The join of two trust records. It is commutative, associative and idempotent, and loses nothing:
 * whatever the order in which members exchange their records, all end with the same one. A removed
 * key and a revoked token win over everything that is said of them elsewhere.
 *
 * A join may exceed the bounds of a record. `compactTrust` brings it back by a rule of its own that
 * only ever adds removals, so nodes that compact at different moments agree in the end.
 */
import { createHash } from 'node:crypto'
import { WalcastError } from '../errors.ts'
import { compactSet, compareMarks, joinSets, latest, type RemovalSet } from './removalSet.ts'
import {
  joinedSecrets,
  MEMBERS,
  markOfSetting,
  memberSet,
  newestKeks,
  newestSecrets,
  TOKENS,
  tokenSet,
} from './trustEntries.ts'
import {
  MAX_SETTINGS,
  type RemovedMember,
  type RevokedToken,
  type TrustMember,
  type TrustRecord,
  type TrustToken,
} from './trustRecord.ts'

/**
 * What a node knows after it has met another record of its cluster, within the bounds. Gives `own`
 * itself when there is nothing new. Throws TRUST_REFUSED for a record of another cluster, and
 * while this node knows none: only pairing and a first copy tell a node its cluster.
 */
export function mergeTrust(own: TrustRecord, theirs: TrustRecord): TrustRecord {
  if (own.cluster === '')
    throw new WalcastError('TRUST_REFUSED', { detail: 'this node knows no cluster yet' })
  if (theirs.cluster !== own.cluster)
    throw new WalcastError('TRUST_REFUSED', {
      detail: `it is of cluster ${theirs.cluster || 'nobody'}, and this node of ${own.cluster}`,
    })
  const merged = compactTrust(joinTrust(own, theirs))
  return isSameTrust(own, merged) ? own : merged
}

/** The join of two records of one cluster, up to twice as large as a record may be. */
export function joinTrust(a: TrustRecord, b: TrustRecord): TrustRecord {
  return recordOf(a.cluster, {
    secrets: joinedSecrets([...a.secrets, ...b.secrets]),
    keks: newestKeks([...a.keks, ...b.keks]),
    members: joinSets(MEMBERS, memberSet(a), memberSet(b)),
    tokens: joinSets(TOKENS, tokenSet(a), tokenSet(b)),
    settings: latestSettings([...a.settings, ...b.settings]),
  })
}

/** Within the bounds, by the same rule on every node. */
export function compactTrust(record: TrustRecord): TrustRecord {
  return recordOf(record.cluster, {
    ...record,
    secrets: newestSecrets(record.secrets),
    members: compactSet(MEMBERS, memberSet(record)),
    tokens: compactSet(TOKENS, tokenSet(record)),
  })
}

export function isSameTrust(a: TrustRecord, b: TrustRecord): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/**
 * 32 hex digits that are equal for equal records. Tells nothing about secrets and keys: only their
 * ids are in it.
 */
export function trustDigest(record: TrustRecord): string {
  const told = {
    ...record,
    secrets: record.secrets.map(({ id, createdAt, endsAt }) => [id, createdAt, endsAt ?? null]),
    keks: record.keks.map(({ id, createdAt }) => [id, createdAt]),
  }
  return createHash('sha256').update(JSON.stringify(told)).digest('hex').slice(0, 32)
}

/** The fields in the order that all records have, so that equal records have equal texts. */
function recordOf(
  cluster: string,
  {
    secrets,
    keks,
    members,
    tokens,
    settings,
  }: Pick<TrustRecord, 'secrets' | 'keks' | 'settings'> & {
    readonly members: RemovalSet<TrustMember, RemovedMember>
    readonly tokens: RemovalSet<TrustToken, RevokedToken>
  },
): TrustRecord {
  return {
    cluster,
    secrets,
    keks,
    members: members.living,
    removedMembers: members.ended,
    membersHorizon: members.horizon,
    tokens: tokens.living,
    revokedTokens: tokens.ended,
    tokensHorizon: tokens.horizon,
    settings,
  }
}

/** Of too many settings those that were changed last. */
function latestSettings(settings: TrustRecord['settings']): TrustRecord['settings'] {
  const known = latest(settings, markOfSetting)
  if (known.length <= MAX_SETTINGS) return known
  const byAge = known.toSorted((a, b) => compareMarks(markOfSetting(b), markOfSetting(a)))
  return latest(byAge.slice(0, MAX_SETTINGS), markOfSetting)
}

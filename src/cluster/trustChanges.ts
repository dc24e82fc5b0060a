/**
 * What a node itself changes in its trust record. Each function gives a new record, or the same one
 * when there is nothing to do, and moves up in the order of joins: no member that hears of it later
 * can undo it by what it knew before.
 */
import { WalcastError } from '../errors.ts'
import type { Mark } from './removalSet.ts'
import { newestKeks, newestSecrets } from './trustEntries.ts'
import { compactTrust, joinTrust } from './trustMerge.ts'
import {
  emptyTrust,
  isRemovedKey,
  MAX_SETTINGS,
  MAX_TOKENS,
  MAX_TRUST_TIME_MS,
  MAX_TRUSTED,
  memberByKey,
  type TrustKek,
  type TrustMember,
  type TrustRecord,
  type TrustSecret,
  type TrustToken,
} from './trustRecord.ts'

/**
 * When the secret from the environment was made, as far as a record tells: before all others, and
 * the same on each node. So of two nodes that write it down, the one that knows its end counts.
 */
export const GIVEN_AT_MS = 0
/** How long an expired token is listed, ms. */
const LISTED_MS = 30 * 86_400_000

/**
 * Adds a member, or writes its entry anew: another address, or the end of its key. Throws
 * KEY_REMOVED or TRUST_FULL.
 */
export function withMember(
  record: TrustRecord,
  given: Pick<TrustMember, 'fingerprint' | 'node' | 'address' | 'endsAt'>,
  nowMs: number,
): TrustRecord {
  const { fingerprint, node, address, endsAt } = given
  const known = memberByKey(record, fingerprint)
  if (isRemovedKey(record, fingerprint)) throw new WalcastError('KEY_REMOVED', { node })
  if (known === undefined && record.members.length >= MAX_TRUSTED)
    throw new WalcastError('TRUST_FULL', { what: 'members', limit: MAX_TRUSTED })
  const isSame = known?.node === node && known.address === address && known.endsAt === endsAt
  if (isSame) return record
  const changedAt = after(record.membersHorizon, known?.changedAt, nowMs)
  const addedAt = known?.addedAt ?? changedAt
  const entry = { fingerprint, node, address, addedAt, changedAt }
  const member: TrustMember = endsAt === undefined ? entry : { ...entry, endsAt }
  return joined(record, { members: [member] })
}

/**
 * Refuses the key for ever. Also one that this node has not heard of: its entry may be under way
 * from another node. `node` names the node that has the key then.
 */
export function withoutMember(
  record: TrustRecord,
  fingerprint: string,
  node: string,
  nowMs: number,
): TrustRecord {
  if (isRemovedKey(record, fingerprint)) return record
  const known = memberByKey(record, fingerprint)
  const removedAt = after(record.membersHorizon, known?.changedAt, nowMs)
  const removed = { fingerprint, node: known?.node ?? node, removedAt }
  return joined(record, { removedMembers: [removed] })
}

/** Throws TRUST_FULL. Tokens that expired make room. */
export function withToken(record: TrustRecord, token: TrustToken, nowMs: number): TrustRecord {
  const room = record.tokens.length < MAX_TOKENS ? record : withoutExpired(record, nowMs)
  if (room.tokens.length >= MAX_TOKENS)
    throw new WalcastError('TRUST_FULL', { what: 'tokens', limit: MAX_TOKENS })
  const createdAt = after(record.tokensHorizon, undefined, token.createdAt)
  return joined(room, { tokens: [{ ...token, createdAt }] })
}

/** Also a token that this node has not heard of. */
export function withoutToken(record: TrustRecord, id: string, nowMs: number): TrustRecord {
  if (record.revokedTokens.some((revoked) => revoked.id === id)) return record
  const known = record.tokens.find((token) => token.id === id)
  const revokedAt = after(record.tokensHorizon, known?.createdAt, nowMs)
  return joined(record, { revokedTokens: [{ id, revokedAt }] })
}

/** Ends tokens that have been expired for long. Every node writes the same about them. */
export function withoutOldTokens(record: TrustRecord, nowMs: number): TrustRecord {
  return withoutExpired(record, nowMs - LISTED_MS)
}

/** Of more than MAX_SECRETS the oldest goes. */
export function withSecret(record: TrustRecord, secret: TrustSecret): TrustRecord {
  return { ...record, secrets: newestSecrets([...record.secrets, secret]) }
}

/** What replaces the secrets of a cluster. */
export interface NewSecret {
  readonly id: string
  readonly secret: string
  /** The secret from the environment; undefined without one. */
  readonly given: { readonly id: string; readonly secret: string } | undefined
  /** How long the older ones stay good. */
  readonly overlapMs: number
}

/** A new secret, and the end of all older ones, that from the environment among them. */
export function withNewSecret(
  record: TrustRecord,
  { id, secret, given, overlapMs }: NewSecret,
  nowMs: number,
): TrustRecord {
  const isKnown = given === undefined || record.secrets.some((known) => known.id === given.id)
  const older = isKnown ? record : withSecret(record, { ...given, createdAt: GIVEN_AT_MS })
  const endsAt = Math.min(Math.floor(nowMs) + overlapMs, MAX_TRUST_TIME_MS)
  const ended = older.secrets
    .filter((each) => each.endsAt === undefined || each.endsAt > endsAt)
    .reduce((so, each) => withSecretEnd(so, each.id, endsAt), older)
  const createdAt = after(undefined, older.secrets.at(-1)?.createdAt, nowMs)
  return withSecret(ended, { id, secret, createdAt })
}

/** Ends a secret at that time, or earlier if it already ends earlier. */
export function withSecretEnd(record: TrustRecord, id: string, endsAt: number): TrustRecord {
  const ended = record.secrets
    .filter((secret) => secret.id === id)
    .map(({ secret, createdAt }) => ({ id, secret, createdAt, endsAt }))
  return { ...record, secrets: newestSecrets([...record.secrets, ...ended]) }
}

/** Of more than MAX_KEKS the oldest goes. */
export function withKek(record: TrustRecord, kek: TrustKek): TrustRecord {
  return { ...record, keks: newestKeks([...record.keks, kek]) }
}

/** `by`: id of this node. Throws TRUST_FULL. */
export function withSetting(
  record: TrustRecord,
  { name, value, by }: { readonly name: string; readonly value: string; readonly by: string },
  nowMs: number,
): TrustRecord {
  const known = record.settings.find((setting) => setting.name === name)
  if (known?.value === value) return record
  if (known === undefined && record.settings.length >= MAX_SETTINGS)
    throw new WalcastError('TRUST_FULL', { what: 'settings', limit: MAX_SETTINGS })
  const changedAt = after(undefined, known?.changedAt, nowMs)
  return joined(record, { settings: [{ name, value, changedAt, by }] })
}

/** The cluster that a node without one has come to know. Throws TRUST_REFUSED for another one. */
export function withCluster(record: TrustRecord, cluster: string): TrustRecord {
  if (record.cluster === cluster) return record
  if (record.cluster !== '')
    throw new WalcastError('TRUST_REFUSED', {
      detail: `its keys are of cluster ${record.cluster}, and its database of ${cluster}`,
    })
  return { ...record, cluster }
}

function withoutExpired(record: TrustRecord, untilMs: number): TrustRecord {
  const expired = record.tokens.filter(({ expiresAt = Infinity }) => expiresAt <= untilMs)
  if (expired.length === 0) return record
  const revokedTokens = expired.map(({ id, createdAt, expiresAt = createdAt }) => ({
    id,
    revokedAt: Math.max(createdAt, expiresAt),
  }))
  return joined(record, { revokedTokens })
}

function joined(record: TrustRecord, change: Partial<TrustRecord>): TrustRecord {
  return compactTrust(joinTrust(record, { ...emptyTrust(record.cluster), ...change }))
}

/**
 * A time for a new version: later than the known one, and past the horizon. A clock that is far off
 * must not make a record that no node can read.
 */
function after(horizon: Mark | undefined, knownMs: number | undefined, nowMs: number): number {
  const ms = Math.max(0, Math.floor(nowMs), (knownMs ?? -1) + 1, (horizon?.at ?? -1) + 1)
  return Math.min(ms, MAX_TRUST_TIME_MS)
}

/**
 * The trust record: what all members of a cluster must know about keys, tokens and settings. Each
 * node keeps one (`trustFile.ts`), any two members join theirs (`trustMerge.ts`), and all end with
 * the same. A record is in canonical order, so two equal records have equal texts.
 *
 * Times are milliseconds since 1970 in the clock of the node that wrote the entry. Nothing is
 * decided by their truth, only by their order.
 */
import type { KnownToken } from '../security/tokenCheck.ts'
import type { Mark } from './removalSet.ts'

/** A secret of the cluster. `secretsInForce.ts` says which signs; all that are good verify. */
export interface TrustSecret {
  /** `secretId` of the secret, 8 hex digits. */
  readonly id: string
  readonly secret: string
  readonly createdAt: number
  /** Good until then; absent: for as long as nothing replaces it. */
  readonly endsAt?: number | undefined
}

/** A key that wraps the data keys of replicated settings. */
export interface TrustKek {
  /** 8 hex digits. */
  readonly id: string
  /** 32 bytes, 64 hex digits. */
  readonly key: string
  readonly createdAt: number
}

/** A living member. Its key is pinned. */
export interface TrustMember {
  /** SHA-256 of its public key (SPKI, DER), 64 hex digits. */
  readonly fingerprint: string
  readonly node: string
  /** HOST:PORT at which others reach it, as last written here; '' when unknown. */
  readonly address: string
  readonly addedAt: number
  /** When this entry was last written. Of two entries the younger counts. */
  readonly changedAt: number
  /** The key is good until then: the node has another one. */
  readonly endsAt?: number | undefined
}

/** A key that is refused for ever. */
export interface RemovedMember {
  readonly fingerprint: string
  /** Id of the node that had it; '' when unknown. The node may be back with another key. */
  readonly node: string
  readonly removedAt: number
}

/** A token that nobody has revoked. It may have expired. */
export interface TrustToken extends KnownToken {
  readonly note: string
  readonly createdAt: number
}

export interface RevokedToken {
  readonly id: string
  readonly revokedAt: number
}

/** A setting of the cluster that a node that joins must have. */
export interface TrustSetting {
  readonly name: string
  /** '' when unset. */
  readonly value: string
  readonly changedAt: number
  /** Id of the node that changed it. */
  readonly by: string
}

export interface TrustRecord {
  /** '' while the node knows no cluster. */
  readonly cluster: string
  /** The oldest first, as all lists by time. At most MAX_SECRETS. */
  readonly secrets: readonly TrustSecret[]
  /** At most MAX_KEKS. */
  readonly keks: readonly TrustKek[]
  /** The living members by fingerprint; at most MAX_TRUSTED. */
  readonly members: readonly TrustMember[]
  /** By fingerprint; at most MAX_REMOVED. */
  readonly removedMembers: readonly RemovedMember[]
  /** Up to here removed keys had to make room: see `removalSet.ts`. */
  readonly membersHorizon?: Mark | undefined
  /** By id; at most MAX_TOKENS. */
  readonly tokens: readonly TrustToken[]
  /** By id; at most MAX_REVOKED. */
  readonly revokedTokens: readonly RevokedToken[]
  readonly tokensHorizon?: Mark | undefined
  /** By name; at most MAX_SETTINGS. */
  readonly settings: readonly TrustSetting[]
}

export const MAX_SECRETS = 8
export const MAX_KEKS = 16
export const MAX_TRUSTED = 256
export const MAX_REMOVED = 1024
export const MAX_TOKENS = 256
export const MAX_REVOKED = 1024
export const MAX_SETTINGS = 64
/** In the year 2248. A time past it is a mistake. */
export const MAX_TRUST_TIME_MS = 2 ** 43
/** A record that is at all bounds, with the longest texts, stays below. Most have a few KiB. */
export const MAX_TRUST_BYTES = 768 * 1024

export function emptyTrust(cluster: string): TrustRecord {
  return {
    cluster,
    secrets: [],
    keks: [],
    members: [],
    removedMembers: [],
    membersHorizon: undefined,
    tokens: [],
    revokedTokens: [],
    tokensHorizon: undefined,
    settings: [],
  }
}

/** The member that has this key, unless it was removed. Its key may have ended: see `isGoodAt`. */
export function memberByKey(record: TrustRecord, fingerprint: string): TrustMember | undefined {
  return record.members.find((member) => member.fingerprint === fingerprint)
}

/** The living members with this node id, the one with the youngest entry first. */
export function membersByNode(record: TrustRecord, node: string): TrustMember[] {
  return record.members
    .filter((member) => member.node === node)
    .sort((a, b) => b.changedAt - a.changedAt)
}

/** Whether the key is refused for ever. */
export function isRemovedKey(record: TrustRecord, fingerprint: string): boolean {
  return record.removedMembers.some((removed) => removed.fingerprint === fingerprint)
}

/** Whether the node with this id was removed, and has not come back with another key. */
export function isRemovedNode(record: TrustRecord, node: string): boolean {
  return (
    record.removedMembers.some((removed) => removed.node === node) &&
    !record.members.some((member) => member.node === node)
  )
}

/** Whether a secret or a key that may end is still good at that time. */
export function isGoodAt(
  { endsAt }: { readonly endsAt?: number | undefined },
  nowMs: number,
): boolean {
  return endsAt === undefined || nowMs < endsAt
}

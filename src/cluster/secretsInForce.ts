/**
 * Which secrets of a cluster are good now, and which of them signs: a pure function of the trust
 * record, the secret from the environment, and this node's clock.
 *
 * A secret of the record verifies from when it is known until its end. It signs only once it is
 * `SETTLE_MS` old: until then an older one signs, which every member knows. So a member that does
 * not know it yet, and clocks that differ, refuse nothing. The secret from the environment counts
 * as the oldest.
 *
 * Whatever the record says, a cluster that has a secret never becomes open.
 */
import { secretId } from '../security/clusterSecrets.ts'
import { isGoodAt, MAX_SECRETS, type TrustRecord, type TrustSecret } from './trustRecord.ts'

/**
 * How old a secret is before it signs, by the clock of the node that signs. Twice the 30 s by which
 * two clocks may differ, and a minute in which a member may be away.
 */
export const SETTLE_MS = 120_000

export interface SecretsInForce {
  /** The first signs. Empty only in a cluster that has none. */
  readonly good: readonly string[]
  /** Those of them that are being replaced. */
  readonly ending: readonly string[]
  /** Of the good ones: all members know it. */
  readonly oldest: string | undefined
  /** They open nothing. Who still signs with one can be told so. */
  readonly ended: readonly string[]
  /** When the next one settles or ends, in this node's clock; Infinity when none will. */
  readonly nextChangeMs: number
}

/** `given`: the secret from the environment. */
export function secretsInForce(
  given: string | undefined,
  { secrets }: Pick<TrustRecord, 'secrets'>,
  nowMs: number,
): SecretsInForce {
  const known = [...secretOutside(given, secrets), ...secrets]
  const good = known.filter((secret) => isGoodAt(secret, nowMs))
  const inForce = good.length > 0 ? good : known.slice(-1)
  const signing = inForce.findLast((secret) => isSettledAt(secret, nowMs)) ?? inForce[0]
  const inOrder = inForce.toReversed().sort((a, b) => Number(b === signing) - Number(a === signing))
  const inUse = inOrder.map(({ secret }) => secret)
  const all = [...known.map(({ secret }) => secret), ...(given === undefined ? [] : [given])]
  return {
    good: inUse,
    ending: inOrder.filter(({ endsAt }) => endsAt !== undefined).map(({ secret }) => secret),
    oldest: inForce[0]?.secret,
    ended: [...new Set(all)].filter((secret) => !inUse.includes(secret)),
    nextChangeMs: Math.min(...known.flatMap(changesOf).filter((atMs) => atMs > nowMs), Infinity),
  }
}

/**
 * Whether who proves the secret from the environment becomes a member by that. Not once the secret
 * is being replaced: who has stolen it could come back under another key.
 */
export function isGivenLasting(
  given: string | undefined,
  record: Pick<TrustRecord, 'secrets'>,
): boolean {
  if (given === undefined) return false
  const id = secretId(given)
  const known = record.secrets.find((secret) => secret.id === id)
  if (known) return known.endsAt === undefined
  return record.secrets.length < MAX_SECRETS
}

/**
 * The secret from the environment, where the record does not have it. A record that is full may
 * have dropped it with its end: then it is not good.
 */
function secretOutside(given: string | undefined, known: readonly TrustSecret[]): TrustSecret[] {
  if (given === undefined || known.length >= MAX_SECRETS) return []
  const id = secretId(given)
  return known.some((secret) => secret.id === id) ? [] : [{ id, secret: given, createdAt: 0 }]
}

function isSettledAt({ createdAt }: TrustSecret, nowMs: number): boolean {
  return nowMs - createdAt >= SETTLE_MS
}

function changesOf({ createdAt, endsAt }: TrustSecret): number[] {
  return endsAt === undefined ? [createdAt + SETTLE_MS] : [createdAt + SETTLE_MS, endsAt]
}

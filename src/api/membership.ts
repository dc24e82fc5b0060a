/** Who belongs to the cluster, and the keys and secrets that its members share. */

/** `DELETE`: the keys of a node are refused for ever. */
export const MEMBERS_PATH = '/_walcast/members'
/** `POST`: a new secret. */
export const ROTATE_SECRET_PATH = '/_walcast/secret/rotate'
/** `POST`: a new key that wraps the data keys of settings. */
export const ROTATE_KEY_PATH = '/_walcast/key/rotate'
/** `POST`: the node that is asked leaves its cluster. */
export const LEAVE_PATH = '/_walcast/leave'
/** `POST`, between nodes: the node that asks leaves, and its keys are removed. */
export const DEPARTURE_PATH = '/_walcast/departure'
/** `POST`, between nodes: the leader wraps the data keys anew. */
export const REWRAP_PATH = '/_walcast/key/rewrap'

/** The old secrets stay good for at least so long: a new one signs only after two minutes. */
export const MIN_OVERLAP_MS = 5 * 60_000
export const MAX_OVERLAP_MS = 30 * 86_400_000

/** A member that was to hear of a change at once. */
export interface ToldInfo {
  readonly node: string
  readonly address: string
  /** Whether it has the change. */
  readonly knows: boolean
  /** Why not; null when it has it. */
  readonly detail: string | null
}

export interface RotatedSecretAnswer {
  /** Id of the new secret, 8 hex digits. */
  readonly id: string
  /** Ids of the older ones. */
  readonly older: readonly string[]
  /** When they end, ISO 8601. */
  readonly ends: string
  readonly members: readonly ToldInfo[]
}

export interface RemovedAnswer {
  readonly removed: string
  /** Fingerprints of its keys that were removed now; none when it was removed before. */
  readonly keys: readonly string[]
  readonly members: readonly ToldInfo[]
}

export interface RotatedKeyAnswer {
  /** Id of the new key. */
  readonly id: string
  /** Ids of the older ones that stay known. */
  readonly older: readonly string[]
  readonly members: readonly ToldInfo[]
  /** How many data keys the leader wrapped anew; null when it was not asked to, or failed. */
  readonly wrapped: number | null
  /** Why not. */
  readonly detail: string | null
}

export interface LeftAnswer {
  readonly node: string
  readonly cluster: string
  /** The member that removed its keys; null when none was reached. */
  readonly told: string | null
  /** Path of the database file, which stays. */
  readonly db: string
  readonly epoch: number
  readonly txid: number
}

export interface MembershipDesk {
  /**
   * `by`: who asks. Throws OPEN_CLUSTER, STARTING, ROTATION_UNDER_WAY, DISK_FULL or WRITE_FAILED.
   */
  rotateSecret(
    how: { readonly overlapMs: number; readonly force: boolean },
    by: string,
  ): Promise<RotatedSecretAnswer>
  /** Throws OPEN_CLUSTER, STARTING, MEMBER_KEPT, MEMBER_UNKNOWN, DISK_FULL or WRITE_FAILED. */
  remove(
    how: { readonly node: string; readonly force: boolean },
    by: string,
  ): Promise<RemovedAnswer>
  /** Throws OPEN_CLUSTER, STARTING, DISK_FULL or WRITE_FAILED. */
  rotateKey(how: { readonly force: boolean }, by: string): Promise<RotatedKeyAnswer>
  /** Throws OPEN_CLUSTER, LEADER_LEAVES, NOBODY_TOLD, DISK_FULL or WRITE_FAILED. */
  leave(how: { readonly force: boolean }, by: string): Promise<LeftAnswer>
  /** The answer to `leave` is out, or will not arrive: the node ends. */
  end(): void
  /** `from`: the node that leaves. */
  depart(from: string, by: string): Promise<void>
  /** Returns how many data keys it wrapped. Throws NOT_LEADER, or what the database throws. */
  rewrap(id: string, by: string): Promise<number>
}

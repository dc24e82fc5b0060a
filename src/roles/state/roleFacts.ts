/** What a decision about roles may read: a look at this node at the moment of the decision. */
import type { Standing } from '../../../proto/lineage.ts'
import type { Position } from '../../../proto/position.ts'
import type { Member, NodeRecord } from '../../cluster/nodeRecord.ts'
import type { ReplicaStatus } from '../../feed/replicaStatus.ts'

export interface RoleFacts {
  /** The time of day, ms: the clock that nodes compare. */
  readonly nowMs: number
  /** A time that nothing sets back, ms. */
  readonly monotonicMs: number
  readonly rules: RoleRules
  /** The role file, as far as it is durable. */
  readonly record: RoleRecord
  /** Of the role file, for errors. */
  readonly recordPath: string
  /** HOST:PORT of this node. */
  readonly address: string
  /** The other nodes that this one has met. */
  readonly members: readonly Member[]
  /**
   * Addresses at which nodes may be, this one's left out: those of members and those that an
   * operator named.
   */
  readonly everybody: readonly string[]
  /** While the engine of a leader is in place. */
  readonly led: LedFacts | undefined
  /** While the engine of a replica is in place. */
  readonly copy: CopyFacts | undefined
  /** Fed here, or below what is fed here. */
  readonly replicas: readonly ReplicaPlace[]
  /** Undefined when operators alone decide who leads. */
  readonly lease: LeaseFacts | undefined
  /** Writes that ever had to wait here. */
  readonly heldWrites: number
}

export interface RoleRules {
  /** How long the steps of a change may take while writes are held. */
  readonly switchoverTimeoutMs: number
  /** A leader that hears no replica for so long lets nobody write; undefined: it always does. */
  readonly fenceWhenAloneMs: number | undefined
  /** HOST:PORT that `--leader` names. */
  readonly givenLeader: string | undefined
}

export type RoleRecord = Pick<
  NodeRecord,
  | 'node'
  | 'role'
  | 'epoch'
  | 'term'
  | 'leader'
  | 'lineage'
  | 'incarnation'
  | 'givenLeader'
  | 'promoted'
>

/** The lease by which a node leads that fails over by itself. */
export interface LeaseFacts {
  readonly isHeld: boolean
  /** Whether a leader need not take the write lock yet. */
  readonly mayGoOn: boolean
  /** Why it may not, for people. */
  readonly detail: string
}

export interface LedFacts {
  readonly position: Standing
  readonly isFenced: boolean
  /** When a replica was last heard of, by the time of day; 0 when none is connected. */
  readonly lastHeardMs: number
}

export interface CopyFacts {
  readonly role: 'replica' | 'standby'
  readonly hasCopy: boolean
  readonly isTrusted: boolean
  /** `syncing` while a copy or comparison is under way. */
  readonly state: string
  readonly checksum: string
  readonly position: Standing
  /** Where the copy once stood, if that is further than its position. */
  readonly stoodAt: Position | undefined
  /** HOST:PORT that it follows; undefined when it follows nobody. */
  readonly leaderAddress: string | undefined
  readonly connected: boolean
  /** Ids of the node that feeds it and of the leader: a relay feeds it when they differ. */
  readonly follows: string
  readonly leaderNode: string
  /** The last txid of its epoch that the leader told it of. */
  readonly leaderTxid: number
  /** How long ago it was level with its leader, ms; may be infinite. */
  readonly staleMs: number
}

export type ReplicaPlace = Pick<
  ReplicaStatus,
  'node' | 'address' | 'connected' | 'via' | 'state' | 'txid'
>

/** What a node can be asked to do about its role. */

import type { Position } from '../../proto/position.ts'
import type {
  DemoteAnswer,
  FitnessAnswer,
  NodePlace,
  PromoteAnswer,
  SwitchoverAnswer,
} from './roleAnswers.ts'

export const TAKE_OVER_PATH = '/_walcast/take-over'
/** Tells a node that another process has its id. */
export const TWIN_PATH = '/_walcast/twin'
/** Asks a member whether the leader goes on while the lock service is away. */
export const AGREE_PATH = '/_walcast/agree'

/** What a leader asks a member. */
export interface AgreementAsked {
  /** Id of the leader, and the epoch in which it leads. */
  readonly node: string
  readonly epoch: number
  /** How long the member is not to be promoted by itself. */
  readonly forMs: number
}

export interface AgreementGiven {
  /** Id of the node that answers: another one may be at the address of the one that was meant. */
  readonly node: string
  readonly agrees: boolean
  /** Why not, for people; '' when it agrees. */
  readonly why: string
}

export interface TakeOver extends Position {
  /** State checksum at that position. */
  readonly checksum: string
  /** Id of the leader. */
  readonly from: string
  /**
   * Id of the node that is to lead. A token is good for any node, and several may be in that
   * state.
   */
  readonly to: string
  /** Until when it may begin to lead, by its own clock, ms. */
  readonly until: number
}

export interface RoleActions {
  /**
   * This node leads. Throws ROLE_CHANGES_PAUSED, ALREADY_LEADER, LEADER_LIVES, NOT_FIT,
   * FENCE_FAILED, DISK_FULL, WRITE_FAILED, TAKE_OVER_FAILED or ROLE_CHANGING, and then this node
   * follows as before; or ROLE_UNSURE, and then it follows but may lead after its next start.
   */
  promote(
    how: { readonly force: boolean; readonly dryRun: boolean },
    by: string,
  ): Promise<PromoteAnswer>
  /**
   * This node follows. `epoch`: that of the leader that asks; undefined when an operator asks.
   * Throws ROLE_CHANGES_PAUSED, NOT_LEADER, STALE_LEADER, FENCE_FAILED, DISK_FULL, WRITE_FAILED,
   * ROLE_UNSURE or ROLE_CHANGING, and then this node leads on.
   */
  demote(
    how: { readonly leader: string | undefined; readonly epoch: number | undefined },
    by: string,
  ): Promise<DemoteAnswer>
  /**
   * The leader hands over to another node. Throws ROLE_CHANGES_PAUSED, NO_LEADER, NO_TARGET,
   * ROLE_CHANGING or SWITCHOVER_FAILED, and then the leader leads on; or SWITCHOVER_UNKNOWN or
   * LEADERLESS, and then it follows.
   */
  switchover(
    how: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer>
  /**
   * The fenced leader has this node lead. Throws TAKE_OVER_FAILED, FENCE_FAILED, DISK_FULL or
   * WRITE_FAILED, and then this node does not lead; or ROLE_UNSURE, and then it follows but may
   * lead after its next start.
   */
  takeOver(how: TakeOver, by: string): Promise<NodePlace & Position>
  /**
   * Another process, at `address`, has this node's id. This node checks that, and the younger
   * process exits.
   */
  twin(address: string): Promise<void>
  /** The leader that asks goes on while the lock service is away, or not. Throws CLAIM_REFUSED. */
  agree(asked: AgreementAsked): AgreementGiven
  fitness(): Promise<FitnessAnswer>
  /**
   * Takes a replica that is away off the list. The change is durable when it resolves, if the disk
   * allows. Throws REPLICA_UNKNOWN or REPLICA_CONNECTED.
   */
  forget(node: string, by: string): Promise<void>
}

/**
 * What nodes are asked and answer when an operator moves leadership or takes a replica off a
 * list.
 */

export const PROMOTE_PATH = '/_walcast/promote'
export const DEMOTE_PATH = '/_walcast/demote'
export const SWITCHOVER_PATH = '/_walcast/switchover'
export const FITNESS_PATH = '/_walcast/fitness'
export const REPLICAS_PATH = '/_walcast/replicas'

export interface NodePlace {
  readonly node: string
  /** HOST:PORT of its private side. */
  readonly address: string
}

/** The commits that a change of leadership leaves behind. */
export interface LostCommits {
  /** null: the number is not known. */
  readonly transactions: number | null
  readonly detail: string
}

export interface PromoteAnswer extends NodePlace {
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** Where the node stood before. */
  readonly from: { readonly epoch: number; readonly txid: number }
  readonly dryRun: boolean
  /** What speaks against the promotion. */
  readonly reasons: readonly string[]
  readonly lost: LostCommits | null
  readonly oldLeader:
    | (NodePlace & {
        readonly outcome: 'demoted' | 'unreachable' | 'refused'
        readonly detail?: string
      })
    | null
  /** Known nodes that did not answer. */
  readonly unheard: readonly NodePlace[]
  readonly tookMs: number
}

export interface DemoteAnswer {
  readonly node: string
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** '' when none is known. */
  readonly leader: string
  readonly tookMs: number
}

export interface SwitchoverRequest {
  /** Id or address of the node that is to lead. */
  readonly to?: string
  readonly timeoutMs?: number
  readonly by?: string
}

/**
 * In the order in which they come, except that the old leader follows while it waits for the new
 * leader's application.
 */
export const SWITCHOVER_STAGES = [
  'quiet',
  'fence',
  'drain',
  'confirm',
  'record',
  'takeOver',
  'application',
  'follow',
] as const

export type SwitchoverStage = (typeof SWITCHOVER_STAGES)[number]

export interface SwitchoverAnswer {
  readonly from: NodePlace
  readonly to: NodePlace
  readonly epoch: number
  readonly txid: number
  /** How long no write was executed: until the new leader's application took requests, ms. */
  readonly pauseMs: number
  /** Writes that waited during that time. */
  readonly heldWrites: number
  readonly stages: Readonly<Record<`${SwitchoverStage}Ms`, number>>
  readonly tookMs: number
}

export interface MemberState extends NodePlace {
  readonly reached: boolean
  readonly role?: NodeRole
  readonly epoch?: number
  readonly txid?: number
}

export interface FitnessAnswer extends NodePlace {
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  readonly leaderTxid: number
  readonly lagMs: number
  readonly fit: boolean
  /** Why it is not fit. */
  readonly reasons: readonly string[]
  /** What a promotion now would lose. */
  readonly lost: LostCommits | null
  /** Id or address. */
  readonly leader: string
  readonly members: readonly MemberState[]
}

export type NodeRole = 'leader' | 'replica' | 'standby'

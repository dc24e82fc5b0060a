/**
 * What a node is asked and answers when an operator moves leadership, or takes a replica off its
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

/** Commits that a change of leadership leaves behind. */
export interface LostCommits {
  /** null: nobody can tell how many. */
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
  /** What speaks against it. */
  readonly reasons: readonly string[]
  readonly lost: LostCommits | null
  readonly oldLeader:
    | (NodePlace & {
        readonly outcome: 'demoted' | 'unreachable' | 'refused'
        readonly detail?: string
      })
    | null
  /** Known nodes that could not be asked. */
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
 * In the order in which they follow each other; the old leader follows while the new one's
 * application is waited for.
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
  /** For how long no write was executed: until the new leader's application took requests. */
  readonly pauseMs: number
  /** Writes that waited meanwhile. */
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
  /** By its promotion now. */
  readonly lost: LostCommits | null
  /** Id or address. */
  readonly leader: string
  readonly members: readonly MemberState[]
}

export type NodeRole = 'leader' | 'replica' | 'standby'

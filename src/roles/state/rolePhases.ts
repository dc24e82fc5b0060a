/** The phases of a node's role, and what each remembers. The diagram is in `roleState.ts`. */
import type { Position } from '../../../proto/position.ts'
import type { NodePlace, PromoteAnswer, SwitchoverStage } from '../../api/roleAnswers.ts'
import type { NodeRecord } from '../../cluster/nodeRecord.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import type { SeenHistory } from '../../feed/seenHistory.ts'
import type { HoldFor } from '../../proxy/writeGate.ts'
import type { RoleMemory } from './roleMemory.ts'
import type {
  Drained,
  LastPlaces,
  LeadershipBegins,
  RecordBefore,
  RoleOrder,
} from './roleOrders.ts'

export interface Step {
  readonly state: RoleState
  readonly orders: readonly RoleOrder[]
}

export type RoleState =
  | Starting
  | Following
  | Leading
  | Judging
  | Promoting
  | HandingOver
  | Demoting
  | SteppingDown
  | Raising
  | Yielding
  | CarryingOn
  | Asking
  | FencingAlone
  | OpeningAgain
  | Redirecting
  | Stopped
  | Failed

/** A change of role that is under way: there is one at a time. */
export interface Change {
  /** For people. */
  readonly what: string
  /** Who waits for it; undefined when the node itself began it: a failure is logged then. */
  readonly request: number | undefined
}

interface Phase<Name extends string> {
  readonly phase: Name
  readonly memory: RoleMemory
}

interface ChangePhase<Name extends string, Stage extends string> extends Phase<Name> {
  readonly change: Change
  readonly stage: Stage
}

export interface Starting extends Phase<'starting'> {
  /** `idle` until it is to start; `asking`: before it lets anybody write. */
  readonly stage: 'idle' | 'opening' | 'asking' | 'electing' | 'recording' | 'following'
  /** The role of the role file. */
  readonly was: NodeRecord['role']
  /** HOST:PORT of the leader that was found. */
  readonly rival: string
  /** What others have seen of this node's own history. */
  readonly seen: readonly SeenHistory[]
}

export type Following = Phase<'following'>
export type Leading = Phase<'leading'>

/** An operator asked for a promotion: the others are asked whether anything speaks against it. */
export interface Judging extends Phase<'judging'> {
  readonly change: Change
  readonly by: string
  readonly force: boolean
  readonly dryRun: boolean
  readonly beganMs: number
}

/**
 * On the way to lead with the copy. Until `recording` has ended the node follows, whatever happens
 * to the process; after it, it leads.
 */
export interface Promoting
  extends ChangePhase<
    'promoting',
    | 'electing'
    | 'locking'
    | 'retiring'
    | 'recording'
    | 'beginning'
    | 'admitting'
    | 'telling'
    | 'restoring'
    | 'returning'
  > {
  readonly plan: PromotionPlan
  /** What to tell once it follows again. */
  readonly error?: unknown
}

export interface PromotionPlan {
  readonly epoch: number
  readonly reason: string
  readonly by: string
  /** Whom it follows until now. */
  readonly leader: string | undefined
  /**
   * Where the copy must stand when nothing more comes, and until when this node may come to lead;
   * undefined of an operator's promotion.
   */
  readonly expected: (Position & { readonly until: number }) | undefined
  readonly places: LastPlaces
  readonly wasTrusted: boolean
  readonly before: RecordBefore
  /** What an operator's promotion answers. */
  readonly asked: PromotionAsked | undefined
}

export interface PromotionAsked {
  readonly about: Pick<
    PromoteAnswer,
    'node' | 'address' | 'dryRun' | 'reasons' | 'lost' | 'unheard' | 'from'
  >
  readonly answers: readonly PeerAnswer[]
  readonly beganMs: number
}

/**
 * On the way to give leadership to another node. Until `recording` has ended any failure lets it
 * lead on as before.
 */
export interface HandingOver
  extends ChangePhase<
    'handingOver',
    | 'levelling'
    | 'readingClock'
    | 'endingCheckpoints'
    | 'quieting'
    | 'fencing'
    | 'draining'
    | 'confirming'
    | 'recording'
    | 'handing'
    | 'giving'
    | 'recordingOn'
    | 'streaming'
  > {
  readonly plan: SwitchoverPlan
  /** Of the node that did not take over. */
  readonly refusal?: unknown
}

export interface SwitchoverPlan {
  readonly target: NodePlace
  readonly by: string
  readonly timeoutMs: number
  /**
   * By the time that nothing sets back: when it began, when all must be over that holds writes,
   * when writes were held.
   */
  readonly beganMs: number
  readonly endMs: number
  readonly pausedMs: number
  readonly aheadMs: number
  readonly heldBefore: number
  /** When the stage under way began. */
  readonly stageMs: number
  readonly stages: Readonly<Record<`${SwitchoverStage}Ms`, number>>
  readonly drained: Drained | undefined
  readonly taken?: {
    readonly epoch: number
    readonly txid: number
    readonly pauseMs: number
    readonly heldWrites: number
  }
}

/**
 * An operator has this leader follow. Until `recording` has ended any failure lets it lead on as
 * before.
 */
export interface Demoting
  extends ChangePhase<
    'demoting',
    'endingCheckpoints' | 'quieting' | 'fencing' | 'draining' | 'levelling' | 'recording'
  > {
  readonly leader: string | undefined
  readonly by: string
}

/** Another node leads in a higher epoch: this one follows, whatever happens. */
export interface SteppingDown
  extends ChangePhase<'steppingDown', 'fencing' | 'draining' | 'recording'> {
  readonly reason: string
  readonly leader: string | undefined
}

/** Leads on in a higher epoch. */
export interface Raising
  extends ChangePhase<
    'raising',
    'fencing' | 'draining' | 'recording' | 'retiring' | 'beginning' | 'admitting'
  > {
  readonly reason: string
  /**
   * What has to be above: epochs that others began, or what others have seen of this node's own
   * history.
   */
  readonly above: RaiseAbove
  readonly begins?: LeadershipBegins
  readonly release: HoldFor | undefined
}

export type RaiseAbove =
  | { readonly of: 'epochs'; readonly epoch: number }
  | { readonly of: 'history'; readonly lost: readonly SeenHistory[] }

/** The role file says that it follows: the database goes to the engine of a replica. */
export interface Yielding extends ChangePhase<'yielding', 'retiring' | 'following'> {
  /** Whom it follows then. */
  readonly leader: string | undefined
  readonly reason: string
  readonly by: string
  readonly end: YieldEnd
}

export type YieldEnd =
  | { readonly of: 'demotion' }
  | { readonly of: 'error'; readonly error: unknown }
  | { readonly of: 'switchover'; readonly plan: SwitchoverPlan }

/** The change came to nothing: writers are let in again. */
export interface CarryingOn extends Phase<'carryingOn'> {
  readonly change: Change
  /** What to tell then; undefined when that is no failure. */
  readonly error: unknown
  readonly release: HoldFor | undefined
}

/**
 * Asks the others whether this node still leads. `told`: the higher epoch that it was told of;
 * undefined after it stood still.
 */
export interface Asking extends Phase<'asking'> {
  readonly change: Change
  readonly told:
    | { readonly node: string; readonly epoch: number; readonly term: number | undefined }
    | undefined
}

/** Alone: the fence is taken, if no transaction keeps it. */
export interface FencingAlone extends Phase<'fencingAlone'> {
  readonly change: Change
  readonly isFirst: boolean
}

/** Not alone any more. */
export interface OpeningAgain extends Phase<'openingAgain'> {
  readonly change: Change
}

/** A replica follows another leader, and writes that down. */
export interface Redirecting extends Phase<'redirecting'> {
  readonly change: Change
}

export type Stopped = Phase<'stopped'>
export type Failed = Phase<'failed'>

export type Changing = Extract<RoleState, { readonly change: Change }>

/** An event that means nothing in a phase changes nothing. */
export function stay(state: RoleState): Step {
  return { state, orders: [] }
}

export function isChanging(state: RoleState): state is Changing {
  return 'change' in state
}

/** Whether a change of role may begin. */
export function isSettled(state: RoleState): state is Following | Leading {
  return (state.phase === 'following' || state.phase === 'leading') && !state.memory.isEnded
}

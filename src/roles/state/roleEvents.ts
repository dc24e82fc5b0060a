/**
 * What moves a node's role: requests, what it learns of other nodes, and the end of what it
 * ordered.
 */
import type { Standing } from '../../../proto/lineage.ts'
import type { TakeOver } from '../../api/roleActions.ts'
import type { NodePlace } from '../../api/roleAnswers.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import type { EngineNews } from '../../database/engine.ts'

export type RoleEvent = RoleRequest | RoleNews | RoleStepEnd

/** Each is answered once, by `answer` or `refuse` with its number. */
export type RoleRequest =
  | {
      readonly type: 'promoteAsked'
      readonly request: number
      readonly by: string
      readonly force: boolean
      readonly dryRun: boolean
    }
  /** `epoch`: in which the node leads that asks; undefined when an operator asks. */
  | {
      readonly type: 'demoteAsked'
      readonly request: number
      readonly by: string
      readonly leader: string | undefined
      readonly epoch: number | undefined
    }
  | {
      readonly type: 'switchoverAsked'
      readonly request: number
      readonly by: string
      readonly to: string | undefined
      readonly timeoutMs: number
    }
  | {
      readonly type: 'takeOverAsked'
      readonly request: number
      readonly by: string
      readonly how: TakeOver
    }

/** What a node finds out, in any phase. */
export type RoleNews =
  | { readonly type: 'start' }
  /** It is time to look who leads. */
  | { readonly type: 'lookDue' }
  /** What was asked for with `look`; `unheard`: known nodes that did not answer. */
  | { readonly type: 'looked'; readonly answers: readonly PeerAnswer[] }
  /** What was asked for with `lookAtOnce`. */
  | { readonly type: 'lookedAtOnce'; readonly answers: readonly PeerAnswer[] }
  | EngineNews
  /** A client has seen this epoch. */
  | { readonly type: 'laterEpochSeen'; readonly epoch: number }
  /** This node took the lease as a candidate: it is to lead in that epoch. */
  | { readonly type: 'elected'; readonly epoch: number; readonly reason: string }
  /** The lease makes another node the leader. */
  | {
      readonly type: 'leaseMoved'
      readonly node: string
      readonly address: string
      readonly epoch: number
    }
  /** It is time to look whether the lease still counts. */
  | { readonly type: 'leaseDue' }
  /** This process has stood still. */
  | { readonly type: 'stoodStill'; readonly forMs: number }
  /** It is time to look whether a replica is heard. */
  | { readonly type: 'aloneLookDue' }
  /** No change begins from now on. */
  | { readonly type: 'ending' }
  /** The engine is to stop as soon as no change is under way. */
  | { readonly type: 'stop' }

/** What was ordered has ended. `failed` stands for any of them. */
export type RoleStepEnd =
  | { readonly type: 'failed'; readonly error: unknown }
  /** What was asked for with `ask`. `unheard`: known nodes that did not answer. */
  | {
      readonly type: 'answered'
      readonly answers: readonly PeerAnswer[]
      readonly unheard: readonly NodePlace[]
    }
  | { readonly type: 'leaderOpened' }
  /** The engine of the leader asks whether it may let anybody write. */
  | { readonly type: 'mayLeadAsked' }
  | { readonly type: 'leaseTaken'; readonly epoch: number }
  | { readonly type: 'leaseHanded' }
  | { readonly type: 'copyLocked' }
  /**
   * `held`: where the database stands that was given up, with its write lock; undefined when there
   * is no whole one.
   */
  | {
      readonly type: 'retired'
      readonly held: Standing | undefined
      /** Of a copy: whether its content is still not known to differ. */
      readonly isTrusted: boolean
    }
  | { readonly type: 'recorded' }
  | { readonly type: 'captureBegun' }
  | { readonly type: 'writersAdmitted' }
  | { readonly type: 'followed' }
  | { readonly type: 'redirected' }
  | { readonly type: 'checkpointsEnded' }
  | { readonly type: 'quiet'; readonly isQuiet: boolean }
  | { readonly type: 'fenced' }
  | {
      readonly type: 'drained'
      readonly epoch: number
      readonly txid: number
      readonly checksum: string
    }
  | { readonly type: 'levelled'; readonly isLevel: boolean }
  | { readonly type: 'clockRead'; readonly aheadMs: number | undefined }
  | { readonly type: 'confirmed'; readonly isConfirmed: boolean }
  | { readonly type: 'taken'; readonly epoch: number; readonly txid: number }
  | { readonly type: 'streaming'; readonly isStreaming: boolean }
  | { readonly type: 'told' }

/**
 * What the decisions about a node's role order. Those with an end name the event that tells of it;
 * `failed` may come instead.
 */
import type { Standing } from '../../../proto/lineage.ts'
import type { NodePlace, PromoteAnswer, SwitchoverAnswer } from '../../api/roleAnswers.ts'
import type { NodeRecord } from '../../cluster/nodeRecord.ts'
import type { WalcastError } from '../../errors.ts'
import type { ExpectedReplica } from '../../feed/replicaList.ts'
import type { SeenHistory } from '../../feed/seenHistory.ts'
import type { HoldFor } from '../../proxy/writeGate.ts'

export type RoleOrder = EngineOrder | LeaseOrder | PeerOrder | InstantOrder

/** Where a leadership stands that has been drained: everything that was ever committed in it. */
export interface Drained {
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
}

/** What begins when this node leads, or leads on in a higher epoch. */
export interface LeadershipBegins {
  readonly epoch: number
  /** The same as `epoch` when this is a promotion. */
  readonly term: number
  /** Whether the state that it begins with is known to be the cluster's. */
  readonly exact: boolean
  /**
   * The state of this leader was put back: where its history parted from what others have, and the
   * first txid above theirs.
   */
  readonly putBack?: { readonly follows: Standing; readonly txid: number; readonly reason: string }
}

/** On this node's own database, role file and writers. At most one is under way. */
export type EngineOrder =
  /**
   * `leaderOpened`; before that `mayLeadAsked`, which `permitLeading` or `forbidLeading` answers.
   */
  | { readonly do: 'openLeader' }
  /** Opens the copy and follows: `followed`. */
  | { readonly do: 'openReplica'; readonly leader: string | undefined }
  /** Holds the lock of the copy, without the gaps that checkpoints make: `copyLocked`. */
  | { readonly do: 'lockCopy'; readonly timeoutMs: number }
  /**
   * The engine gives up the database with its write lock: `retired`. A leader sends its replicas to
   * `next`.
   */
  | {
      readonly do: 'retire'
      readonly next?: { readonly epoch: number; readonly node: string; readonly address: string }
    }
  /** The role file says that this node leads: `recorded`. */
  | { readonly do: 'recordLeading'; readonly at: Standing; readonly begins: LeadershipBegins }
  /** The role file says that this node leads on as before: `recorded`. */
  | { readonly do: 'recordLeadingOn' }
  /**
   * The role file says that this node follows: `recorded`. `insist`: the node does, whether or not
   * the disk takes it.
   */
  | { readonly do: 'recordFollowing'; readonly leader: string; readonly how: 'update' | 'insist' }
  /** The role file says again what it said before `recordLeading`: `recorded`. */
  | { readonly do: 'restoreRecord'; readonly before: RecordBefore }
  /**
   * The engine of a leader takes the database that was given up, in the epoch of the role file:
   * `captureBegun`. `raisedAt`: it led before, and begins with this txid.
   */
  | { readonly do: 'beginCapture'; readonly raisedAt?: number | undefined }
  /** Lets go of the write lock: `writersAdmitted`. */
  | { readonly do: 'admitWriters' }
  /**
   * The engine of a replica takes the database that was given up, or opens what is there:
   * `followed`.
   */
  | { readonly do: 'follow'; readonly leader: string | undefined }
  /** The engine of a replica follows another leader: `redirected`. */
  | { readonly do: 'redirect'; readonly leader: string }
  /** `checkpointsEnded`. */
  | { readonly do: 'endCheckpoints' }
  /** Waits for writes inside the application: `quiet`. */
  | { readonly do: 'awaitQuiet'; readonly timeoutMs: number }
  /** Takes the write lock: `fenced`. */
  | { readonly do: 'takeFence'; readonly timeoutMs: number }
  /** Captures to the published end: `drained`. */
  | { readonly do: 'drain' }
  /** Until all connected replicas stand at `txid`: `levelled`. */
  | { readonly do: 'awaitAllLevel'; readonly txid: number; readonly timeoutMs: number }
  /** Until nearly nothing is on its way to the replica `node`: `levelled`. */
  | { readonly do: 'awaitNearlyLevel'; readonly node: string; readonly timeoutMs: number }
  /** Until the replica `node` says that it is in this very state: `confirmed`. */
  | {
      readonly do: 'awaitConfirmed'
      readonly node: string
      readonly drained: Drained
      readonly timeoutMs: number
    }
  /** Until the leader that is followed feeds this node: `streaming`. */
  | { readonly do: 'awaitStreaming'; readonly timeoutMs: number }

/** Calls to the lock service. */
export type LeaseOrder =
  /**
   * Takes the lease, to lead in `atLeast` or a later epoch: `leaseTaken`. `asBefore`: it led last,
   * goes on as it did, and waits a while for a service that is away.
   */
  | {
      readonly do: 'takeLease'
      readonly atLeast: number
      readonly asBefore: boolean
      /** All members said that nobody else has led. */
      readonly isCertain: boolean
    }
  /** The node `to` takes it before all others: `leaseHanded`. */
  | { readonly do: 'handLease'; readonly to: string }

/** Calls to other nodes. */
export type PeerOrder =
  /**
   * Asks who leads there: `answered`, which no failure replaces. `isOfOne`: not all are asked, so
   * that nothing follows of twins among them.
   */
  | { readonly do: 'ask'; readonly whom: readonly string[]; readonly isOfOne?: true }
  /** The same, whatever else is under way: `looked`. */
  | { readonly do: 'look'; readonly whom: readonly string[] }
  /** The same: `lookedAtOnce`. */
  | { readonly do: 'lookAtOnce'; readonly whom: readonly string[] }
  /** `clockRead`. */
  | { readonly do: 'readClock'; readonly address: string; readonly timeoutMs: number }
  /** The node `to` is to lead, until `untilMs` by its own clock: `taken`. */
  | {
      readonly do: 'giveTo'
      readonly to: NodePlace
      readonly drained: Drained
      readonly by: string
      readonly untilMs: number
      readonly aheadMs: number
      readonly timeoutMs: number
    }
  /** The node there is to follow this one: `told`. */
  | { readonly do: 'tellToFollow'; readonly address: string }
  /** The same; nothing waits for it. `text` is logged when it could not be told. */
  | {
      readonly do: 'tellInBackground'
      readonly address: string
      readonly about: object
      readonly text: string
    }
  /** Until the application there takes requests; `request` waits for it beside its answer. */
  | { readonly do: 'awaitApplication'; readonly request: number; readonly address: string }

/** Done when the next order begins. */
export type InstantOrder =
  | { readonly do: 'permitLeading'; readonly seen: readonly SeenHistory[] }
  | { readonly do: 'forbidLeading'; readonly error: WalcastError }
  /** It ends, so that another node leads. */
  | { readonly do: 'releaseLease' }
  /** One attempt to take the write lock beside what is under way; nothing waits for it. */
  | { readonly do: 'fenceMeanwhile' }
  /** Writes are held, or no more. */
  | { readonly do: 'holdWrites'; readonly for: HoldFor; readonly reason: string }
  | { readonly do: 'releaseWrites'; readonly for: HoldFor }
  | { readonly do: 'refuseWrites'; readonly error: WalcastError | undefined }
  /** Clients' requests: this node leads by now. */
  | { readonly do: 'serveAsLeader' }
  /** Clients' requests: the node at `leader` does. */
  | { readonly do: 'serveAsReplica'; readonly leader: string | undefined }
  | { readonly do: 'forgetReplicas' }
  /** Members are missed until they come; those in `places` stood there. */
  | { readonly do: 'expectReplicas'; readonly places: LastPlaces }
  | { readonly do: 'announceStop' }
  | { readonly do: 'stopEngine' }
  /** The first role is there, the role of the start being `was`. */
  | { readonly do: 'started'; readonly was: NodeRecord['role'] }
  | { readonly do: 'startFailed'; readonly error: unknown }
  /** The role changed: audit log, hooks, log. */
  | { readonly do: 'tellChange'; readonly reason: string; readonly by: string }
  | { readonly do: 'answer'; readonly request: number; readonly answer: RoleAnswer }
  | { readonly do: 'refuse'; readonly request: number; readonly error: unknown }
  | {
      readonly do: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly about: object
      readonly text: string
    }
  /** Only a new start helps. */
  | { readonly do: 'fail'; readonly error: WalcastError }

export type RoleAnswer =
  | { readonly of: 'promote'; readonly answer: PromoteAnswer }
  | { readonly of: 'demote' }
  | { readonly of: 'switchover'; readonly answer: SwitchoverAnswer }
  | { readonly of: 'takeOver'; readonly epoch: number; readonly txid: number }

/** By node id. */
export type LastPlaces = ReadonlyMap<string, Pick<ExpectedReplica, 'position' | 'seenMs'>>

/** What coming to lead changes of a role file. */
export type RecordBefore = Pick<
  NodeRecord,
  'role' | 'epoch' | 'term' | 'leader' | 'incarnation' | 'lineage' | 'promoted'
>

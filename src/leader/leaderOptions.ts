/** What a leader is built with, and what it tells. */
import type { Logger } from 'pino'
import type { HistoryPoint, Incarnation, Lineage } from '../../proto/lineage.ts'
import type { WalcastError } from '../errors.ts'
import type { CapturedBatch } from '../feed/batch.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { ReplicaSessionOptions } from '../feed/replicaSession.ts'
import type { ReplicaStatus } from '../feed/replicaStatus.ts'
import type { SeenHistory } from '../feed/seenHistory.ts'
import type { Clock } from '../platform/clock.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { Claims } from '../security/claims.ts'
import type { CheckpointLimits, CheckpointPass } from './checkpointer.ts'
import type { RaisedEpoch } from './startPoint.ts'
import type { WalWatcherOptions } from './walWatcher.ts'

export interface LeaderOptions {
  /** Name of the database in messages. */
  readonly db: string
  readonly path: string
  /** Folder of the node's own state. */
  readonly stateFolder: string
  readonly version: string
  /** HOST:PORT at which other nodes reach this one. */
  readonly address: string
  readonly identity: LeaderIdentity
  readonly log: Logger
  readonly clock: Clock
  readonly ops: FileOps
  readonly checkpoint: CheckpointLimits
  readonly wake: WalWatcherOptions
  readonly session: ReplicaSessionOptions
  readonly historyBytes: number
  /** WAL bytes read and sent at once. */
  readonly batchBytes: number
  readonly maxReplicas: number
  readonly heartbeatMs: number
  /** Where the replicas are listed. */
  readonly replicas: ReplicaList
  /** Judges the numbers that replicas tell. */
  readonly claims: Claims
  /** Writes that may wait for replicas to acknowledge them. */
  readonly maxAckWaits: number
  readonly observer: LeaderObserver
  /**
   * Asks the other nodes when the node starts, before any program may write. Gives what they have
   * seen of this node's own history. Throws HIGHER_EPOCH or NODE_ID_TAKEN.
   */
  readonly mayLead?: () => Promise<readonly SeenHistory[]>
  /** Whether what that replica confirms may be counted on. On the hot path. */
  readonly countsReplica: (node: string) => boolean
}

/** What the node file knows, and how it is changed. */
export interface LeaderIdentity {
  readonly node: string
  readonly cluster: string
  /** Random id of this process. */
  readonly instance: string
  epoch(): number
  /** The incarnation in which this node leads, or last led. */
  incarnation(): string
  /**
   * How the epoch began, when it was raised above what this node had lost; undefined for any other
   * epoch.
   */
  raised(): RaisedEpoch | undefined
  txidCeiling(): number
  lineage(): Lineage
  /** The last epoch that began with a promotion. */
  term(): number
  /** The other nodes of the cluster, as far as they are known. */
  members(): readonly { readonly node: string; readonly address: string }[]
  /** This node leads in the incarnation that `begun` tells of. Durable when it resolves. */
  save(begun: LeadershipBegun): Promise<void>
  /**
   * As `save`, but known at once, and written as soon as the disk takes it. Throws what keeps it
   * from being durable now.
   */
  insist(begun: LeadershipBegun): Promise<void>
  /** No txid above this is given out. Durable when it resolves. */
  raiseCeiling(txidCeiling: number): Promise<void>
}

export interface LeadershipBegun {
  readonly epoch: number
  readonly term: number
  /** The txid at which it begins. */
  readonly txid: number
  readonly txidCeiling: number
  readonly begun: Incarnation
  /**
   * The incarnation of the newest stored position; '' when there is none. A start that follows may
   * have to go by it.
   */
  readonly stored: string
  /** How the state is known to have been put back to an earlier one; undefined when it was not. */
  readonly putBack: { readonly reason: string; readonly from: HistoryPoint } | undefined
}

/**
 * Hears what happens, for metrics. Called on the hot path: its functions are cheap and never throw.
 */
export interface LeaderObserver {
  onBatch(batch: CapturedBatch): void
  onPass(pass: CheckpointPass): void
  /** Frames without checksums were captured, as readers see them. */
  onUnverified(frames: number): void
  onSent(bytes: number): void
  onBadMessage(key: string): void
  onEpoch(epoch: number): void
  /**
   * A node has what this leader lacks of its own history: the state of this leader was put back.
   */
  onPutBack(seen: SeenHistory): void
  /** A node has been in a higher epoch than this one. */
  onHigherEpoch(by: {
    readonly node: string
    readonly epoch: number
    readonly term: number
    readonly advertise: string
  }): void
  onFatal(error: WalcastError): void
}

export interface LeaderStatus {
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  readonly pageSize: number
  readonly pages: number
  readonly walBytes: number
  readonly walFileBytes: number
  readonly historyBytes: number
  readonly capturing: boolean
  readonly replicas: readonly ReplicaStatus[]
}

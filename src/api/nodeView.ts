/** What the HTTP side needs to know of a node, whatever its role. */
import type { WebSocket } from 'ws'
import type { HistoryPoint } from '../../proto/lineage.ts'
import type { Position } from '../../proto/position.ts'
import type { WalcastError } from '../errors.ts'
import type { AckOutcome, AckWanted } from '../feed/acknowledgements.ts'
import type { ReplicaStatus } from '../feed/replicaList.ts'
import type { LagTracker } from '../replica/lag.ts'
import type { ApplicationStatus } from './applicationStatus.ts'
import type { AuditEntry } from './audit.ts'
import type { Cause } from './cause.ts'
import type { FailedReadsReport } from './failedReads.ts'
import type { Reach, WaitTarget } from './positionWaits.ts'
import type { NodePlace, NodeRole } from './roleAnswers.ts'

export type LagReport = { readonly role: string; readonly causes: readonly Cause[] } & ReturnType<
  LagTracker['report']
>

/** Of the comparison of what is on disk with the page checksums. */
export interface ScrubReport {
  /** Whether passes go round by themselves. */
  readonly background: boolean
  readonly passes: number
  /** End of the last whole pass; not before the first. */
  readonly lastPassAt?: string
  /** The pass under way. */
  readonly running?: { readonly page: number; readonly pages: number }
  /**
   * Whether pages are read from the disk rather than from the page cache; not before the first
   * pass.
   */
  readonly direct?: boolean
  /** Pages known to be wrong now, the first of them. */
  readonly rotten: readonly number[]
  readonly rottenPages: number
  /** What is known to be wrong now: pages, and the state checksum in memory. */
  readonly unexplained: number
}

export interface DivergedStatus {
  /** Name of its folder in `FILE-walcast/diverged/`. */
  readonly name: string
  /** `routine`: the leader very likely had all of it; `diverged`: it may lack commits. */
  readonly kind: 'routine' | 'diverged'
  /** ISO time. */
  readonly at: string
  /** Where the copy stood: `epoch-txid`. */
  readonly position: string
  readonly reason: string
  readonly state: string
  /** Why the rows could not be compared. */
  readonly detail?: string
  /** The copy was damaged: its rows may be what the damage left. */
  readonly isDamaged?: boolean
  /**
   * Rows missing from the leader and rows that differ there, once compared; `added` is always 0.
   */
  readonly rows?: { readonly removed: number; readonly changed: number; readonly added: number }
}

export interface NodeStatus {
  readonly node: string
  readonly cluster: string
  readonly db: string
  readonly role: NodeRole
  readonly state: string
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  readonly pageSize: number
  readonly pages: number
  /** Published frames of the WAL. */
  readonly walBytes: number
  /** Size of the WAL file. */
  readonly walFileBytes: number
  /** Id or address of the leader. */
  readonly leader: string
  /**
   * Id or address of the node that feeds this one: the leader, or another replica. Not on a leader.
   */
  readonly follows?: string
  readonly replicas: readonly ReplicaStatus[]
  readonly lag: { readonly lagMs: number; readonly txidLag: number; readonly connected: boolean }
  /** Why it lags or its WAL grows; empty when all is well. */
  readonly causes: readonly Cause[]
  /** Of the application behind this node; not without one. */
  readonly application?: ApplicationStatus
  /** Progress of a copy or comparison in pages, while one runs. */
  readonly sync?: { readonly remaining: number; readonly total: number }
  /** What was kept aside because the leader may lack it, the oldest first. */
  readonly diverged?: readonly DivergedStatus[]
  readonly scrub?: ScrubReport
  /**
   * Reads that the application of this node failed, and what became of them; not before the first.
   */
  readonly failedReads?: FailedReadsReport
  /** Other nodes of the cluster that this one has met or heard of. */
  readonly members?: readonly NodePlace[]
  /**
   * When this leader's state was found to have been put back to an earlier one; not once a later
   * epoch has begun.
   */
  readonly putBack?: { readonly at: string; readonly position: string; readonly reason: string }
  /** ISO time of the last change of role; not before the first. */
  readonly roleSince?: string
  /** What was last asked of the node's role, and became of it; newest last. */
  readonly audit?: readonly AuditEntry[]
  readonly lastError?: { readonly code: string; readonly message: string }
  readonly version: string
  readonly uptimeSeconds: number
}

/** What is waiting in the node's bounded buffers. */
export interface QueueSizes {
  readonly historyBytes: number
  /** Handed to replicas' sockets and not yet taken by the network. */
  readonly bufferedBytes: number
  /** Received from the leader and not yet applied. */
  readonly queuedBytes: number
}

export const NO_QUEUES: QueueSizes = { historyBytes: 0, bufferedBytes: 0, queuedBytes: 0 }

export interface NodeView {
  /** Cheap: asked for each request. */
  role(): NodeRole
  /** HOST:PORT of the leader, this node's own when it leads; '' when none is known. */
  leaderAddress(): string
  /** Where this node stands. Cheap. */
  position(): Position
  /** In which this node leads; '' while it does not. Cheap. */
  incarnation(): string
  /** The trail of its history, as nodes tell it each other; '' when none is known. */
  history(): string
  /** Whether the state at `point` is proven to be part of this node's history. */
  contains(point: HistoryPoint): boolean
  /**
   * Whether all that this node committed in that incarnation is proven to be part of what it has
   * now.
   */
  lasted(incarnation: string): boolean
  status(): NodeStatus
  lag(): LagReport
  queues(): QueueSizes
  /** Why this node cannot serve; empty when it can. */
  notReady(): readonly string[]
  /** Cheap: asked for each waiting request at each batch. */
  reach(target: WaitTarget): Reach
  /** Whether the file is a whole copy that readers may be sent to. */
  canRead(): boolean
  /**
   * A position that contains every commit made before the call. Throws when the WAL cannot be read
   * now.
   */
  settle(): Promise<Position>
  /**
   * Resolves when as many replicas hold `position` as are wanted, or it is clear that they will not
   * in time. Throws NOT_LEADER or STARTING.
   */
  acknowledge(position: Position, wanted: AckWanted, timeoutMs: number): Promise<AckOutcome>
  /** Time since this node was known to hold everything the leader had; 0 on a leader. */
  staleMs(): number
  /**
   * How far the leader is known to have come, and how long ago it said so: infinite when it never
   * has. Cheap.
   */
  leaderAt(): Position & { readonly agoMs: number }
  /** Asks the leader where it stands, so that `staleMs` falls. */
  freshen(): void
  /** Why replicas cannot be fed by this node now, or undefined when they can. */
  refuseReplicas(): WalcastError | undefined
  /** Takes over a replica's upgraded connection. */
  accept(socket: WebSocket, remoteAddress: string): void
}

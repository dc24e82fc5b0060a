/** What the HTTP sides know of one database of a node. */
import type { WebSocket } from 'ws'
import type { HistoryPoint } from '../../proto/lineage.ts'
import type { Position } from '../../proto/position.ts'
import type { WalcastError } from '../errors.ts'
import type { AckOutcome, AckWanted } from '../feed/acknowledgements.ts'
import type { DatabaseLag, DatabaseStatus } from './databaseStatus.ts'
import type { Reach, WaitTarget } from './positionWaits.ts'
import type { NodeRole } from './roleAnswers.ts'

/** What is waiting in the node's bounded buffers. */
export interface QueueSizes {
  readonly historyBytes: number
  /** Handed to replicas' sockets and not yet taken by the network. */
  readonly bufferedBytes: number
  /** Received from the leader and not yet applied. */
  readonly queuedBytes: number
}

export const NO_QUEUES: QueueSizes = { historyBytes: 0, bufferedBytes: 0, queuedBytes: 0 }

/** One database, whatever the node's role. */
export interface DatabaseView {
  /** Cheap: asked for each request. */
  role(): NodeRole
  /** HOST:PORT of the leader, this node's own when it leads; '' when none is known. */
  leaderAddress(): string
  /** Where this node stands. Cheap. */
  position(): Position
  /** The incarnation in which this node leads; '' while it does not lead. Cheap. */
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
  status(): DatabaseStatus
  lag(): DatabaseLag
  queues(): QueueSizes
  /** Why this node cannot serve; empty when it can. */
  notReady(): readonly string[]
  /** Cheap: asked for each waiting request at each batch. */
  reach(target: WaitTarget): Reach
  /** Whether the file is a whole copy that readers may be sent to. */
  canRead(): boolean
  /**
   * Gives a position that contains every commit made before the call. Throws when the WAL cannot
   * be read now.
   */
  settle(): Promise<Position>
  /**
   * Resolves when enough replicas hold `position`, or when it is clear that they will not in time.
   * Throws NOT_LEADER or STARTING.
   */
  acknowledge(position: Position, wanted: AckWanted, timeoutMs: number): Promise<AckOutcome>
  /** Time since this node was known to hold everything the leader had; 0 on a leader. */
  staleMs(): number
  /**
   * The leader's last known position, and how long ago the leader told it: infinite when it never
   * has. Cheap.
   */
  leaderAt(): Position & { readonly agoMs: number }
  /** Asks the leader where it stands, so that `staleMs` falls. */
  freshen(): void
  /** Why this node cannot feed replicas now; undefined when it can. */
  refuseReplicas(): WalcastError | undefined
  /** Takes over a replica's upgraded connection. */
  accept(socket: WebSocket, remoteAddress: string): void
}

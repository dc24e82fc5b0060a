/** What the node and the engines of its roles know of each other. */
import type { Logger } from 'pino'
import type { Body } from '../../proto/messages.ts'
import type { NodeChecks } from '../api/checks.ts'
import type { NodeStatus, NodeView } from '../api/nodeView.ts'
import type { Instance } from '../cluster/instance.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { SeenHistory } from '../feed/seenHistory.ts'
import type { Metrics } from '../health/metrics.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { Clock } from '../platform/clock.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'

export interface NodeSetup {
  readonly options: NodeOptions
  readonly secret: string | undefined
  readonly log: Logger
  readonly version: string
  readonly clock?: Clock
  readonly ops?: FileOps
  /** Metrics of the process too; for a daemon. */
  readonly processMetrics?: boolean
  /**
   * Called at each change of position, of role and of what is known of the leader: cheap and never
   * throwing.
   */
  readonly onChange?: () => void
}

/**
 * What the engine of a role tells of itself; the rest of the status is the node's, whatever its
 * role.
 */
export type EngineStatus = Omit<
  NodeStatus,
  | 'application'
  | 'node'
  | 'cluster'
  | 'db'
  | 'role'
  | 'members'
  | 'roleSince'
  | 'audit'
  | 'version'
  | 'uptimeSeconds'
>

export interface EngineView extends Omit<NodeView, 'status' | 'lasted'> {
  status(): EngineStatus
}

/** The engine of a role, as the node sees it. */
export interface Engine {
  readonly view: EngineView
  readonly checks: NodeChecks
  /** Others send no more requests from now on; commits still reach them. */
  announceStop(): void
  /** Tells the replicas that are fed here. */
  tellMember(member: Omit<Body<'member'>, 'db'>): void
  stop(): Promise<void>
}

/** A node that has been in a higher epoch than this one. */
export interface HigherEpoch {
  readonly node: string
  readonly epoch: number
  /** Undefined when it was not told. */
  readonly term: number | undefined
  /** HOST:PORT, or '' when it is not known. */
  readonly address: string
}

/** What an engine is built with. */
export interface EngineParts {
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly ops: FileOps
  readonly path: string
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly members: Members
  /** The replicas that this node feeds, whatever its role. */
  readonly replicas: ReplicaList
  readonly thread: SqliteThread
  /** Which process this node is: another one with the same node id is another instance. */
  readonly instance: Instance
  readonly metrics: Metrics
  readonly traffic: Traffic
  /** The node's position moved, or what it knows of the leader's. */
  onMoved(): void
  /**
   * Asks the other nodes before a starting leader lets anybody write; gives what they have seen of
   * this node's own history. Throws HIGHER_EPOCH or NODE_ID_TAKEN.
   */
  mayLead(): Promise<readonly SeenHistory[]>
  /** A node has what this leader lacks of its own history. */
  onPutBack(seen: SeenHistory): void
  onHigherEpoch(by: HigherEpoch): void
  /** The leader that was followed says that another one leads. */
  onLeaderMoved(to: Omit<Body<'moved'>, 'db'>): void
  /** Fed by the replica at `relay`, while the leader is at `leader`. */
  onRelayed(relay: string, leader: string): void
  /** The connection to the leader ended, or could not be made. */
  onLeaderLost(): void
  /** The node cannot go on. */
  onFatal(error: WalcastError): void
}

/** Databases are named, so that one connection may later carry several. */
export const DATABASE_NAME = 'main'

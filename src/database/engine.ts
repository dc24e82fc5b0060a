/** What the node and the engines of its databases know of each other. */
import type { Logger } from 'pino'
import type { Body } from '../../proto/messages.ts'
import type { NodeChecks } from '../api/checks.ts'
import type { DatabaseStatus } from '../api/databaseStatus.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { ArchivedWaits } from '../backup/archivedWaits.ts'
import type { BatchFollower } from '../backup/batchFollower.ts'
import type { Instance } from '../cluster/instance.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { OldNodes } from '../cluster/oldNodes.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import type { PeerDialer } from '../cluster/peerDialer.ts'
import type { WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { SeenHistory } from '../feed/seenHistory.ts'
import type { Metrics } from '../health/metrics.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { GivenShown } from '../options/shownOptions.ts'
import type { Clock } from '../platform/clock.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { Traffic } from '../proxy/traffic.ts'
import type { KeptBundles } from '../replica/diverged/keptFolder.ts'
import type { Claims } from '../security/claims.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import type { SqliteThread } from '../sqlite/sqliteThread.ts'

export interface NodeSetup {
  readonly options: NodeOptions
  /** Undefined when a program gives the options itself. */
  readonly given?: GivenShown
  readonly secret: string | undefined
  readonly log: Logger
  readonly version: string
  readonly clock?: Clock
  readonly ops?: FileOps
  /** Adds the metrics of the process; for a daemon. */
  readonly processMetrics?: boolean
  /**
   * Called when the position, the role, or what is known of the leader changes. Must be cheap and
   * never throw.
   */
  readonly onChange?: () => void
}

/** The part of a database's status that the engine of a role knows. */
export type EngineStatus = Omit<DatabaseStatus, 'db' | 'role' | 'roleSince' | 'putBack'>

export interface EngineView extends Omit<DatabaseView, 'status' | 'lasted'> {
  status(): EngineStatus
}

/** What runs a database in one role, as the node sees it. */
export interface Engine {
  readonly view: EngineView
  readonly checks: NodeChecks
  /** What this node kept aside. */
  readonly bundles: KeptBundles
  /** Tells the other nodes to send no more requests. Commits still reach them. */
  announceStop(): void
  /** Tells the replicas that this node feeds. */
  tellMember(member: Omit<Body<'member'>, 'db'>): void
  stop(): Promise<void>
}

/** A node that has been in a higher epoch than this one. */
export interface HigherEpoch {
  readonly node: string
  readonly epoch: number
  /** Undefined when the node did not tell it. */
  readonly term: number | undefined
  /** HOST:PORT; '' when it is not known. */
  readonly address: string
}

/** What an engine learns of other nodes on which the node's role may depend. */
export type EngineNews =
  /** A node has what this leader lacks of its own history. */
  | { readonly type: 'putBackHeard'; readonly seen: SeenHistory }
  | { readonly type: 'higherEpochHeard'; readonly by: HigherEpoch }
  /** The leader that was followed says that another one leads. */
  | { readonly type: 'leaderMoved'; readonly address: string; readonly epoch: number }
  /** Fed by the replica at `relay`, while the leader is at `leader`. */
  | { readonly type: 'relayed'; readonly relay: string; readonly leader: string }
  /** The connection to the leader ended, or could not be made. */
  | { readonly type: 'leaderLost' }

/** What an engine is built with. */
export interface EngineParts {
  /** Name of the database. */
  readonly db: string
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly ops: FileOps
  /** Of the database file. */
  readonly path: string
  readonly stateFolder: string
  readonly nodeFile: NodeFile
  readonly members: Members
  readonly claims: Claims
  /** The replicas that this node feeds, whatever its role. */
  readonly replicas: ReplicaList
  readonly thread: SqliteThread
  /** Which process this node is: another one with the same node id is another instance. */
  readonly instance: Instance
  readonly secrets: ClusterSecrets
  /** How other nodes are connected to. */
  readonly dialer: PeerDialer
  /** Undefined without --old-signatures. */
  readonly old?: OldNodes | undefined
  readonly calls: PeerCalls
  readonly metrics: Metrics
  readonly traffic: Traffic
  /** Writes that wait until the archive has them, while this node leads. */
  readonly archived: ArchivedWaits
  /** The archive and dated snapshots; undefined without either. */
  readonly follower?: BatchFollower | undefined
  /** Whether what that replica confirms may be counted on. On the hot path. */
  countsReplica(node: string): boolean
  /** The position of this node moved, or what it knows of the leader's. */
  onMoved(): void
  /**
   * A starting leader asks the other nodes before it lets anyone write. Gives what they have seen
   * of this node's own history. Throws HIGHER_EPOCH or NODE_ID_TAKEN.
   */
  mayLead(): Promise<readonly SeenHistory[]>
  /** It learnt something on which the node's role may depend. */
  onNews(news: EngineNews): void
  /** The node cannot go on. */
  onFatal(error: WalcastError): void
}

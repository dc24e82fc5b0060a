/**
 * `GET /_walcast/cluster`: all nodes of the cluster as the asked node sees them. It asks the other
 * members itself, so that any node can be asked, also while there is no leader.
 */
import type { NodeRole } from './roleAnswers.ts'
import type { PauseInfo } from './rolePause.ts'

export const CLUSTER_PATH = '/_walcast/cluster'

/** For so long an answer serves further askers: many of them cost one round of calls, ms. */
export const CLUSTER_REUSE_MS = 1000

/** The most nodes in one answer. */
export const MAX_CLUSTER_NODES = 512

/** `state` of a node that does not answer and that no other node hears either. */
export const AWAY = 'away'

/** `code` of the cause that a node does not answer the asked one. */
export const NO_ANSWER = 'no-answer'

/** One line for people with a stable code; causes of nodes are those of their status. */
export interface ClusterCause {
  readonly code: string
  readonly text: string
}

export interface ClusterNode {
  /** Its id; '' of an address where no node has answered yet. */
  readonly node: string
  /** HOST:PORT of its private side, as others reach it; '' when it is not known. */
  readonly address: string
  /** Null when it has never been known. */
  readonly role: NodeRole | null
  /** ISO time since when it has that role, as it says; null when it has not told. */
  readonly roleSince: string | null
  /** As its status tells it, such as `capturing` or `streaming`; else `away`. */
  readonly state: string
  /** EPOCH-TXID; the last known one while it is away, null when none is. */
  readonly position: string | null
  /** How far it is behind its leader, ms: 0 on a leader; null when it is not known. */
  readonly lagMs: number | null
  /** Transactions that it lacks of those that the leader told; null when it is not known. */
  readonly behindTxids: number | null
  /** How long ago the node itself, or one that hears it, told what is here, ms; null: never. */
  readonly ageMs: number | null
  readonly version: string | null
  /** Whether it answered the asked node in the last round. */
  readonly isReachable: boolean
  /**
   * ISO time since when no node has heard of it; null while one does, and when it was never heard
   * of.
   */
  readonly awaySince: string | null
  /** Why it lags, does not answer or needs attention; empty when all is well. */
  readonly causes: readonly ClusterCause[]
  /** Its `--ack`: how many replicas must hold a write before it is answered; null: not known. */
  readonly ack: string | null
  /** Bundles of rows that it keeps aside since its leader may lack them; null: not known. */
  readonly bundles: number | null
  /** The newest position that an archive which it writes can restore; null when none is known. */
  readonly restorableUntil: {
    /** EPOCH-TXID. */
    readonly position: string
    /** When the leader noticed that commit, ISO time. */
    readonly at: string
  } | null
  /** Absent with --election static, and while it does not answer. */
  readonly election?: NodeElection
}

/** What one node tells of automatic failover. */
export interface NodeElection {
  /** How long the lock service has not answered it, ms; null while it does. */
  readonly awayForMs: number | null
  /** Why it was not promoted though no node leads; null when that is not so. */
  readonly notPromoted: string | null
}

/** The lease by which a node leads: the leader tells of it, or a node that sees it. */
export interface ClusterElection {
  /** The lock service, for people. */
  readonly service: string
  readonly ttlMs: number
  /** Null when the lock service answers no node, and no leader does. */
  readonly isHeld: boolean | null
  /** Who holds it, or held it last, and in which epoch; null when that is not known. */
  readonly node: string | null
  readonly epoch: number | null
  /** How long the leader lets writes in unless it is renewed, ms; null when it does not answer. */
  readonly validForMs: number | null
  /** The lock service is away, and the leader goes on by agreement of all members. */
  readonly isByAgreement: boolean
  /** Who holds it, or why no node does, in one line for people. */
  readonly text: string
}

export interface ClusterAnswer {
  /** Id of the node that was asked. */
  readonly asked: string
  /** '' before its first copy. */
  readonly cluster: string
  /** Name of the database that positions, lag and roles are about. */
  readonly database: string
  /** Id of the node that leads, as far as the asked node can tell; null when none does. */
  readonly leader: string | null
  /** The highest epoch among the nodes. */
  readonly epoch: number
  /** Absent when no node that answers has elections. */
  readonly election?: ClusterElection
  /** Absent while role changes are not paused, as far as the asked node knows. */
  readonly paused?: PauseInfo
  /** The leader comes first, the others by id. */
  readonly nodes: readonly ClusterNode[]
}

/** Whoever answers the question. */
export interface ClusterDesk {
  answer(): Promise<ClusterAnswer>
}

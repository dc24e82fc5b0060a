/** What a replica is built with, and whom it tells. */
import type { Logger } from 'pino'
import type { Lineage } from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import type { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { CopyAccess } from './copy/copyAccess.ts'
import type { KeptKind } from './diverged/keptBounds.ts'
import type { SubscriptionOptions } from './subscription.ts'

export interface ReplicaOptions {
  readonly db: string
  readonly path: string
  readonly stateFolder: string
  readonly version: string
  readonly advertise: string
  readonly identity: ReplicaIdentity
  readonly log: Logger
  readonly clock: Clock
  readonly ops: FileOps
  readonly subscription: SubscriptionOptions
  /** WAL bytes of the copy that start a checkpoint. */
  readonly walBytes: number
  readonly access: CopyAccess
  readonly lockTimeoutMs: number
  /** See KeptBounds. */
  readonly maxDiverged: number
  readonly maxDivergedBytes: number
  /** Quiet time after which the copy's WAL is emptied. */
  readonly idleMs: number
  readonly pingMs: number
  /** `offsetMs`: the leader's clock minus this node's. */
  upgradeHeaders(offsetMs: number): Record<string, string>
  readonly observer: ReplicaObserver
}

export interface ReplicaIdentity {
  readonly node: string
  /** Random id of this process. */
  readonly instance: string
  /** How long this process has been up, ms. */
  upMs(): number
  /** '' before the first copy. */
  cluster(): string
  /** Incarnations of the leader that this node knows of. */
  lineage(): Lineage
  /**
   * Id of the node that led in the highest epoch that this node knows of; '' when it knows none.
   */
  lastLeader(): string
  /** The last epoch that this node knows to have begun with a promotion. */
  term(): number
  /** The highest that this node has led or followed in. */
  epoch(): number
  /**
   * Whom it follows and in which epoch, and incarnations of which the leader told how they began.
   * `address`: HOST:PORT of the connection that it came by. Durable when it resolves; quick when
   * nothing of it is new.
   */
  adopt(welcome: AdoptedWelcome, told: Lineage, address: string): Promise<void>
}

/** What of a welcome a node keeps in its role file. */
export type AdoptedWelcome = Pick<Body<'welcome'>, 'cluster' | 'epoch' | 'term' | 'fileMode'>

/** Hears what happens, for metrics. Called on the hot path: cheap and never throwing. */
export interface ReplicaObserver {
  /**
   * `leaderAddress`: where requests for the leader go, '' when it is the node that this one is
   * connected to, which is at `address`.
   */
  onConnected(leaderAddress: string, address: string): void
  /** The leader told where it stands. */
  onLeaderAt(): void
  /** The leader takes no more requests. */
  onLeaderStopping(): void
  onReceived(bytes: number): void
  onApplied(batch: {
    readonly pages: number
    readonly applyMs: number
    readonly lagMs: number
    readonly position: { epoch: number; txid: number }
  }): void
  onCheckpoint(checkpoint: { readonly complete: boolean; readonly pauseMs: number }): void
  /** The copy was synced because the leader asked for it. */
  onDurable(syncMs: number): void
  onDisconnected(key: string): void
  onRefused(key: string): void
  onSynced(): void
  onStray(): void
  /** A bundle kept aside was thrown away for the sake of a bound. */
  onKeptDropped(kind: KeptKind): void
  /** Another node of the cluster, or one that was forgotten. */
  onMember(member: Omit<Body<'member'>, 'db'>): void
  /** Another node leads. */
  onMoved(to: Omit<Body<'moved'>, 'db'>): void
  onFatal(error: WalcastError): void
}

/**
 * Passes on to replicas of this node's own what arrives. Called on the hot path: cheap and never
 * throwing.
 */
export interface Downstream {
  /**
   * One message of a batch was taken in, and with the last one the batch is visible. `message` is
   * used again after the call.
   */
  onBatch(batch: Body<'batch'>, payload: Buffer, message: Buffer): void
  /** The leader told where it stands. */
  onHeartbeat(): void
  /** The connection ended: what came of a batch in part is forgotten. */
  onDisconnected(): void
  /** A process below has the id of one that came first, and is to end. */
  onTwin(twin: Body<'twin'>): void
  /**
   * What was taken in and is not visible may be forgotten, and the next state need not follow from
   * this one.
   */
  onUnsettled(): void
}

/** The options of a replica, and the interfaces of those that it tells what happens. */
import type { Logger } from 'pino'
import type { Lineage } from '../../proto/lineage.ts'
import type { Body } from '../../proto/messages.ts'
import type { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { Claims } from '../security/claims.ts'
import type { CopyAccess } from './copy/copyAccess.ts'
import type { KeptKind } from './diverged/keptBounds.ts'
import type { StreamDial } from './streamUpgrade.ts'
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
  /** At this size of the copy's WAL a checkpoint begins. */
  readonly walBytes: number
  readonly access: CopyAccess
  readonly lockTimeoutMs: number
  /** See KeptBounds. */
  readonly maxDiverged: number
  readonly maxDivergedBytes: number
  /** After this quiet time the replica empties the copy's WAL. */
  readonly idleMs: number
  readonly pingMs: number
  /**
   * A proven connection for the stream; undefined in a cluster without a secret. `offsetMs`: the
   * leader's clock minus this node's.
   */
  dial(address: string, timeoutMs: number, offsetMs: number): Promise<StreamDial> | undefined
  readonly observer: ReplicaObserver
  /** Judges the numbers that the leader tells. */
  readonly claims: Claims
}

export interface ReplicaIdentity {
  readonly node: string
  /** Random id of this process. */
  readonly instance: string
  /** Age of this process, ms. */
  upMs(): number
  /** '' before the first copy. */
  cluster(): string
  /** The leader's incarnations that this node knows. */
  lineage(): Lineage
  /** Id of the node that led in the highest epoch that this node knows; '' when it knows none. */
  lastLeader(): string
  /** The last epoch that, as far as this node knows, began with a promotion. */
  term(): number
  /** The highest epoch in which this node has led or followed. */
  epoch(): number
  /**
   * Records whom this node follows, in which epoch, and the incarnations in `told`. `address` is
   * HOST:PORT of the connection. Durable when it resolves; fast when nothing of it is new.
   */
  adopt(welcome: AdoptedWelcome, told: Lineage, address: string): Promise<void>
}

/** The part of a welcome that a node keeps in its role file. */
export type AdoptedWelcome = Pick<Body<'welcome'>, 'cluster' | 'epoch' | 'term' | 'fileMode'>

/** Hears what happens. The hot path calls it, so it must be cheap and must not throw. */
export interface ReplicaObserver {
  /**
   * `leaderAddress`: where requests for the leader go. '' means that the connection, to `address`,
   * goes to the leader itself.
   */
  onConnected(leaderAddress: string, address: string): void
  /** The leader told its position. */
  onLeaderAt(): void
  /** The leader accepts no more requests. */
  onLeaderStopping(): void
  onReceived(bytes: number): void
  onApplied(batch: {
    readonly pages: number
    readonly applyMs: number
    readonly lagMs: number
    readonly position: { epoch: number; txid: number }
  }): void
  onCheckpoint(checkpoint: { readonly complete: boolean; readonly pauseMs: number }): void
  /** A sync of the copy that the leader had asked for took `syncMs`. */
  onDurable(syncMs: number): void
  onDisconnected(key: string): void
  onRefused(key: string): void
  onSynced(): void
  onStray(): void
  /** The replica deleted a kept bundle to stay within a bound. */
  onKeptDropped(kind: KeptKind): void
  /** The leader told of another member, or of one that is forgotten. */
  onMember(member: Omit<Body<'member'>, 'db'>): void
  /** Another node leads now. */
  onMoved(to: Omit<Body<'moved'>, 'db'>): void
  onFatal(error: WalcastError): void
}

/**
 * Passes on what arrives to replicas of this node's own. The hot path calls it, so it must be cheap
 * and must not throw.
 */
export interface Downstream {
  /**
   * The replica took in one message of a batch; with the last one the batch is visible. The memory
   * of `message` is reused after the call. `before`: the state checksum at the position before.
   */
  onBatch(batch: Body<'batch'>, payload: Buffer, message: Buffer, before: string): void
  /** The leader told its position. */
  onHeartbeat(): void
  /** The connection ended. The replica forgets a batch that came in part. */
  onDisconnected(): void
  /** A process below has the id of an older one, and must end. */
  onTwin(twin: Body<'twin'>): void
  /**
   * The replica may forget what is not visible yet, and its next state need not follow from this
   * one.
   */
  onUnsettled(): void
}

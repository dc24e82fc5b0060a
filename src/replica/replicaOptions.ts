/** What a replica is built with, and whom it tells. */
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { WalcastError } from '../errors.ts'
import type { FileOps } from '../fileOps.ts'
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
  readonly lockTimeoutMs: number
  /** Quiet time after which the copy's WAL is emptied. */
  readonly idleMs: number
  readonly pingMs: number
  /** `offsetMs`: the leader's clock minus this node's. */
  upgradeHeaders(offsetMs: number): Record<string, string>
  readonly observer: ReplicaObserver
}

export interface ReplicaIdentity {
  readonly node: string
  /** '' before the first copy. */
  cluster(): string
  /** Durable before it returns. */
  adopt(cluster: string, epoch: number): Promise<void>
}

/** Hears what happens, for metrics. Called on the hot path: cheap and never throwing. */
export interface ReplicaObserver {
  onConnected(): void
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
  onDisconnected(key: string): void
  onRefused(key: string): void
  onSynced(): void
  onStray(): void
  onFatal(error: WalcastError): void
}
